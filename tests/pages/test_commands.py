"""The commands that need no cluster, page by page, each run in a copy of the project."""

import hashlib
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cluster.layout import PROJECT
from pages import sandbox
from pages.commands import Block, Command, blocks
from pages.markdown import pages
from pages.practice import follow
from pages.shell import Shell
from support.trainer.object_server import Answer, ObjectServer

pytestmark = pytest.mark.timeout(600)


def here(page: str) -> list[Block]:
    """The blocks of which no command needs a cluster."""
    return [block for block in blocks(page) if not any(command.is_for_cluster for command in block)]


@pytest.fixture(scope="module")
def archive(copy: Path) -> Iterator[tuple[str, str]]:
    """The address of a server that drops the first connection, and the checksum of what it has."""
    file = copy / "MRPC.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        tar.add(copy / "trainer_image/test/glue_data/MRPC", arcname="MRPC")
    with ObjectServer() as server:
        server.content = file.read_bytes()
        server.script = [Answer(cut=3000)]
        yield server.url, hashlib.sha256(server.content).hexdigest()


@pytest.mark.parametrize("page", [page for page in pages() if here(page)])
def test_the_commands_of(page: str, copy: Path, archive: tuple[str, str]) -> None:
    address, checksum = archive

    def fill(command: Command) -> str:
        text = command.text.replace("<this repository>", str(PROJECT)).replace("COMMIT", "HEAD")
        return re.sub(r"--sha256=[0-9a-f]{64}", f"--sha256={checksum}", text)

    # a proxy: addresses of example.com stay what they are on the page
    with Shell(copy, sandbox.environment() | {"http_proxy": address}) as shell:
        assert "\n".join(follow(here(page), shell, fill, lambda _: None)) == ""
