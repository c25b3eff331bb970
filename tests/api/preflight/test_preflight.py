"""`make preflight` against a real API server: what a first run needs is taken away in turn, and put back.

The cluster is an API server with its controllers, beside the one that other tests use. Nothing runs in its pods, of
which the test says that they are ready, and the version of Kubernetes stays what it is.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from lab.cluster import beside
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import BIN, KUBERNETES, NODE_IP, PROJECT
from lab.demo.target import Target
from lab.operator.process import until
from support.helm import CHART

HERE = Path(__file__).parent
TAKEN: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "taken_away.yaml").read_text())
READY = '{"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}'
OF_THE_VERSION = "Kubernetes"
"""The check whose prerequisite no command takes away. A Kubernetes that is younger than MindCluster's is a warning."""


class Row(NamedTuple):
    """A line of the printed table."""

    verdict: str
    seen: str
    needed: str
    remedy: str


class Cluster:
    """A cluster that preflight is asked about, and people change."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl

    def do(self, commands: str, **variables: str) -> None:
        """Run commands of a shell, in which those of words.sh are known."""
        files = {"MANIFESTS": HERE, "CHART": CHART, "CLAIMS": CHART / "files/claims/claims.yaml"}
        known = files | {"CRDS": PROJECT / ".build/crds", "KUBECONFIG": self.kubectl.kubeconfig} | variables
        path = f"{KUBERNETES}:{BIN}:{os.environ['PATH']}"
        environment = os.environ | {name: str(value) for name, value in known.items()} | {"PATH": path}
        command = ["bash", "-c", f". {HERE}/words.sh\n{commands}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr

    def start_pods(self) -> None:
        """Play the kubelet: each pod that is new gets ready."""
        new = self.kubectl.get("pods", "--all-namespaces", "--field-selector=status.phase=Pending")["items"]
        for pod in (pod["metadata"] for pod in new):
            where = (f"--namespace={pod['namespace']}", pod["name"], "--subresource=status")
            self.kubectl.run("patch", "pod", *where, f"--patch={READY}", check=False)  # it may be gone by now

    def preflight(self, *variables: str) -> subprocess.CompletedProcess[str]:
        """Call it as people do."""
        command = ["make", "preflight", *variables]
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=PROJECT)

    def rows(self) -> dict[str, Row]:
        """What preflight prints, by check."""
        self.start_pods()
        done = self.preflight(f"KUBECONFIG={self.kubectl.kubeconfig}", "NAMESPACE=research")
        rows = rows_of(done.stdout)
        assert rows, done.stderr
        failed = any(row.verdict == "FAIL" for row in rows.values())
        assert done.returncode == (2 if failed else 0), done.stderr  # make's own code for any failure
        return rows


def rows_of(table: str) -> dict[str, Row]:
    header, *lines = table.splitlines()
    starts = [0, *(header.index(title) for title in ("CHECK", "SEEN", "NEEDED"))]
    rows: dict[str, Row] = {}
    for line in lines[: lines.index("")]:
        if remedy := re.match(r" +-> (.*)", line):
            last, row = rows.popitem()
            rows[last] = row._replace(remedy=remedy[1])
        else:
            columns = zip(starts, [*starts[1:], None], strict=True)
            verdict, check, seen, needed = (line[start:end].strip() for start, end in columns)
            rows[check] = Row(verdict, seen, needed, "")
    return rows


@pytest.fixture(scope="module")
def cluster(target: Target) -> Iterator[Cluster]:
    """A MindCluster with the operator and the claims of a first run."""
    assert target.is_local
    with beside.control_plane() as kubectl:
        made = Cluster(kubectl)
        account = ("--namespace=default", "get", "serviceaccount", "default")
        until(lambda: kubectl.run(*account, check=False).returncode == 0, lambda: "no controllers", 60)
        made.do("prometheus && mindcluster && operator && claims_again")
        yield made


@pytest.fixture(scope="module")
def ready(cluster: Cluster) -> dict[str, Row]:
    """The table when nothing is missing."""
    rows: dict[str, Row] = {}

    def settled() -> bool:
        rows.update(cluster.rows())
        return not [check for check, row in rows.items() if row.verdict in ("FAIL", "warn") and check != OF_THE_VERSION]

    until(settled, lambda: rows, 120)
    return rows


def test_a_cluster_that_is_ready(ready: dict[str, Row]) -> None:
    assert {check for check, row in ready.items() if row.verdict == "look"} == {"device files", "trainer's image"}


@pytest.mark.parametrize("name", TAKEN)
def test_it_tells_what_was_taken_away_and_that_it_is_back(cluster: Cluster, ready: dict[str, Row], name: str) -> None:
    case = TAKEN[name]
    check, also, seen = case["check"], set(case.get("also", ())), dict(ready)

    def differing() -> set[str]:
        """The checks whose rows are not those of the ready cluster."""
        seen.update(cluster.rows())
        return {check for check, row in seen.items() if row != ready[check]} - {OF_THE_VERSION}

    try:
        cluster.do(case["away"])
        until(lambda: differing() == {check} | also, lambda: seen, 60)
        row = seen[check]
        told = (row.verdict, case["seen"] in row.seen, case["remedy"] in row.remedy)
        assert told == (case["verdict"], True, True), row
    finally:
        cluster.do(case["back"], REMEDY=seen[check].remedy)
    if "then" in case:
        until(lambda: differing() - {check} == also and seen[check].verdict == "ok", lambda: seen, 60)
        cluster.do(case["then"])
    until(lambda: not differing(), lambda: seen, 60)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("a-visitor", 'User "a-visitor" cannot list resource "nodes"'),
        ("nowhere", "was refused - did you specify the right host or port?"),
        ("not-there", 'context "not-there" does not exist'),
    ],
    ids=["rights", "server", "context"],
)
def test_without_an_answer_it_says_why(cluster: Cluster, tmp_path: Path, context: str, words: str) -> None:
    config = yaml.safe_load(cluster.kubectl.kubeconfig.read_text())
    (admin,), (there,) = config["users"], config["clusters"]
    config["users"].append({"name": "a-visitor", "user": admin["user"] | {"as": "a-visitor"}})
    config["clusters"].append({"name": "nowhere", "cluster": there["cluster"] | {"server": f"https://{NODE_IP}:1"}})
    config["contexts"] += [
        {"name": "a-visitor", "context": {"cluster": there["name"], "user": "a-visitor"}},
        {"name": "nowhere", "context": {"cluster": "nowhere", "user": admin["name"]}},
    ]
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    done = cluster.preflight(f"KUBECONFIG={file}", f"CONTEXT={context}", "NAMESPACE=research")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("preflight: kubectl ")
    assert words in done.stderr


def test_each_check_has_lost_something(ready: dict[str, Row]) -> None:
    assert {case["check"] for case in TAKEN.values()} == ready.keys() - {OF_THE_VERSION}
