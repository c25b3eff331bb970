"""Each sample of a BertFinetune is one that the API server takes, as it ships and as the node's tests change it."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from lab.cluster.layout import PROJECT
from node.samples import CHANGES, FOLDER, STORE, changed

SAMPLES = sorted((PROJECT / "crds/samples").iterdir())


@pytest.mark.usefixtures("crd")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_the_api_server_takes(sample: Path, kubectl: Callable[..., CompletedProcess[str]], namespace: str) -> None:
    flags = (f"--namespace={namespace}", "--dry-run=server", "--validate=strict", f"--filename={sample}")
    done = kubectl("create", *flags)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("crd")
@pytest.mark.parametrize("name", CHANGES)
def test_the_api_server_takes_what_is_made_of(
    name: str, kubectl: Callable[..., CompletedProcess[str]], namespace: str
) -> None:
    values = defaultdict(lambda: "0" * 64, {STORE: "https://192.0.2.1:7070", FOLDER: "default-mrpc-1a2b3c4d"})
    flags = (f"--namespace={namespace}", "--dry-run=server", "--validate=strict", "--filename=-")
    done = kubectl("create", *flags, stdin=yaml.safe_dump(changed(name, values)))
    assert (done.returncode, done.stderr) == (0, "")
