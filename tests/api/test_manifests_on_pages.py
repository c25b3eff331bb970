"""Each manifest on a page is one that the API server takes, those for other products included."""

import re
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from pages.markdown import Code, codes, pages

MANIFESTS = [code for page in pages() for code in codes(page) if code.info == "yaml" and "\nkind: " in code.text]


@pytest.mark.usefixtures("crd", "crds_of_others", "crds_of_peers")
@pytest.mark.parametrize("code", MANIFESTS, ids=lambda code: f"{code.page}:{code.line}")
def test_the_api_server_takes(code: Code, kubectl: Callable[..., CompletedProcess[str]], namespace: str) -> None:
    create = ("create", f"--namespace={namespace}", "--dry-run=server", "--validate=strict", "--filename=-")
    text = re.sub(r"\bnamespace: research\b", f"namespace: {namespace}", code.text)
    done = kubectl(*create, stdin=text)
    assert (done.returncode, done.stderr) == (0, "")
