"""What kstatus, `kubectl wait` and a restore make of runs, on a real API server."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import BIN, KUBERNETES
from lab.operator.installed import installed_operators_paused
from lab.operator.played import RESULT, STARTED, Run
from lab.operator.process import Operator, until
from pages.commands import blocks
from support import builders as make

pytestmark = pytest.mark.usefixtures("crd")

Raw = dict[str, Any]
PAGE = "operator/docs/gitops.md"
BAD_DATA = {"outcome": "Failed", "class": "BadData", "message": "no such file"}


@pytest.fixture
def operator(kubectl: RunKubectl, kubeconfig: str, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """For the test's namespace; not yet started."""
    process = Operator(kubeconfig, tmp_path / "log", watch_namespaces=namespace)
    with installed_operators_paused(kubectl):
        yield process


@pytest.fixture
def run(kubectl: RunKubectl, namespace: str) -> Run:
    return Run(kubectl, namespace)


def kstatus(raw: Raw) -> str:
    """What the real kstatus says of an object."""
    done = subprocess.run([BIN / "kstatus"], check=True, capture_output=True, text=True, input=json.dumps(raw))
    return done.stdout.strip()


def test_kstatus_follows_a_run_from_before_the_operator_sees_it_to_its_end(operator: Operator, run: Run) -> None:
    run.create()
    fresh = run.get()
    assert "phase" not in fresh["status"]
    assert kstatus(fresh) == "InProgress"
    with operator:
        run.becomes(phase="Pending")
        assert kstatus(run.get()) == "InProgress"
        pod = run.pod()
        run.report(pod, "Running", {"running": STARTED})
        run.becomes(phase="Preparing")
        assert kstatus(run.get()) == "InProgress"
        run.end(pod, 0, RESULT)
        run.becomes(phase="Succeeded")
        assert kstatus(run.get()) == "Current"

        run.change(ttlSecondsAfterFinished=3600)
        assert kstatus(run.get()) == "InProgress"  # nobody has looked at that yet
        run.becomes(phase="Succeeded", observedGeneration=2)
        assert kstatus(run.get()) == "Current"
        assert operator.stop() == 0


def test_kstatus_knows_a_failed_and_a_suspended_run(operator: Operator, run: Run) -> None:
    run.create(suspend=True)
    with operator:
        run.becomes(phase="Suspended", reason="Suspended")
        assert kstatus(run.get()) == "Current"
        run.change(suspend=False)
        run.end(run.pod(), 65, BAD_DATA)
        run.becomes(phase="Failed")
        failed = run.get()
        assert kstatus(failed) == "Failed"
        (stalled,) = [c for c in failed["status"]["conditions"] if c["type"] == "Stalled"]
        assert (stalled["reason"], stalled["message"]) == ("BadData", failed["status"]["message"])
        assert operator.stop() == 0


def test_the_default_costs_no_write_and_what_0_2_0_finished_is_not_written_again(operator: Operator, run: Run) -> None:
    run.create()
    recorded = yaml.safe_load(FINISHED_BY_0_2_0)
    run.patch("bft", "minimal", {"status": recorded}, "--subresource=status")
    before = run.get()
    assert before["status"] == recorded
    with operator:
        until(lambda: "\nbertfinetune_info{" in operator.get("/metrics").text, operator.log.read_text)  # it has seen it
        assert operator.stop() == 0
    assert run.get() == before
    assert kstatus(before) == "Current"
    assert run.items("jobs") == []


FINISHED_BY_0_2_0 = """
observedGeneration: 1
phase: Succeeded
reason: Succeeded
message: accuracy 0.8627, F1 0.9000
attempt: 0
retries: 0
activeSeconds: 372
startTime: "2026-01-02T03:00:00Z"
completionTime: &at "2026-01-02T03:06:12Z"
duration: 6m12s
conditions:
  - {type: Running, status: "False", reason: Succeeded, message: "", observedGeneration: 1, lastTransitionTime: *at}
  - {type: Succeeded, status: "True", reason: Succeeded, message: "", observedGeneration: 1, lastTransitionTime: *at}
"""


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_one_command_returns_at_either_end(operator: Operator, run: Run, kubeconfig: str, phase: str) -> None:
    wait, told = (command.text for command in next(block for block in blocks(PAGE) if len(block) == 2))
    run.create()
    waiting = shell(wait, run, kubeconfig)
    with operator:
        pod = run.pod()
        assert waiting.poll() is None
        run.end(pod, *{"Succeeded": (0, RESULT), "Failed": (65, BAD_DATA)}[phase])
        run.becomes(phase=phase)
        assert waiting.communicate(timeout=30)[0] == "bertfinetune.bertfinetune.dev/minimal condition met\n"
        assert shell(told, run, kubeconfig).communicate(timeout=30)[0].strip() == phase
        assert operator.stop() == 0


def shell(command: str, run: Run, kubeconfig: str, folder: Path | None = None) -> subprocess.Popen[str]:
    """A command of a page, in the test's namespace."""
    text = command.replace("NAMESPACE", run.namespace).replace("NAME", "minimal")
    environ = {  # without a home kubectl keeps its cache in the project
        "HOME": os.environ["HOME"],
        "PATH": f"{KUBERNETES}:{BIN}:/usr/bin:/bin",
        "KUBECONFIG": kubeconfig,
    }
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environ,
    )


def restoring(command: str) -> list[str]:
    """The commands of the page's block that has this one in it, but for those that need an installation."""
    block = next(block for block in blocks(PAGE) if any(command in part.text for part in block))
    return [part.text for part in block if "scale deployment" not in part.text]


NAMES = {"done": "Succeeded", "broken": "Failed", "paused": "Suspended", "at-work": "Preparing"}
"""A run in each of these phases."""


class Runs:
    """Several objects in one namespace, and what becomes of them in a restore."""

    def __init__(self, run: Run, kubeconfig: str, folder: Path) -> None:
        self.run, self.kubeconfig, self.folder = run, kubeconfig, folder

    def create(self) -> None:
        for name in NAMES:
            raw = yaml.safe_load(make.MINIMAL)
            raw["metadata"] = {"name": name}
            raw["spec"] |= {"scheduling": {"nodeSelector": {"nowhere": "true"}}, "suspend": name == "paused"}
            self.run.call("create", "--filename=-", stdin=json.dumps(raw))

    def phases(self) -> dict[str, str]:
        return {raw["metadata"]["name"]: raw.get("status", {}).get("phase", "") for raw in self.run.items("bft")}

    def statuses(self) -> dict[str, Raw]:
        return {raw["metadata"]["name"]: raw["status"] for raw in self.run.items("bft")}

    def jobs(self) -> set[str]:
        return {job["metadata"]["labels"]["app.kubernetes.io/instance"] for job in self.run.items("jobs")}

    def end(self) -> None:
        """Play each to its phase."""
        until(lambda: len(self.run.items("pods")) == 3, lambda: self.run.items("pods"))
        for pod in self.run.items("pods"):
            name = pod["metadata"]["name"]
            match pod["metadata"]["labels"]["app.kubernetes.io/instance"]:
                case "done":
                    self.run.end(name, 0, RESULT)
                case "broken":
                    self.run.end(name, 65, BAD_DATA)
                case "at-work":
                    self.run.report(name, "Running", {"running": STARTED})
        until(lambda: self.phases() == NAMES, self.phases)

    def follow(self, commands: list[str]) -> None:
        for command in commands:
            one_namespace = command.replace("--all-namespaces", f"--namespace={self.run.namespace}")
            process = shell(one_namespace, self.run, self.kubeconfig, self.folder)
            said, _ = process.communicate(timeout=60)
            assert process.returncode == 0, said

    def lose(self) -> None:
        self.run.call("delete", "bft", "--all", "--cascade=foreground", "--timeout=60s")
        assert (self.phases(), self.jobs()) == ({}, set())


@pytest.fixture
def runs(run: Run, kubeconfig: str, tmp_path: Path) -> Runs:
    return Runs(run, kubeconfig, tmp_path)


def test_a_restore_with_status_trains_nothing_again_that_has_ended(operator: Operator, runs: Runs) -> None:
    runs.create()
    with operator:
        runs.end()
        assert operator.stop() == 0
    before = runs.statuses()
    runs.follow(restoring("get bertfinetunes --all-namespaces"))
    runs.lose()
    runs.follow(restoring("replace --subresource=status"))
    assert runs.statuses() == before
    with operator:
        until(lambda: runs.jobs() == {"at-work"}, operator.log.read_text)
        until(lambda: runs.phases()["at-work"] == "Pending", runs.phases)
        after = runs.statuses()
        assert [name for name in NAMES if after[name] == before[name]] == ["done", "broken"]
        folder = {"outputFolder": after["paused"]["outputFolder"]}  # it holds the new object's uid
        assert after["paused"] == before["paused"] | folder
        assert operator.stop() == 0


def test_a_restore_of_suspended_objects_starts_what_it_is_told_to(operator: Operator, runs: Runs) -> None:
    runs.create()
    runs.follow(restoring("get bertfinetunes --all-namespaces"))
    runs.lose()
    *restore, resume = restoring("suspended.json")
    with operator:
        runs.follow(restore)
        until(lambda: set(runs.phases().values()) == {"Suspended"}, runs.phases)
        assert runs.jobs() == set()
        runs.follow([resume.replace("NAMESPACE", runs.run.namespace).replace("NAME", "at-work")])
        until(lambda: runs.jobs() == {"at-work"}, operator.log.read_text)
        assert operator.stop() == 0
