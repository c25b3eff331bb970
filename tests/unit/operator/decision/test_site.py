"""What the operator's settings forbid or add where the object says nothing: refusals and the time to live."""

from dataclasses import replace
from typing import Any

import pytest

from bertfinetune_operator.decision.decide import decide
from support import builders as make
from support.builders import BEGUN, COMPLETE, RUNNING
from support.merge import apply

Raw = dict[str, Any]

CARD = {"trainer": {"resources": {"limits": {"example.com/npu": 4}}}}
SITE = replace(make.SETTINGS, ascend_resource="example.com/npu", ascend_virtual_devices={"2c": "example.com/half"})


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"limits": {"example.com/npu": 4}}, "remove example.com/npu, which"),
        ({"requests": {"example.com/npu-16c": 1}}, "remove example.com/npu-16c, which"),
        (
            {"requests": {"cpu": 1}, "limits": {"example.com/half": 1, "example.com/npu": 1}},
            "half, example.com/npu, which",
        ),
        ({"limits": {"example.com/npu-2c": 1, "memory": "1Gi"}}, None),
        (None, None),
    ],
)
@pytest.mark.parametrize("accelerator", ["Ascend910", "CPU"])
def test_cards_of_the_sites_own_name_are_not_asked_for_by_hand(
    accelerator: str, resources: Raw | None, words: str | None
) -> None:
    """The CRD refuses those of huawei.com already."""
    spec = {"accelerator": {"type": accelerator}, "trainer": {"resources": resources}}
    decision = decide(make.bertfinetune(spec=spec), make.seen(), SITE, make.NOW)
    assert (decision.create is None) == bool(words)
    status = apply(None, decision.status_patch)
    if words:
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
        assert words in status["message"]
        assert status["message"].startswith("spec.trainer.resources: ")
        assert status["message"].endswith("delete the object and create it again")
        assert [(event.type, event.reason) for event in decision.events] == [("Warning", "Failed")]


NO_CPU = replace(make.SETTINGS, trainer_image_cpu="")


@pytest.mark.parametrize("trainer", [None, {"env": []}])
def test_a_run_on_cpus_says_at_once_where_there_is_no_image_for_it(trainer: Raw | None) -> None:
    raw = make.bertfinetune(spec={"accelerator": {"type": "CPU"}, "trainer": trainer})
    decision = decide(raw, make.seen(), NO_CPU, make.NOW)
    status = apply(None, decision.status_patch)
    assert (decision.create, decision.is_urgent) == (None, True)
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert status["message"] == (
        "spec.accelerator.type: the operator has no trainer image for CPU, so set spec.trainer.image, or the chart's "
        "value trainer.images.cpu: delete the object and create it again"
    )


@pytest.mark.parametrize("spec", [{}, {"accelerator": {"type": "CPU"}, "trainer": {"image": "r/own:1"}}])
def test_without_an_image_for_cpus_other_runs_begin_as_ever(spec: Raw) -> None:
    assert decide(make.bertfinetune(spec=spec), make.seen(), NO_CPU, make.NOW).create


@pytest.mark.parametrize(("own", "deleted"), [({}, 1), ({"ttlSecondsAfterFinished": 3600}, 0)])
def test_the_sites_time_to_live_is_for_runs_without_one(own: Raw, deleted: int) -> None:
    ended = {"phase": "Succeeded", "completionTime": "2026-01-02T03:09:00Z", "observedGeneration": 1}
    raw, seen = make.bertfinetune(ended, own), make.seen([make.job(0, COMPLETE)])
    assert decide(raw, seen, make.SETTINGS, make.NOW).delete == ()
    site = replace(make.SETTINGS, trainer_ttl_seconds_after_finished=60)
    assert len(decide(raw, seen, site, make.NOW).delete) == deleted


def test_a_run_under_way_keeps_what_was_no_card_when_it_began() -> None:
    seen = make.seen([make.job()], [make.pod(state=RUNNING)])
    raw = make.bertfinetune(BEGUN, CARD)
    assert decide(raw, seen, SITE, make.NOW) == decide(raw, seen, make.SETTINGS, make.NOW)
