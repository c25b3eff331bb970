"""Whole manifests: a change of the Job shows as a change of a golden file. UPDATE_GOLDEN=1 rewrites them."""

import json
import os
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bertfinetune_operator import contract
from bertfinetune_operator.api.pods import Resources, times
from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import BertFinetuneStatus
from bertfinetune_operator.decision.decide import decide
from bertfinetune_operator.decision.views import Question
from bertfinetune_operator.manifests.job import build_job, trainer_flags
from bertfinetune_operator.settings import PREFIX, Settings
from support import builders as make
from support.merge import apply

SECOND_TRIAL = BertFinetuneStatus.model_validate({"trials": [{"collapsed": True}]})
CASES = sorted(file.stem for file in (make.GOLDEN / "bertfinetune").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_job_is_the_golden_one(case: str) -> None:
    """The second document of an input is the status that the Job is made from, the third the operator's settings."""
    raw, *more = yaml.safe_load_all((make.GOLDEN / "bertfinetune" / f"{case}.yaml").read_text())
    status, settings = [document or {} for document in (*more, {}, {})][:2]
    obj = BertFinetune.model_validate(raw)
    images = {"trainer_image_ascend910": "trainer:ascend910", "trainer_image_cpu": "trainer:cpu"}
    environ = {f"{PREFIX}{name.upper()}": as_told(value) for name, value in (images | settings).items()}
    job = build_job(obj, BertFinetuneStatus(**status), Settings.from_environ(environ))
    file = make.GOLDEN / "job" / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(yaml.safe_dump(yaml.safe_load(yaml.dump(job, Dumper=_NoAliases)), sort_keys=False))
    assert job == yaml.safe_load(file.read_text())


def as_told(value: Any) -> str:
    """A setting in the operator's environment: a list has commas, what has maps is JSON."""
    if isinstance(value, list) and not any(isinstance(part, dict) for part in value):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def test_scrape_annotations_are_there_when_they_are_asked_for() -> None:
    settings = replace(make.SETTINGS, scrape_annotations=True)
    raw = make.bertfinetune(spec={"scheduling": {"schedulerName": "volcano", "queue": "q"}})
    job = build_job(BertFinetune.model_validate(raw), BertFinetuneStatus(), settings)
    assert job["spec"]["template"]["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "prometheus.io/path": "/metrics",
        "scheduling.volcano.sh/queue-name": "q",
    }


DEFAULTS = {
    "trainer_resources_ascend910": Resources(requests={"cpu": "1.5", "memory": "4Gi"}, limits={"memory": "6Gi"}),
    "trainer_resources_cpu": Resources(requests={"cpu": 1, "memory": "500Mi"}),
}
CARD = "huawei.com/Ascend910"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"accelerator": {"type": "CPU"}}, {"requests": {"cpu": 1, "memory": "500Mi"}}),
        ({}, {"requests": {"cpu": "1.5", "memory": "4Gi"}, "limits": {"memory": "6Gi", CARD: "1"}}),
        (
            {"accelerator": {"devicesPerWorker": 8}},  # for each card
            {"requests": {"cpu": "12", "memory": "32Gi"}, "limits": {"memory": "48Gi", CARD: "8"}},
        ),
        (
            {"accelerator": {"virtualDevice": "2c"}},
            {"requests": {"cpu": "1.5", "memory": "4Gi"}, "limits": {"memory": "6Gi", f"{CARD}-2c": "1"}},
        ),
        (  # a default request above the run's own limit would be refused
            {"trainer": {"resources": {"limits": {"memory": "1Gi"}}}},
            {"requests": {"cpu": "1.5"}, "limits": {"memory": "1Gi", CARD: "1"}},
        ),
        (
            {"trainer": {"resources": {"requests": {"memory": "64Gi", "ephemeral-storage": "1Gi"}}}},
            {"requests": {"cpu": "1.5", "memory": "64Gi", "ephemeral-storage": "1Gi"}, "limits": {CARD: "1"}},
        ),
    ],
)
def test_what_a_run_does_not_ask_for_is_the_sites_to_say(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec=spec))
    pod = build_job(obj, BertFinetuneStatus(), replace(make.SETTINGS, **DEFAULTS))["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"] == expected


@pytest.mark.parametrize(
    ("count", "quantity", "expected"),
    [(8, 2, 16), (1, "500m", "500m"), (8, "500m", "4000m"), (4, "1.5Gi", "6Gi"), (8, "0.25", "2"), (2, "50", "100")],
)
def test_so_many_times_a_quantity(count: int, quantity: int | str, expected: int | str) -> None:
    assert times(count, quantity) == expected


def test_every_flag_of_the_contract_is_passed_once() -> None:
    later = {
        "accelerator": {"devicesPerWorker": 8},
        "training": {"gradientAccumulationSteps": 4},
        "output": {"claim": {"claimName": "out"}, "resumeFrom": "research-earlier-22222222"},
    }
    raw = make.bertfinetune(spec=later)
    raw["spec"]["model"]["doLowerCase"] = False
    flags = trainer_flags(BertFinetune.model_validate(raw), BertFinetuneStatus())
    assert tuple(flags) == contract.FLAGS
    given = {
        "devices": "8",
        "gradient_accumulation_steps": "4",
        "do_lower_case": "false",
        "resume_from": "/output/research-earlier-22222222",
    }
    assert {flag: flags[flag] for flag in contract.LATER_FLAGS} == given


@pytest.mark.parametrize(
    "defaults", [{}, {"training": {"gradientAccumulationSteps": 1}, "accelerator": {"type": "CPU"}}]
)
def test_an_older_image_is_passed_no_flag_that_it_lacks(defaults: dict[str, Any]) -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec=defaults))
    assert set(contract.FLAGS) - set(trainer_flags(obj, BertFinetuneStatus())) == set(contract.LATER_FLAGS)


@pytest.mark.parametrize("accelerator", [{}, {"devicesPerWorker": 1}, {"virtualDevice": "2c"}, {"type": "CPU"}])
def test_one_card_is_the_job_that_it_was_before_there_could_be_more(accelerator: dict[str, Any]) -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"accelerator": accelerator}))
    assert "devices" not in trainer_flags(obj, BertFinetuneStatus())
    without = {name: value for name, value in accelerator.items() if name != "devicesPerWorker"}
    before = BertFinetune.model_validate(make.bertfinetune(spec={"accelerator": without}))
    assert build_job(obj, BertFinetuneStatus(), make.SETTINGS) == build_job(before, BertFinetuneStatus(), make.SETTINGS)


@pytest.mark.parametrize("driver", ["runtime", "hostPath"])
@pytest.mark.parametrize(("devices", "addresses"), [(1, True), (2, True), (2, False)])
def test_several_cards_read_their_addresses_whoever_mounts_the_driver(
    driver: Any, devices: int, addresses: bool
) -> None:
    raw = make.bertfinetune(spec={"accelerator": {"devicesPerWorker": devices}})
    settings = replace(make.SETTINGS, ascend_driver=driver, ascend_card_addresses=addresses)
    pod = build_job(BertFinetune.model_validate(raw), BertFinetuneStatus(), settings)["spec"]["template"]["spec"]
    conf = {"name": "hccn-conf", "hostPath": {"path": "/etc/hccn.conf", "type": "File"}}
    mount = {"name": "hccn-conf", "mountPath": "/etc/hccn.conf", "readOnly": True}
    assert (conf in pod["volumes"]) == (mount in pod["containers"][0]["volumeMounts"]) == (devices > 1 and addresses)
    drivers = [volume for volume in pod["volumes"] if volume["name"] == "ascend-driver"]
    assert bool(drivers) == (driver == "hostPath")


@pytest.mark.parametrize(
    ("accelerator", "groups"), [({}, [1000]), ({"virtualDevice": "2c"}, [1000]), ({"type": "CPU"}, None)]
)
def test_only_trainers_on_cards_join_the_group_of_the_device_files(
    accelerator: dict[str, Any], groups: list[int] | None
) -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"accelerator": accelerator}))
    pod = build_job(obj, BertFinetuneStatus(), make.SETTINGS)["spec"]["template"]["spec"]
    assert pod["securityContext"].get("supplementalGroups") == groups
    none = build_job(obj, BertFinetuneStatus(), replace(make.SETTINGS, ascend_device_groups=()))
    assert "supplementalGroups" not in none["spec"]["template"]["spec"]["securityContext"]


def test_another_trial_is_another_run_with_a_steadier_recipe() -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"training": {"seed": 2**31 - 1}}))
    first, second = trainer_flags(obj, BertFinetuneStatus()), trainer_flags(obj, SECOND_TRIAL)
    changed = {flag: (first[flag], second[flag]) for flag in first if first[flag] != second[flag]}
    assert changed == {
        "output_dir": ("/output/research-minimal-11111111", "/output/research-minimal-11111111-trial-1"),
        "seed": ("2147483647", "0"),
        "optimizer": ("AdamWeightDecay", "AdamW"),
        "warmup_proportion": ("0.1", "0.2"),
        "run_id": (make.UID, f"{make.UID}-1"),
    }


def test_a_trial_after_a_collapse_begins_with_the_pre_trained_weights() -> None:
    output = {"claim": {"claimName": "out"}, "resumeFrom": "research-earlier-22222222"}
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"output": output}))
    assert "resume_from" in trainer_flags(obj, BertFinetuneStatus())
    assert "resume_from" not in trainer_flags(obj, SECOND_TRIAL)


def test_a_longer_warm_up_of_the_users_stays() -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"training": {"warmupProportion": 0.4}}))
    assert trainer_flags(obj, SECOND_TRIAL)["warmup_proportion"] == "0.4"


def test_an_attempt_after_an_oom_takes_its_steps_in_more_lots_whatever_the_trial() -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"training": {"gradientAccumulationSteps": 2}}))
    assert trainer_flags(obj, BertFinetuneStatus())["gradient_accumulation_steps"] == "2"
    for status in (BertFinetuneStatus(), SECOND_TRIAL):
        accumulating = status.model_copy(update={"gradient_accumulation_steps": 8})
        before, after = trainer_flags(obj, status), trainer_flags(obj, accumulating)
        assert after == before | {"gradient_accumulation_steps": "8"}


@given(st.integers(1, 1024), st.integers(1, 1024))
def test_accumulation_doubles_while_it_divides_and_ends(size: int, steps: int) -> None:
    """Each further attempt is one that the API would have taken, and the last one says why there is no other."""
    training = {"trainBatchSize": size, "gradientAccumulationSteps": steps if size % steps == 0 else 1}
    raw = make.bertfinetune(spec={"onOOM": "Accumulate", "backoffLimit": 100, "training": training})
    status, seen = dict[str, Any](), [training["gradientAccumulationSteps"]]
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    while status.get("phase") != "Failed":
        attempt = status.get("attempt", 0)
        failed = make.job(attempt, ("Failed", "BackoffLimitExceeded", ""))
        pod = make.pod(f"pod-{attempt}", killed, attempt=attempt)
        answers = {Question("log", f"pod-{attempt}", "trainer"): ""}
        decision = decide(
            raw | {"status": status}, make.seen([failed], [pod], answers=answers), make.SETTINGS, make.NOW
        )
        status = apply(status, decision.status_patch)
        if status["phase"] == "Retrying":
            seen.append(status["gradientAccumulationSteps"])
            status |= {"attempt": attempt + 1}
            del status["nextAttemptTime"]
    assert all(size % steps == 0 for steps in seen)
    assert seen == [seen[0] * 2**power for power in range(len(seen))]
    assert size % (2 * seen[-1]) != 0
    assert f"gradientAccumulationSteps={2 * seen[-1]} does not divide trainBatchSize={size}" in status["message"]
