"""`helm` on the project's chart: what it says, and what it renders from which values."""

import json
import subprocess
from typing import Any

import yaml

from cluster.layout import BIN, PROJECT

CHART = PROJECT / "charts" / "bertfinetune-operator"
Raw = dict[str, Any]
Objects = dict[tuple[str, str, str], Raw]
"""Objects by kind, namespace and name."""


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "helm", *arguments], check=False, capture_output=True, text=True)


def sets(values: Raw) -> list[str]:
    """The arguments that set values, whose names have dots."""
    return [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]


def template(release: str = "op", namespace: str = "system", **values: Any) -> subprocess.CompletedProcess[str]:
    """Run `helm template` with the values; it never raises."""
    return helm("template", release, str(CHART), f"--namespace={namespace}", *sets(values))


def render(release: str = "op", **values: Any) -> Objects:
    """The objects that it makes of the values."""
    done = template(release, **values)
    assert done.returncode == 0, done.stderr
    objects = [raw for raw in yaml.safe_load_all(done.stdout) if raw]
    found = {(raw["kind"], raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): raw for raw in objects}
    assert len(found) == len(objects)
    return found
