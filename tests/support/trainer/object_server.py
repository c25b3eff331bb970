"""A web server of one object that does what servers and networks do, and a line that is cut."""

import contextlib
import os
import re
import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Iterator, List, NamedTuple, Optional, Tuple, Union

from support.trainer.authority import Authority


class Answer(NamedTuple):
    """How the server answers one request; by default as it should."""

    status: int = 0  # instead of the object
    ranges: bool = True  # whether it honours Range
    shift: int = 0  # by how many bytes it misses the range
    cut: Optional[int] = None  # bytes after which it closes the connection
    length: Union[int, str] = "true"  # Content-Length: "true", another number, or "none"
    chunked: bool = False
    location: str = ""  # where it redirects to; {} becomes its own address
    reset: bool = False  # whether the cut is a reset instead of an end
    hang: float = 0  # seconds of silence in the middle
    encoding: str = ""  # Content-Encoding


class ObjectServer:
    """Answers GET requests of any path with the object, the first ones as `script` says."""

    def __init__(self, authority: Optional[Authority] = None) -> None:
        """Speaks TLS with the certificate that an authority has given it, if any."""
        self.content = bytes(range(256)) * 400
        self.script: List[Answer] = []
        self.otherwise = Answer()
        self.requests: List[Tuple[str, Optional[str]]] = []  # path and Range
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers["Range"]))
                outer.answer(self, outer.script.pop(0) if outer.script else outer.otherwise)

            def end_headers(self) -> None:
                self.send_header("Connection", "close")  # so that no client tries it again
                super().end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(str(authority.certificate), str(authority.key))
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = self.url.replace("http", "https", 1)
        self._stopping = threading.Event()

    def __enter__(self) -> "ObjectServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def ranges(self) -> List[Optional[str]]:
        return [asked for _, asked in self.requests]

    def answer(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        handler.close_connection = True
        start = self._start(handler, answer)
        if answer.location or answer.status:
            handler.send_response(answer.status or 302)
            if answer.location:
                handler.send_header("Location", answer.location.replace("{}", self.url))
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        elif start >= len(self.content):
            handler.send_error(416)
        else:
            self._send(handler, answer, start)

    def _start(self, handler: BaseHTTPRequestHandler, answer: Answer) -> int:
        asked = re.match(r"bytes=(\d+)-$", handler.headers["Range"] or "")
        return int(asked.group(1)) + answer.shift if asked and answer.ranges else 0

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer, start: int) -> None:
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            last = len(self.content) - 1
            handler.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        if answer.encoding:
            handler.send_header("Content-Encoding", answer.encoding)
        if answer.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        elif answer.length != "none":
            handler.send_header("Content-Length", str(len(body) if answer.length == "true" else answer.length))
        handler.end_headers()
        sent = body if answer.cut is None else body[: answer.cut]
        with contextlib.suppress(OSError):  # a client that lost its patience
            if answer.hang:
                handler.wfile.write(sent[:10])
                handler.wfile.flush()
                self._stopping.wait(answer.hang)
                return
            end = b"" if answer.cut is not None else b"0\r\n\r\n"
            handler.wfile.write(b"%x\r\n%s\r\n%s" % (len(sent) or 1, sent, end) if answer.chunked else sent)
            if answer.reset:
                handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(handler.connection.detach())


@contextlib.contextmanager
def cut_line(port: int, cuts: List[int]) -> Iterator[int]:
    """Gives the port of a line to a server's that breaks after so many bytes of its answers, once for each number."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        threading.Thread(target=_accept, args=(listener, port, cuts), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, port: int, cuts: List[int]) -> None:
    with contextlib.suppress(OSError):  # when the listener is closed
        while True:
            client = listener.accept()[0]
            server = socket.create_connection(("127.0.0.1", port))
            left = cuts.pop(0) if cuts else 1 << 40
            threading.Thread(target=_pump, args=(client, server, 1 << 40), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client, left), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, left: int) -> None:
    with contextlib.suppress(OSError), source, target:
        while left > 0:
            part = source.recv(min(left, 4096))
            if not part:
                return
            target.sendall(part)
            left -= len(part)
        for end in (source, target):  # closing alone would wait for the thread that reads from it
            end.shutdown(socket.SHUT_RDWR)
