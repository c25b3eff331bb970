"""What an operator beside the test has of an installation: its rights, and that no other one is at work."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from chart.helm import template

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
SELECTOR = "--selector=app.kubernetes.io/name=bertfinetune-operator"


@contextmanager
def installed_operators_paused(kubectl: Kubectl) -> Iterator[None]:
    """Two operators would contradict each other: only one of them sees the trainer that the test plays."""
    found = json.loads(kubectl("get", "deployments", "--all-namespaces", SELECTOR, "--output=json").stdout)["items"]
    replicas = {f"--namespace={item['metadata']['namespace']}": item["spec"]["replicas"] for item in found}
    try:
        for namespace in replicas:
            kubectl("scale", namespace, "deployment", SELECTOR, "--replicas=0")
            gone = kubectl("wait", namespace, "pod", SELECTOR, "--for=delete", "--timeout=60s")
            assert gone.returncode == 0, gone.stderr
        yield
    finally:
        for namespace, count in replicas.items():
            kubectl("scale", namespace, "deployment", SELECTOR, f"--replicas={count}")


@contextmanager
def service_account(
    kubectl: Kubectl, kubeconfig: str, folder: Path, release: str, namespace: str, **values: Any
) -> Iterator[Path]:
    """The chart, installed without a replica, and a kubeconfig with its ServiceAccount's token; gone at the end."""
    chart = template(release, namespace, **{"replicas": 0, "crds.install": False} | values).stdout
    done = kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=chart)
    assert done.returncode == 0, done.stderr
    try:
        config = yaml.safe_load(Path(kubeconfig).read_text())
        token = kubectl("create", "token", release, f"--namespace={namespace}").stdout.strip()
        for user in config["users"]:
            user["user"] = {"token": token}
        path = folder / f"{release}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        yield path
    finally:
        kubectl("delete", "--filename=-", "--ignore-not-found", stdin=chart)
        kubectl("delete", "lease", release, f"--namespace={namespace}", "--ignore-not-found")
