"""Asks kubectl, which only reads: the one place that talks to a cluster."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bertfinetune_preflight.checks import CRD, PROMETHEUS
from bertfinetune_preflight.seen import Object, Seen

OWN_CRD = Path(__file__).parents[3] / "crds" / f"{CRD}.yaml"


class GatherError(Exception):
    """A question that was not answered; the message has kubectl's words."""


def gather(options: Sequence[str], namespace: str) -> Seen:
    """Ask for all that the checks look at; `options` choose the cluster, as kubectl takes them.

    Raises:
        GatherError: there is no kubectl, no such cluster, or no right to read something.
    """

    def ask(*arguments: str) -> Object:
        return _kubectl(*options, *arguments)

    def items(*arguments: str) -> Sequence[Object]:
        found: Sequence[Object] = ask("get", "--ignore-not-found", *arguments).get("items", ())
        return found

    version = ask("version")["serverVersion"]["gitVersion"]  # first: whether anybody answers at all
    here = (f"--namespace={namespace}",)
    return Seen(
        version=version,
        nodes=items("nodes"),
        workloads=items("deployments,daemonsets", "--all-namespaces"),
        crds=items("customresourcedefinitions", CRD, *PROMETHEUS),
        runtime_classes=items("runtimeclasses"),
        storage_classes=items("storageclasses"),
        # kubectl reads YAML, and Python without packages does not; --local asks no server
        own_crd=ask("patch", "--local", "--type=merge", "--patch={}", f"--filename={OWN_CRD}"),
        namespace=namespace,
        namespaces=items("namespaces", f"--field-selector=metadata.name={namespace}") if namespace else (),
        claims=items("persistentvolumeclaims", *here) if namespace else (),
    )


def _kubectl(*arguments: str) -> Object:
    try:
        command = ["kubectl", *arguments, "--output=json"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    except FileNotFoundError as error:
        raise GatherError("kubectl is not on the PATH: install it, in a version near the cluster's") from error
    except subprocess.TimeoutExpired as error:
        raise GatherError(f"kubectl {' '.join(arguments)}: no answer in 60 s. Is this the right cluster?") from error
    if done.returncode:
        raise GatherError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    answer: Object = json.loads(done.stdout or "{}")
    return answer
