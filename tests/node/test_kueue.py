"""The real Kueue pre-empts a run on the real kubelet, and the run goes on from its checkpoint."""

import pytest

from node.season import ACCEPT, FIRST, NAMESPACE, ONE_EPOCH, SHORT, Ended, Run, joins
from support import runs as support

pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures("queue")]
QUEUED = ACCEPT | {"scheduling": {"queue": NAMESPACE}}
URGENT = ACCEPT | {"scheduling": {"queue": NAMESPACE, "priorityClassName": "urgent"}, "training": SHORT}


def is_preempted(run: Run) -> Ended:
    """An urgent run takes its card while it trains, and gives it back."""
    run.reaches(8)
    urgent = Run(run.stage, "urgent")
    urgent.create(support.manifest(urgent.name, URGENT))
    held = run.until(lambda status: status["phase"] == "Queued" and status["message"].startswith("Pending: "))
    assert urgent.ends()["phase"] == "Succeeded"
    return Ended(run, run.ends(), held)


preempted = joins("preempted", QUEUED | {"training": ONE_EPOCH}, is_preempted, turn=FIRST)


def test_a_preempted_run_says_why_it_waits_and_goes_on_from_its_checkpoint(preempted: Ended) -> None:
    assert any(words in preempted.earlier["message"] for words in ("Preempted to accommodate", "unused quota"))
    status = preempted.status
    assert (status["phase"], status["retries"], status["attempt"]) == ("Succeeded", 0, 0), status
    assert status["podName"] != preempted.earlier["podName"]
    assert "resuming" in preempted.log()
