"""The decision, as a table of what is seen and as properties that hold for everything that could be seen."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertfinetune_operator.decide import Decision, decide
from bertfinetune_operator.naming import job_name
from bertfinetune_operator.observe import Observed, observe
from bertfinetune_operator.status import FINISHED, PHASES
from golden import builders as make
from golden.scenes import (
    BAD_DATA,
    CASES,
    CREATING,
    DISRUPTED,
    PULLING,
    RESULT,
    RUNNING,
    UNSCHEDULABLE,
    Case,
    ended,
    report,
)

Raw = dict[str, Any]


def apply(status: Raw | None, patch: Raw | None) -> Raw:
    """A JSON merge patch applied, as the API server does it (RFC 7396)."""
    merged = dict(status or {})
    for key, value in (patch or {}).items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = apply(merged.get(key), value)
        else:
            merged[key] = value
    return merged


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_table(case: Case) -> None:
    job = None if case.job is None else make.job(**case.job)
    observed = observe(job, [make.pod(**pod) for pod in case.pods], {"pod-1": case.report} if case.report else {})
    decision = decide(make.bertfinetune(), observed, make.SETTINGS, make.NOW)
    status = apply(None, decision.status_patch)
    assert {key: status.get(key) for key in case.expected} == case.expected
    assert (decision.job is None) == (job is not None)
    assert [c["type"] for c in status["conditions"] if c["status"] == "True"] == {
        "Preparing": ["Running"],
        "Running": ["Running"],
        "Succeeded": ["Succeeded"],
        "Failed": ["Failed"],
    }.get(status["phase"], [])


states = st.sampled_from(
    [None, RUNNING, PULLING, CREATING, ended(0, RESULT), ended(0), ended(65, BAD_DATA), ended(137)]
)
attempts = st.lists(st.tuples(states, st.sampled_from([[], [UNSCHEDULABLE], [DISRUPTED]])), max_size=3)
jobs = st.none() | st.fixed_dictionaries(
    {"failed": st.integers(0, 4), "active": st.integers(0, 1)},
    optional={"condition": st.sampled_from([("Complete", "", ""), ("Failed", "BackoffLimitExceeded", "m")])},
)
phases = st.sampled_from(["Preparing", "Training", "Evaluating", "Finished", "?"])
reports = st.none() | st.builds(report, phases, st.integers(0, 343))


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    job, progress = draw(jobs), draw(reports)
    pods = [
        make.pod(f"pod-{number}", state, f"2026-01-02T03:0{number}:00Z", conditions=conditions)
        for number, (state, conditions) in enumerate(draw(attempts))
    ]
    told = {pod["metadata"]["name"]: progress for pod in pods} if progress else {}
    return observe(None if job is None else make.job(**job), pods, told, draw(st.none() | st.just("exceeded quota")))


@given(st.lists(observations(), min_size=1, max_size=4))
def test_any_history(history: list[Observed]) -> None:
    """Deciding again yields nothing, an end is final, what was seen is never lost, retries never fall."""
    status: Raw = {}
    for minute, observed in enumerate(history):
        time = make.NOW + timedelta(minutes=minute)
        decision = decide(make.bertfinetune(status), observed, make.SETTINGS, time)
        after = apply(status, decision.status_patch)
        again = decide(make.bertfinetune(after), observed, make.SETTINGS, time + timedelta(hours=1))
        assert again.status_patch is None
        assert after["phase"] in PHASES
        assert after["retries"] >= status.get("retries", 0)
        assert {"result", "lastFailure", "startTime", "jobName"} & set(status) <= set(after)
        if status.get("phase") in FINISHED:
            assert decision == Decision()
        status = after


def test_a_vanishing_object_gets_no_job() -> None:
    raw = make.bertfinetune(deletionTimestamp="2026-01-02T03:05:00Z")
    assert decide(raw, observe(None, []), make.SETTINGS, make.NOW) == Decision()


def test_a_job_is_asked_for_once() -> None:
    first = decide(make.bertfinetune(), observe(None, []), make.SETTINGS, make.NOW)
    assert first.job
    assert first.job["metadata"]["name"] == job_name("minimal", make.UID)
    assert decide(make.bertfinetune(), observe(make.job(), []), make.SETTINGS, make.NOW).job is None


def test_a_refused_job_says_why_and_is_asked_for_again() -> None:
    decision = decide(make.bertfinetune(), observe(None, [], refusal="exceeded quota"), make.SETTINGS, make.NOW)
    assert decision.job
    status = apply(None, decision.status_patch)
    assert (status["phase"], status["reason"], status["message"]) == ("Pending", "JobRefused", "exceeded quota")


def test_a_spec_stored_before_a_rule_existed_fails_with_the_field() -> None:
    raw = make.bertfinetune()
    raw["spec"]["output"] = {}
    status = apply(None, decide(raw, observe(None, []), make.SETTINGS, make.NOW).status_patch)
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "spec.output: Value error, set exactly one of claim, hostPath" in status["message"]


def test_the_clock_alone_changes_nothing_and_a_step_moves_the_duration_too() -> None:
    def seen(step: int) -> Observed:
        return observe(make.job(active=1), [make.pod(state=RUNNING)], {"pod-1": report("Training", step)})

    status = apply(None, decide(make.bertfinetune(), seen(143), make.SETTINGS, make.NOW).status_patch)
    later = make.NOW + timedelta(seconds=30)
    assert decide(make.bertfinetune(status), seen(143), make.SETTINGS, later).status_patch is None
    patch = decide(make.bertfinetune(status), seen(150), make.SETTINGS, later).status_patch
    assert patch == {"duration": "8m30s", "progress": {"step": 150, "percent": 43, "summary": "150/343 (43%)"}}


def test_events_follow_the_phase() -> None:
    failed = observe(make.job(failed=1), [make.pod(state=ended(70, "boom"))])
    first = decide(make.bertfinetune(), failed, make.SETTINGS, make.NOW)
    assert first.events == (("Warning", "Retrying", "Unknown: pod pod-1 on node-a exited 70: boom"),)
    status = apply(None, first.status_patch)
    assert decide(make.bertfinetune(status), failed, make.SETTINGS, make.NOW).events == ()


def test_a_condition_keeps_the_time_of_its_transition() -> None:
    running = observe(make.job(active=1), [make.pod(state=RUNNING)], {"pod-1": report("Training")})
    status = apply(None, decide(make.bertfinetune(), running, make.SETTINGS, make.NOW).status_patch)
    done = observe(make.job(("Complete", "", "")), [make.pod(state=ended(0, RESULT))])
    later = make.NOW + timedelta(hours=1)
    status = apply(status, decide(make.bertfinetune(status), done, make.SETTINGS, later).status_patch)
    times = {condition["type"]: condition["lastTransitionTime"] for condition in status["conditions"]}
    before, after = "2026-01-02T03:10:00Z", "2026-01-02T04:10:00Z"
    assert times == {"Running": after, "Succeeded": after, "Failed": before}


def test_a_result_outlives_its_pod() -> None:
    ending = observe(make.job(active=1), [make.pod(state=ended(0, RESULT))])
    status = apply(None, decide(make.bertfinetune(), ending, make.SETTINGS, make.NOW).status_patch)
    gone = observe(make.job(("Complete", "", "")), [])
    status = apply(status, decide(make.bertfinetune(status), gone, make.SETTINGS, make.NOW).status_patch)
    assert (status["phase"], status["result"]["accuracy"]) == ("Succeeded", 0.8137255)
    assert status["result"]["checkpoint"] == "research-minimal-11111111/model.ckpt-343"
