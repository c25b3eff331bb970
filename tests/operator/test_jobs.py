"""Whole manifests: a change of the Job shows as a change of a golden file. UPDATE_GOLDEN=1 rewrites them."""

import os
from dataclasses import replace
from typing import Any

import pytest
import yaml

from bertfinetune_operator import contract
from bertfinetune_operator.api import BertFinetune
from bertfinetune_operator.jobs import build_job, trainer_flags
from bertfinetune_operator.status import BertFinetuneStatus
from golden import builders as make

CASES = sorted(file.stem for file in (make.GOLDEN / "bertfinetune").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_job_is_the_golden_one(case: str) -> None:
    """The second document of an input is the status that the Job is made from, the third the operator's settings."""
    raw, *more = yaml.safe_load_all((make.GOLDEN / "bertfinetune" / f"{case}.yaml").read_text())
    status, settings = [document or {} for document in (*more, {}, {})][:2]
    obj = BertFinetune.model_validate(raw)
    job = build_job(obj, BertFinetuneStatus(**status), replace(make.SETTINGS, **settings))
    file = make.GOLDEN / "job" / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(yaml.safe_dump(yaml.safe_load(yaml.dump(job, Dumper=_NoAliases)), sort_keys=False))
    assert job == yaml.safe_load(file.read_text())


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


def test_every_flag_of_the_contract_is_passed_once() -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"accelerator": {"devicesPerWorker": 8}}))
    flags = trainer_flags(obj, trial=0)
    assert tuple(flags) == contract.FLAGS
    assert flags["devices"] == "8"


@pytest.mark.parametrize("accelerator", [{}, {"devicesPerWorker": 1}, {"virtualDevice": "2c"}, {"type": "CPU"}])
def test_one_card_is_the_job_that_it_was_before_there_could_be_more(accelerator: dict[str, Any]) -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"accelerator": accelerator}))
    assert set(contract.FLAGS) - set(trainer_flags(obj, trial=0)) == {"devices"}
    without = {name: value for name, value in accelerator.items() if name != "devicesPerWorker"}
    before = BertFinetune.model_validate(make.bertfinetune(spec={"accelerator": without}))
    assert build_job(obj, BertFinetuneStatus(), make.SETTINGS) == build_job(before, BertFinetuneStatus(), make.SETTINGS)


def test_another_trial_is_another_run_with_a_steadier_recipe() -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"training": {"seed": 2**31 - 1}}))
    first, second = trainer_flags(obj, trial=0), trainer_flags(obj, trial=1)
    changed = {flag: (first[flag], second[flag]) for flag in first if first[flag] != second[flag]}
    assert changed == {
        "output_dir": ("/output/research-minimal-11111111", "/output/research-minimal-11111111-trial-1"),
        "seed": ("2147483647", "0"),
        "optimizer": ("AdamWeightDecay", "AdamW"),
        "warmup_proportion": ("0.1", "0.2"),
        "run_id": (make.UID, f"{make.UID}-1"),
    }


def test_a_longer_warm_up_of_the_users_stays() -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"training": {"warmupProportion": 0.4}}))
    assert trainer_flags(obj, trial=1)["warmup_proportion"] == "0.4"
