"""The files of crds/samples as this machine can run them: what is changed in them, and what their volumes hold.

CHANGES is all that is changed. Claims, folders in them, cards, quality and deadlines stay as they are shipped.
"""

import hashlib
import json
import math
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme
import yaml

from lab.cluster.components import node_labels
from lab.cluster.layout import BIN, NODE_IP, PROJECT
from lab.cluster.processes import wait_until
from lab.demo import claims
from lab.demo.target import Target
from lab.operator.process import free_port
from support import runs as support

Raw = dict[str, Any]
SAMPLES: dict[str, Raw] = {
    path.name: yaml.safe_load(path.read_text()) for path in sorted((PROJECT / "crds/samples").glob("*.yaml"))
}
HERE = {"host-arch": dict(label.split("=") for label in node_labels().split(","))["host-arch"]}
STORE, CHECKSUM, FOLDER = object(), object(), object()
"""The object store of this test, the checksum of what it holds for a URL, and the folder of bertfinetune.yaml's run."""
CHANGES: dict[str, Raw] = {
    "bert-large.yaml": {
        "model.name": "custom",
        "scheduling.schedulerName": None,
        "scheduling.queue": None,  # Volcano's
        "scheduling.priorityClassName": None,
        "scheduling.nodeSelector": HERE,
        "trainer.image": None,
        "trainer.resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "3Gi"}},
    },
    "bertfinetune.yaml": {},
    "downloads.yaml": {
        "model.name": "custom",
        "model.source.uri.endpointUrl": STORE,
        "model.source.uri.sha256": CHECKSUM,
        "data.source.uri.endpointUrl": STORE,
        "data.source.uri.sha256": CHECKSUM,
    },
    "eight-cards.yaml": {
        "model.name": "custom",
        "trainer.resources": {"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"memory": "12Gi"}},
    },
    "resumed.yaml": {"output.resumeFrom": FOLDER},
    "shared-card.yaml": {},
}
CHANGED = (
    r"model\.name|trainer\.(image|resources)|scheduling\.(schedulerName|queue|nodeSelector|priorityClassName)"
    r"|(model|data)\.source\.uri\.(url|sha256|endpointUrl)|output\.resumeFrom"
)
"""What the table may change: names that only a site has, sizes, what a download is, and an earlier run's folder."""

KEYS = {"AWS_ACCESS_KEY_ID": "an-access-key", "AWS_SECRET_ACCESS_KEY": "a-secret-key"}
AUTHORITY = trustme.CA()
"""Of the object store's certificate, which no image trusts."""
LOADING = threading.Lock()
"""Claims are filled through one pod."""


def changed(name: str, values: Mapping[object, str] = {}) -> Raw:
    """The sample of a file as its line in CHANGES makes it, with values that only the test knows."""
    assert name in CHANGES, f"crds/samples/{name} is new: give it a line in CHANGES, {{}} where nothing is changed"
    raw: Raw = yaml.safe_load(yaml.safe_dump(SAMPLES[name]))
    for path, value in CHANGES[name].items():
        *parents, last = path.split(".")
        place = raw["spec"]
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            key = place["url"] if value is CHECKSUM else value
            place[last] = values[key] if value in (STORE, CHECKSUM, FOLDER) else value
    return raw


def needs_the_whole_node(spec: Raw) -> bool:
    """Whether it takes all cards, or another division of them, so that no other run can be beside it."""
    accelerator = spec.get("accelerator", {})
    return accelerator.get("devicesPerWorker", 1) == 8 or "virtualDevice" in accelerator


def furnish(target: Target, namespace: str, spec: Raw) -> None:
    """Make what a sample names: claims and folders with weights and pairs, keys, and the object store's authority."""
    with LOADING, tempfile.TemporaryDirectory() as root:
        contents: dict[str, Path | None] = {}
        for role, source in _sources(spec):
            if claim := source.get("claim"):
                folder = contents[claim["claimName"]] = Path(root, claim["claimName"])
                _fill(folder / claim.get("subPath", ""), role, spec)
            elif host_path := source.get("hostPath"):
                _fill(Path(host_path["path"]), role, spec)
            else:
                for manifest in _credentials(source["uri"]):
                    target.kubectl.apply(json.dumps(manifest), f"--namespace={namespace}")
        if claim := spec["output"].get("claim"):
            contents.setdefault(claim["claimName"], None)
        claims.ensure(target, namespace, contents)


def _credentials(uri: Raw) -> Iterator[Raw]:
    if name := uri.get("secretName"):
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": KEYS}
    if bundle := uri.get("caBundle"):
        data = {bundle.get("key", "ca.crt"): AUTHORITY.cert_pem.bytes().decode()}
        kind, field = ("Secret", "stringData") if bundle.get("kind") == "Secret" else ("ConfigMap", "data")
        yield {"apiVersion": "v1", "kind": kind, "metadata": {"name": bundle["name"]}, field: data}


@contextmanager
def store(spec: Raw) -> Iterator[dict[object, str]]:
    """A real S3 server with what the sample downloads; its address, and the objects' checksums by their URLs."""
    with tempfile.TemporaryDirectory() as root:
        archives, objects, metadata = (Path(root, name) for name in ("archives", "objects", "metadata"))
        port = free_port()
        objects.mkdir()
        metadata.mkdir()
        addresses: dict[Path, str] = {}
        values: dict[object, str] = {STORE: f"https://{NODE_IP}:{port}"}
        certificate, key, authority = (Path(root, f"{name}.pem") for name in ("certificate", "key", "authority"))
        AUTHORITY.cert_pem.write_to_path(authority)
        issued = AUTHORITY.issue_cert(NODE_IP)
        issued.private_key_and_cert_chain_pem.write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        for role, source in _sources(spec):
            if uri := source.get("uri"):
                address = uri["url"].removeprefix("s3://")
                archive = archives / address
                addresses[archive] = address
                _fill(Path(root, "unpacked", archive.stem), role, spec)
                archive.parent.mkdir(parents=True, exist_ok=True)
                shutil.make_archive(str(archive.with_suffix("")), "zip", Path(root, "unpacked"), archive.stem)
                values[uri["url"]] = hashlib.sha256(archive.read_bytes()).hexdigest()
        tls = [f"--cert={certificate}", f"--key={key}"]
        command = [BIN / "versitygw", "--quiet", f"--port={NODE_IP}:{port}", *tls]
        backend = ["posix", "--sidecar", metadata, objects]
        keys = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
        with subprocess.Popen([*command, *backend], env=keys) as gate:
            try:
                assert wait_until(lambda: _answers(port), 30), "the object store does not answer"
                _put(values[STORE], authority, addresses)
                yield values
            finally:
                gate.terminate()


PUT = """
import sys, s3fs
endpoint, authority, *pairs = sys.argv[1:]
store = s3fs.S3FileSystem(client_kwargs={"endpoint_url": endpoint, "verify": authority})
for file, address in zip(pairs[::2], pairs[1::2]):
    store.mkdir(address.partition("/")[0])
    store.put(file, address)
"""


def _put(endpoint: str, authority: Path, addresses: Mapping[Path, str]) -> None:
    """Make the buckets, and put each file where its address says."""
    pairs = [str(part) for pair in addresses.items() for part in pair]
    command = [os.environ["TRAINER_PYTHON"], "-c", PUT, endpoint, str(authority), *pairs]
    subprocess.run(command, check=True, env=os.environ | KEYS)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((NODE_IP, port)) == 0


def _sources(spec: Raw) -> list[tuple[str, Raw]]:
    return [(role, spec[role]["source"]) for role in ("model", "data")]


def _fill(folder: Path, role: str, spec: Raw) -> None:
    """The small model, or pairs of the task in which one word tells the answer, as it learns in a few steps."""
    folder.mkdir(parents=True, exist_ok=True)
    if role == "model":
        shutil.copytree(support.ensure_weights(), folder, dirs_exist_ok=True)
        return
    program = (os.environ["TRAINER_PYTHON"], "-m", "support.trainer.small_task")
    subprocess.run([*program, folder, spec["task"], str(_rows(spec))], check=True)


def _rows(spec: Raw) -> int:
    """As many as make twenty steps, or a hundred where layers begin anew."""
    training = spec.get("training", {})
    steps = 100 if training.get("reinitLayers") else 20
    batch = training.get("trainBatchSize", 32) * spec["accelerator"].get("devicesPerWorker", 1)
    return batch * math.ceil(steps / training.get("numTrainEpochs", 3))
