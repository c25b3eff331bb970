"""The download step as processes that are stopped, find a full disk or a read-only file system, and keep secrets."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import List

import pytest

from bert_trainer import contract
from bert_trainer.fetch import __main__ as fetch
from support.trainer.fetching import MRPC, Flags, failure, tar_gz, tree
from support.trainer.object_server import Answer, ObjectServer

pytestmark = pytest.mark.usefixtures("as_before")


def test_secrets_stay_out_of_every_line(server: ObjectServer, flags: Flags, tmp_path: Path) -> None:
    """Also out of the traceback of a bug, and of what the libraries log by themselves."""
    server.script = [Answer(503), Answer(cut=5), Answer(location="{}/elsewhere?signature=secret"), Answer(404)]
    done = subprocess.run(command(flags()), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == contract.EXIT_BAD_DATA, done.stdout
    assert "answered 503" in done.stdout
    assert "secret" not in done.stdout + (tmp_path / "log").read_text()
    script = """
        import sys
        from bert_trainer.fetch import __main__ as fetch
        def bug(flags): raise ZeroDivisionError("in " + flags.url)
        fetch.fetch = bug
        sys.exit(fetch.main(sys.argv[1:]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *flags()],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == contract.EXIT_UNKNOWN
    assert re.search(r"ZeroDivisionError: in http://127.0.0.1:\d+/glue/MRPC.tar.gz\?\.\.\.", done.stdout)
    assert failure(tmp_path)["message"].endswith("/glue/MRPC.tar.gz?...")
    assert "secret" not in done.stdout + (tmp_path / "log").read_text()


# Processes: signals, disks, an init container's file systems.


def command(arguments: List[str]) -> List[str]:
    return [sys.executable, "-m", contract.FETCH_MODULE, *arguments]


@pytest.mark.parametrize("number", fetch.SIGNALS)
def test_a_signal_ends_it_at_once(server: ObjectServer, flags: Flags, tmp_path: Path, number: int) -> None:
    server.otherwise = Answer(hang=60)
    with subprocess.Popen(command(flags()), stdout=subprocess.PIPE, text=True) as process:
        for _ in range(200):
            if server.requests:
                break
            time.sleep(0.05)
        time.sleep(0.3)
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == contract.EXIT_INTERRUPTED
    assert time.monotonic() - started < 3
    name = signal.Signals(number).name
    assert failure(tmp_path) == {
        "outcome": "Failed",
        "class": "Interrupted",
        "message": f"stopped by {name} before the download was complete; start it again",
    }
    assert not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("content", [os.urandom(3 << 20), tar_gz({"a": bytes(3 << 20)})], ids=["object", "content"])
def test_a_disk_that_is_full(server: ObjectServer, flags: Flags, tmp_path: Path, content: bytes) -> None:
    server.content = content
    (tmp_path / "data").mkdir()
    script = 'mount -t tmpfs -o size=2m none "$1"; shift; "$@"; echo $? >"$0.code"; ls -A "$0" >"$0.files"'
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-uc", script, str(tmp_path / "data")]
    done = subprocess.run(
        [*isolated, str(tmp_path / "data"), *command(flags())], stdout=subprocess.PIPE, text=True, check=True
    )
    assert (tmp_path / "data.code").read_text() == f"{contract.EXIT_STORAGE}\n", done.stdout
    assert re.search(
        r"/data.*: No space left on device; make the volume writable and large enough for the object and what it unp",
        failure(tmp_path)["message"],
    )
    assert (tmp_path / "data.files").read_text() == ""


def test_the_root_file_system_may_be_read_only(flags: Flags, tmp_path: Path) -> None:
    for name in ("data", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "log").touch()
    script = """
        cd "$1"; shift
        for place in data tmp log; do mount --bind $place $place; done
        mount -o remount,bind,ro / && ! touch forbidden 2>/dev/null
        HOME=/ TMPDIR=$PWD/tmp exec "$@"
    """
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-euc", script, "bash", str(tmp_path)]
    done = subprocess.run(
        [*isolated, *command(flags())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert tree(tmp_path / "data") == MRPC
