"""`helm` on the project's chart: what it says, and what it renders from which values."""

import functools
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.cluster.layout import BIN, KUBECONFIG, PROJECT

CHART = PROJECT / "charts" / "bertfinetune-operator"
(RELEASED,) = (PROJECT / "tests" / "lab" / "released").glob("*.tgz")
"""The chart of the release before this one."""
VALUES = sorted((CHART / "ci").iterdir())
"""Ways to install it: values files, for the tests that take each."""
IMAGES = f"--values={CHART / 'ci/default-values.yaml'}"
"""Some images, without which it refuses to be installed."""
Raw = dict[str, Any]
Objects = dict[tuple[str, str, str], Raw]
"""Objects by kind, namespace and name."""
OPERATOR = "op-bertfinetune-operator"
"""What the objects of release op are called."""
HELMS = ("helm", "helm4")
"""The programs of Helm 3 and of Helm 4."""


def helm(*arguments: str | Path, program: str = "helm") -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / program, *arguments], check=False, capture_output=True, text=True)


def sets(values: Raw) -> list[str]:
    """The arguments that set values, whose names have dots."""
    return [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]


def template(release: str = "op", namespace: str = "system", **values: Any) -> subprocess.CompletedProcess[str]:
    """Run `helm template` with the values; it never raises."""
    return by_both("template", release, CHART, f"--namespace={namespace}", IMAGES, *sets(values))


def conventions() -> dict[str, list[str]]:
    """Whose names the chart's values have, as the source of its README lists them: values by the README's letters."""
    lists = re.findall(r'\(list "([A-Za-z]+)" "(.+)"\)', (CHART / "README.md.gotmpl").read_text())
    return {letters: names.split() for letters, names in lists}


@functools.cache  # many tests look at the same rendering
def by_both(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What Helm 3 says and renders, once Helm 4 has said and rendered the same."""
    three, four = (helm(*arguments, program=program) for program in HELMS)
    assert four.returncode == three.returncode
    assert _essence(four) == _essence(three)
    return three


def _essence(done: subprocess.CompletedProcess[str]) -> tuple[list[str], list[str]]:
    """The errors in any order, and what was rendered: each has a form of its own for warnings and empty lines."""
    errors = sorted(done.stderr.partition("Error: ")[2].splitlines())
    return errors, [line for line in done.stdout.splitlines() if line.strip()]


def render(release: str = "op", namespace: str = "system", **values: Any) -> Objects:
    """The objects that they make of the values."""
    return objects_of(template(release, namespace, **values))


def objects_of(done: subprocess.CompletedProcess[str]) -> Objects:
    """The objects that were rendered, each once."""
    assert done.returncode == 0, done.stderr
    objects = [raw for raw in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if raw]
    found = {(raw["kind"], raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): raw for raw in objects}
    assert len(found) == len(objects)
    return found


@dataclass(frozen=True)
class Release:
    """A release in the local cluster."""

    name: str
    namespace: str

    def try_to(self, command: str, *arguments: str | Path, program: str = "helm") -> subprocess.CompletedProcess[str]:
        """``helm COMMAND NAME ARGUMENT...``, for one of Helm's commands that take a release's name first."""
        where = (f"--kubeconfig={KUBECONFIG}", f"--namespace={self.namespace}")
        return helm(*command.split(), self.name, *arguments, *where, program=program)

    def do(self, command: str, *arguments: str | Path, program: str = "helm") -> str:
        """The same, and what it says; it must work."""
        done = self.try_to(command, *arguments, program=program)
        assert done.returncode == 0, done.stderr
        return done.stdout
