"""What the end-to-end tests share: claims with real weights and data, a website, waiting for a BertFinetune's state."""

import csv
import functools
import os
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
import yaml

from lab.cluster.layout import SAMPLE, VOLUMES
from lab.cluster.processes import wait_until
from lab.demo import claims, weights
from lab.demo.target import Target


@contextmanager
def website(host: str, port: int, folder: Path, authority: trustme.CA | None = None) -> Iterator[str]:
    """A folder's files by HTTP, or by HTTPS with a certificate of an authority.

    The address, in which a port of 0 has become a free one.
    """
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer((host, port), handler) as http:
        if authority:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(host).configure_cert(context)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield f"{host}:{http.server_port}"
        finally:
            http.shutdown()


def ensure_weights() -> Path:
    """The demo's model."""
    return weights.fetch(os.environ["TRAINER_PYTHON"])


def prepare(target: Target, namespace: str, folders: Mapping[str, Path]) -> None:
    """A new namespace with claims that hold these folders, and an empty one: earlier runs left gigabytes of output."""
    target.kubectl.run("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")
    shutil.rmtree(VOLUMES / f"{namespace}-bert-output", ignore_errors=True)
    claims.ensure(target, namespace, {**folders, "bert-output": None})


def sample() -> dict[str, Any]:
    """The sample manifest that the demo applies."""
    return yaml.safe_load(SAMPLE.read_text())


def manifest(name: str, change: dict[str, Any]) -> str:
    """The sample under another name, with some parts of its spec replaced."""
    raw = sample()
    raw["metadata"]["name"] = name
    raw["spec"] |= change
    return yaml.safe_dump(raw)


def majority_share(tsv: Path) -> float:
    """Accuracy of always answering with the more frequent class of a labelled MRPC file."""
    with tsv.open(encoding="utf-8-sig", newline="") as file:
        labels = [row[0] for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)][1:]
    positive = labels.count("1") / len(labels)
    return max(positive, 1 - positive)


def get(target: Target, namespace: str, name: str) -> dict[str, Any]:
    return target.kubectl.get("bertfinetune", name, f"--namespace={namespace}")


def wait_for(
    target: Target, namespace: str, name: str, condition: Callable[[dict[str, Any]], bool], seconds: float
) -> dict[str, Any]:
    """Wait until the status fulfils the condition and return it; the last status is in the failure's message."""
    status: dict[str, Any] = {}

    def reached() -> bool:
        nonlocal status
        status = get(target, namespace, name).get("status", {})
        return condition(status)

    assert wait_until(reached, seconds, interval=1.0), f"{namespace}/{name} is not there after {seconds} s: {status}"
    return status
