import subprocess
from typing import Any, cast

import pytest

from lab.cluster.errors import ClusterError
from lab.cluster.kubectl import Kubectl
from lab.demo.follow import follow


class Answers:
    """kubectl that shows one status after the other, and a log."""

    def __init__(self, *statuses: dict[str, Any]) -> None:
        self.statuses = list(statuses)

    def get(self, *_arguments: str) -> dict[str, Any]:
        return {"status": self.statuses.pop(0)}

    def run(self, *arguments: str, check: bool) -> subprocess.CompletedProcess[str]:
        assert "job/mrpc-1" in arguments
        assert not check
        return subprocess.CompletedProcess(arguments, 0, "BadData: /data/train.tsv, line 7\n", "")


def watch(*statuses: dict[str, Any]) -> dict[str, Any]:
    return follow(cast("Kubectl", Answers(*statuses)), "demo", "mrpc", interval=0)


def test_phases_and_progress_are_shown_until_it_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    progress = {"step": 41, "totalSteps": 100, "percent": 41, "loss": 0.4321, "msPerStep": 750.4, "etaSeconds": 44}
    finished = watch(
        {},
        {"phase": "Pending", "message": "no node has a free card"},
        {"phase": "Running", "progress": progress},
        {"phase": "Succeeded", "message": "accuracy 0.8113", "progress": progress | {"percent": 100}},
    )
    assert finished["status"]["phase"] == "Succeeded"
    shown = capsys.readouterr().out
    assert "Pending: no node has a free card" in shown
    assert "step 41/100, loss 0.432, 750 ms/step, 44 s left" in shown
    assert "Succeeded: accuracy 0.8113" in shown


def test_a_failure_tells_its_reason_and_the_end_of_the_log() -> None:
    failed = {"phase": "Failed", "reason": "BadData", "message": "pod mrpc-1-x exited 65", "jobName": "mrpc-1"}
    with pytest.raises(ClusterError) as error:
        watch({"phase": "Pending"}, failed)
    assert str(error.value).splitlines() == [
        "BertFinetune demo/mrpc failed: BadData: pod mrpc-1-x exited 65",
        "the last lines of its log:",
        "BadData: /data/train.tsv, line 7",
    ]
