"""The commands that need a cluster, page by page, with the operator that the tests have installed and some runs."""

import hashlib
import re
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.cluster import firewall
from lab.cluster.layout import KUBECONFIG, NODE_IP
from lab.demo import stack
from lab.demo.target import Target
from pages import sandbox
from pages.commands import Block, Command, blocks
from pages.example import Example
from pages.markdown import codes, pages
from pages.practice import follow
from pages.shell import Shell
from support import runs as support
from support.published import name_images

pytestmark = pytest.mark.timeout(900)


def there(page: str) -> list[Block]:
    """The blocks of which a command needs a cluster."""
    return [block for block in blocks(page) if any(command.is_for_cluster for command in block)]


def deletes_a_run(page: str) -> bool:
    return any("delete bft" in command.text for block in there(page) for command in block)


PAGES = sorted((page for page in pages() if there(page)), key=deletes_a_run)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Where pods can download some pairs, and their checksum."""
    folder = tmp_path_factory.mktemp("archive")
    sandbox.write_pairs(folder / "MRPC", train=96, dev=48)
    with tarfile.open(folder / "MRPC.tar", "w") as tar:
        tar.add(folder / "MRPC", arcname="MRPC")
    with support.website(NODE_IP, 0, folder) as address:
        yield f"http://{address}/MRPC.tar", hashlib.sha256((folder / "MRPC.tar").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def example(installed: Target, archive: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The runs that the pages speak of, and the images under the names that the pages give them."""
    name_images()
    example = Example(installed, *archive)
    example.prepare(tmp_path_factory.mktemp("pairs"))
    yield example
    example.leave()


@pytest.mark.usefixtures("crds_of_others")
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of(page: str, example: Example, copy: Path) -> None:
    example.restore()
    for code in codes(page):
        if name := re.match(r"# ([\w-]+\.yaml)\n", code.text):
            (copy / name[1]).write_text(code.text)
    changes_release = any(is_of_release(command) for block in there(page) for command in block)

    def after(command: Command) -> None:
        if "helm uninstall" in command.text:
            stack.install(example.target)
        elif is_of_release(command):
            example.settle()

    try:
        with ExitStack() as around:
            if is_for_an_incident(page):
                around.enter_context(firewall.enforced())
                around.enter_context(firewall.api_server_elsewhere())
            shell = around.enter_context(Shell(copy, sandbox.environment() | {"KUBECONFIG": str(KUBECONFIG)}))
            problems = follow(there(page), shell, example.fill, after)
    finally:
        if changes_release:
            stack.install(example.target)
    assert "\n".join(problems) == ""


def is_for_an_incident(page: str) -> bool:
    """Whether it must be of use as a cluster is: with enforced policies, and the API server on a node of its own."""
    return "/runbooks/" in page or page.endswith("troubleshooting.md")


def is_of_release(command: Command) -> bool:
    """Whether it changes what Helm has installed."""
    return bool(re.search(r"helm (upgrade|rollback|uninstall|install) .", command.text, re.DOTALL))
