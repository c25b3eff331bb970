import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bertfinetune_operator import contract
from bertfinetune_operator.api.status import Result, printable
from bertfinetune_operator.decision.decide import decide
from bertfinetune_operator.decision.views import MAX_MESSAGE, parse_result, view_pod, view_progress
from support import builders as make
from support.builders import RUNNING
from support.merge import apply

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"accuracy": 0.8, "f1": 0.9, "collapsed": false}', Result(accuracy=0.8, f1=0.9, collapsed=False)),
        ('{"accuracy": null, "collapsed": true, "msPerStep": NaN, "later": 1}', Result(collapsed=True)),
        ('{"accuracy": 0.8}', None),
        ("[0.8, 0.9]", None),
        ("", None),
        ("Killed", None),
    ],
)
def test_result(text: str, expected: Result | None) -> None:
    assert parse_result(text) == expected


@given(st.text() | json_values.map(repr))
def test_any_termination_message_is_survived(text: str) -> None:
    assert parse_result(text) is None


@given(
    st.dictionaries(
        st.sampled_from(contract.PROGRESS_KEYS),
        json_values,
    )
)
@example({"phase": "Training", "step": math.inf, "totalSteps": 1, "percent": 1})
@example({"phase": "Training", "step": 1, "totalSteps": 1, "percent": 1, "evalBatches": 2**63})
@example({"phase": "Training", "step": 1, "totalSteps": 1, "percent": 1, "peakMemoryBytes": 10**400})
@example({"phase": ["Training"], "step": 1, "totalSteps": 1, "percent": 1})
def test_any_report_is_survived(report: dict[str, Any]) -> None:
    seen = make.seen([make.job()], [make.pod(state=RUNNING)], {"pod-1": report})
    if seen.progress:
        assert seen.progress.progress.summary.startswith(f"{seen.progress.progress.step}/")
        assert math.isfinite(seen.progress.peak_memory or 0)
    raw = make.bertfinetune(spec={"stalledDeadlineSeconds": 60})
    status = apply(None, decide(raw, seen, make.SETTINGS, make.NOW).status_patch)
    assert status["phase"] in ("Preparing", "Running")


def test_a_diverged_loss_is_left_out() -> None:
    view = view_progress({"phase": "Training", "step": 1, "totalSteps": 2, "percent": 50, "loss": float("nan")})
    assert view
    assert view.progress.loss is None


def test_only_the_newest_pods_report_counts() -> None:
    report = {"phase": "Training", "step": 1, "totalSteps": 2, "percent": 50}
    pods = [make.pod("b", created="2026-01-02T03:02:00Z"), make.pod("a", created="2026-01-02T03:01:00Z")]
    assert [pod.name for pod in make.seen([], pods).pods] == ["a", "b"]
    assert make.seen([], pods, {"a": report}).progress is None
    assert make.seen([], pods, {"b": report}).progress


@pytest.mark.parametrize("label", ["", "-1", "one", "\u0661"])
def test_a_child_with_an_odd_label_belongs_to_the_first_attempt(label: str) -> None:
    pod = make.pod(attempt=3)
    assert view_pod(pod).attempt == 3
    pod["metadata"]["labels"]["bertfinetune.dev/attempt"] = label
    assert view_pod(pod).attempt == 0


HOSTILE = "a\x1b[2J\x1b]0;owned\x07b\u202ec\x00\x85\x9b"


def test_what_a_trainer_says_cannot_steer_a_terminal() -> None:
    ended = {"terminated": {"exitCode": 70, "message": json.dumps({"message": f"{HOSTILE}\r\none\ttwo\rthree"})}}
    failure = view_pod(make.pod(state=ended)).failure
    assert failure
    assert failure.message == "a\ufffd[2J\ufffd]0;owned\ufffdb\ufffdc\ufffd\ufffd\ufffd\none\ttwo\nthree"
    result = parse_result(json.dumps({"collapsed": True, "collapseReason": HOSTILE, "checkpoint": HOSTILE}))
    assert result
    assert result.collapse_reason == result.checkpoint == printable(HOSTILE)


@given(st.text())
def test_printable_is_printable_and_stays_so(text: str) -> None:
    clean = printable(text)
    steering = [c for c in clean if unicodedata.category(c)[0] == "C" or unicodedata.category(c) in ("Zl", "Zp")]
    assert set(steering) <= {"\n", "\t"}
    assert printable(clean) == clean


@pytest.mark.parametrize(
    "text", ["\u6570\u636e\u3000\u9519\u8bef", "1\u202f000\u00a0pas", "\u0440\u0430\u0443\u043d\u0434 \u2192 3"]
)
def test_every_script_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 1e300])
def test_a_count_that_the_api_server_would_refuse_is_no_report(step: float) -> None:
    assert view_progress({"phase": "Training", "step": step, "totalSteps": 2, "percent": 50}) is None
    assert parse_result(json.dumps({"collapsed": False, "steps": int(step)})) is None


def test_a_failure_keeps_the_end_of_the_log() -> None:
    log = "x" * 3000 + "\nValueError: boom\n"
    view = view_pod(make.pod(state={"terminated": {"exitCode": 70, "message": log}}))
    assert view.failure
    assert len(view.failure.message) == MAX_MESSAGE
    assert view.failure.message.endswith("ValueError: boom")


def disrupted(reason: str, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": "DisruptionTarget", "status": status, "reason": reason}]}


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        ({"exitCode": 64}, {}, "BadConfig"),
        ({"exitCode": 66}, {}, "BadModel"),
        ({"exitCode": 69}, {}, "DeviceFault"),
        ({"exitCode": 74}, {}, "Storage"),
        ({"exitCode": 75}, {}, "Interrupted"),
        ({"exitCode": 75}, disrupted("PreemptionByScheduler"), "Interrupted"),
        ({"exitCode": 70}, {}, "Unknown"),
        ({"exitCode": 1}, {}, "Unknown"),
        ({"exitCode": 128, "reason": "StartError"}, {}, "Unknown"),
        ({"exitCode": 137, "reason": "OOMKilled"}, disrupted("EvictionByEvictionAPI"), "OOMKilled"),
        ({"exitCode": 137}, {"reason": "Evicted"}, "Evicted"),
        ({}, {"reason": "NodeLost"}, "NodeLost"),
        ({}, {"reason": "UnexpectedAdmissionError"}, "DeviceNotAllotted"),
        ({"exitCode": 143}, disrupted("PreemptionByScheduler"), "Evicted"),
        ({"exitCode": 137}, disrupted("DeletionByTaintManager"), "NodeLost"),
        ({"exitCode": 137}, disrupted("SomethingNew"), "Evicted"),
        ({"exitCode": 143}, disrupted("PreemptionByScheduler", "False"), "Unknown"),
    ],
)
def test_failure_classes(state: dict[str, Any], status: dict[str, Any], expected: str) -> None:
    failure = view_pod(make.pod(state={"terminated": state}, **({"phase": "Failed"} | status))).failure
    assert failure
    assert failure.class_ == expected


PLACE_IT = (
    "; the device plugin serves only pods that Ascend's plugin for Volcano has placed: set the chart's"
    " scheduling.defaultSchedulerName, or spec.scheduling.schedulerName in a new run, to volcano, or start the"
    " device plugin with volcanoType=false"
)
ILL = "cannot allocate unhealthy devices huawei.com/Ascend910"
SHORT = "requested number of devices unavailable for huawei.com/Ascend910. Requested: 1, Available: 0"
SEE_LOG = "; if this does not pass, see the log of the device plugin on that node"


@pytest.mark.parametrize(
    ("words", "device", "expected", "remedy"),
    [
        ("rpc error: code = Unknown desc = not get valid pod", "npu", "DeviceNotAllotted", PLACE_IT),
        (SHORT, "npu", "DeviceNotAllotted", SEE_LOG),
        (f"no healthy devices present; {ILL}", "npu", "DeviceNotAllotted", SEE_LOG),
        ("cannot allocate unregistered device huawei.com/Ascend910", "npu", "DeviceNotAllotted", SEE_LOG),
        (f"previously allocated devices are no longer healthy; {ILL}", "npu", "DeviceFault", ""),
        ("not enough cpus available to satisfy request: requested=2, available=1", "cpu", "Unknown", ""),
    ],
)
def test_a_pod_that_the_kubelet_refuses(words: str, device: str, expected: str, remedy: str) -> None:
    """Nothing of it has run. The kubelet's words stay, and what can be done follows them."""
    message = f"Pod was rejected: Allocate failed due to {words}, which is unexpected"
    refused = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": message}
    failure = view_pod(make.pod(device=device, **refused)).failure
    assert failure
    assert (failure.class_, failure.exit_code, failure.message) == (expected, None, message + remedy)


@pytest.mark.parametrize("number", [6, 11])
def test_an_aborted_process_means_a_broken_card_where_there_is_one(number: int) -> None:
    """Images whose trainer has no parent, and the parent itself, end so; on the CPU it is a bug."""
    state = {"terminated": {"exitCode": 128 + number, "reason": "Error"}}
    failures = [view_pod(make.pod(state=state, device=device)).failure for device in ("npu", "cpu")]
    assert [failure and failure.class_ for failure in failures] == ["DeviceFault", "Unknown"]
    fetching = view_pod(make.pod(fetching=state)).failure
    assert fetching
    assert fetching.class_ == "Unknown"


def test_a_killed_pod_that_was_being_deleted_was_interrupted() -> None:
    killed = make.pod(state={"terminated": {"exitCode": 137}}, deletionTimestamp="2026-01-02T03:09:00Z")
    failure = view_pod(killed).failure
    assert failure
    assert failure.class_ == "Interrupted"
