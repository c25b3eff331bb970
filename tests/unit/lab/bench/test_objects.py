import json
from typing import Any

import pytest

from bertfinetune_operator import contract
from lab.bench.operator.objects import (
    ACCURACY,
    BERTFINETUNES,
    DONE,
    JOBS,
    RESULT,
    TFJOBS,
    TRAINJOBS,
    Kind,
    check_children,
    check_done,
    training_runtime,
)
from lab.cluster.errors import ClusterError


def condition(kind: str, status: str = "True") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": "Why", "message": "words"}]}


FINISHED = {"phase": "Succeeded", "result": {"accuracy": ACCURACY}}


@pytest.mark.parametrize(
    ("kind", "status", "ending"),
    [
        (JOBS, {}, None),
        (JOBS, condition("SuccessCriteriaMet"), None),
        (JOBS, condition("Complete", "False"), None),
        (JOBS, condition("Complete"), DONE),
        (JOBS, condition("Failed"), "Why: words"),
        (TFJOBS, {"conditions": None}, None),
        (TFJOBS, condition("Running"), None),
        (TFJOBS, condition("Succeeded"), DONE),
        (TFJOBS, condition("Failed"), "Why: words"),
        (TRAINJOBS, condition("Suspended"), None),
        (TRAINJOBS, condition("Complete"), DONE),
        (TRAINJOBS, condition("Failed"), "Why: words"),
        (BERTFINETUNES, {}, None),
        (BERTFINETUNES, {"phase": "Running"}, None),
        (BERTFINETUNES, FINISHED, DONE),
        (BERTFINETUNES, {"phase": "Failed", "reason": "BadData", "message": "line 7"}, "BadData: line 7"),
        (
            BERTFINETUNES,
            {"phase": "Succeeded", "reason": "ResultMissing"},
            f"accuracy None in its status, the trainer reported {ACCURACY}",
        ),
    ],
)
def test_ending(kind: Kind, status: dict[str, Any], ending: str | None) -> None:
    assert kind.ending({"metadata": {"name": "a"}, "status": status}) == ending


def test_an_object_without_a_status_is_under_way() -> None:
    assert [kind.ending(kind.make("a")) for kind in (JOBS, BERTFINETUNES, TFJOBS, TRAINJOBS)] == [None] * 4


def pod_of(template: dict[str, Any]) -> dict[str, Any]:
    """What the scheduler and the fake nodes see of a pod: all but the names in it."""
    spec = template["spec"]
    [container] = spec["containers"]
    own = ("name", "args", "env")
    return spec | {"containers": [{key: value for key, value in container.items() if key not in own}]}


def test_every_contender_has_the_same_pod() -> None:
    tfjob = TFJOBS.make("a")["spec"]["tfReplicaSpecs"]["Worker"]["template"]
    [job] = training_runtime()["spec"]["template"]["spec"]["replicatedJobs"]
    trainjob = job["template"]["spec"]["template"]
    assert pod_of(JOBS.make("a")["spec"]["template"]) == pod_of(tfjob) == pod_of(trainjob)


def test_the_trainjobs_name_the_runtime() -> None:
    named, runtime = TRAINJOBS.make("a")["spec"]["runtimeRef"], training_runtime()
    assert (named["kind"], named["name"]) == (runtime["kind"], runtime["metadata"]["name"])


def test_every_object_must_be_done() -> None:
    done, under_way = ({"status": FINISHED}, {"status": {"phase": "Running"}})
    check_done(BERTFINETUNES, 2, [done, done])
    with pytest.raises(ClusterError, match=r"2 bertfinetunes should be done, seen: \{'done': 1, 'not done': 1\}"):
        check_done(BERTFINETUNES, 2, [done, under_way])
    with pytest.raises(ClusterError, match=r"2 bertfinetunes should be done, seen: \{'done': 1\}"):
        check_done(BERTFINETUNES, 2, [done])


def owner(uid: str) -> dict[str, Any]:
    return {"metadata": {"uid": uid}}


def child(*owners: str, controller: bool = True) -> dict[str, Any]:
    return {"metadata": {"ownerReferences": [{"uid": uid, "controller": controller} for uid in owners]}}


@pytest.mark.parametrize(
    ("children", "wrong"),
    [
        ([child("a"), child("b")], None),
        ([child("a")], "b has 0"),
        ([child("a"), child("b"), child("b")], "b has 2"),
        ([child("a"), child("b"), child("c")], "c has 1"),
        ([child("a"), child("b", controller=False)], "1 objects|2 objects"),
        ([child("a"), child("b"), {"metadata": {}}], "None has 1"),
    ],
)
def test_each_owner_has_one_child(children: list[dict[str, Any]], wrong: str | None) -> None:
    owners = [owner("a"), owner("b")]
    if wrong is None:
        check_children(owners, children, "Job")
    else:
        with pytest.raises(ClusterError, match=wrong):
            check_children(owners, children, "Job")


def test_the_trainers_words_are_those_of_the_contract() -> None:
    assert tuple(json.loads(RESULT)) == contract.RESULT_KEYS
    assert len(RESULT) <= contract.MAX_RESULT_BYTES
    assert "'" not in RESULT, "it stands between single quotes in the stages"
