"""A TCP proxy that can go silent as a broken network does: connections stay open, and what is sent vanishes.

Or it refuses, as a load balancer without a server does.
"""

import contextlib
import socket
import threading
from typing import Self


class Link:
    """One connection and its continuation to the target."""

    def __init__(self, near: socket.socket, far: socket.socket, *, silent: bool) -> None:
        self.ends = near, far
        self.silent = silent
        self.threads = [threading.Thread(target=self._pump, args=ends) for ends in ((near, far), (far, near))]
        for thread in self.threads:
            thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self.silent:
                    sink.sendall(data)
            if not self.silent:  # else the end of a connection does not get through either
                sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(10)
        for end in self.ends:
            end.close()


class Proxy:
    """Forwards a local port to `host:port`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._links: list[Link] = []
        self._silent = self._refusing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()
        for link in self._links:
            link.close()

    def silence(self, *, new: bool) -> None:
        """Swallow from now on what comes on the present connections, and with `new` on all later ones, too."""
        self._silent = new
        for link in list(self._links):
            link.silent = True

    def cut(self) -> None:
        """Close the present connections, and all later ones as soon as they begin."""
        self._refusing = True
        for link in list(self._links):
            link.close()

    def speak(self) -> None:
        """Let new connections work again. Those that were silenced never do."""
        self._silent = self._refusing = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._refusing:
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                self._links.append(Link(near, far, silent=self._silent))
