"""What an operator beside the test has of an installation: its rights, and that no other one is at work."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bertfinetune_operator import naming
from lab.cluster.kubectl import RunKubectl
from lab.operator.process import until
from support.helm import template

SELECTOR = "--selector=app.kubernetes.io/name=bertfinetune-operator"


@contextmanager
def installed_operators_paused(kubectl: RunKubectl) -> Iterator[None]:
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
    kubectl: RunKubectl, kubeconfig: str, folder: Path, release: str, namespace: str, **values: Any
) -> Iterator[Path]:
    """The chart, installed without a replica, and a kubeconfig with its ServiceAccount's token; gone at the end."""
    fixed = {"replicas": 0, "crds.install": False, "fullnameOverride": release}
    chart = template(release, namespace, **fixed | values).stdout
    done = kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=chart)
    assert done.returncode == 0, done.stderr
    try:
        yield token_kubeconfig(kubectl, kubeconfig, folder, release, namespace)
    finally:
        kubectl("delete", "--filename=-", "--ignore-not-found", stdin=chart)
        kubectl("delete", "lease", release, f"--namespace={namespace}", "--ignore-not-found")


def until_it_may_own(kubectl: RunKubectl, user: str, namespace: str) -> None:
    """Wait for OwnerReferencesPermissionEnforcement, which learns of a new CRD within half a minute.

    Until then the API server refuses an operator's Jobs; the operator tries them again.
    """
    owner = {"apiVersion": naming.API_VERSION, "kind": "BertFinetune", "name": "any", "uid": "any"}
    meta = {"name": "owned", "ownerReferences": [owner | {"blockOwnerDeletion": True}]}
    pod = {"restartPolicy": "Never", "containers": [{"name": "any", "image": "any"}]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": {"spec": pod}}}
    as_the_operator = (f"--as={user}", f"--namespace={namespace}", "--dry-run=server", "--filename=-")

    def may_own() -> bool:  # whatever the chart's admission policy says of such a Job after that
        return "no matches for kind" not in kubectl("create", *as_the_operator, stdin=json.dumps(job)).stderr

    until(may_own, lambda: "the API server takes no BertFinetune for an owner", 60)


def token_kubeconfig(kubectl: RunKubectl, kubeconfig: str, folder: Path, release: str, namespace: str) -> Path:
    """A kubeconfig with the token of an installed release's ServiceAccount."""
    config = yaml.safe_load(Path(kubeconfig).read_text())
    token = kubectl("create", "token", release, f"--namespace={namespace}").stdout.strip()
    for user in config["users"]:
        user["user"] = {"token": token}
    path = folder / f"{namespace}-{release}.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def settings_of(deployment: dict[str, Any]) -> dict[str, str]:
    """What the chart tells the operator, as an Operator takes it; the downward API tells a pod the rest."""
    env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    told = {variable["name"]: variable["value"] for variable in env if "value" in variable}
    told["BERTFINETUNE_NAMESPACE"] = deployment["metadata"]["namespace"]
    return {name.removeprefix("BERTFINETUNE_").lower(): value for name, value in told.items()}
