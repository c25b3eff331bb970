"""Whole manifests: a change of the Job shows as a change of a golden file. UPDATE_GOLDEN=1 rewrites them."""

import os
from typing import Any

import pytest
import yaml

from bertfinetune_operator import contract
from bertfinetune_operator.api import BertFinetune
from bertfinetune_operator.jobs import build_job, trainer_flags
from golden import builders as make


@pytest.mark.parametrize("case", ["minimal", "everything", "ascend-limits"])
def test_job_is_the_golden_one(case: str) -> None:
    raw = yaml.safe_load((make.GOLDEN / "bertfinetune" / f"{case}.yaml").read_text())
    job = build_job(BertFinetune.model_validate(raw), make.SETTINGS)
    file = make.GOLDEN / "job" / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(yaml.safe_dump(yaml.safe_load(yaml.dump(job, Dumper=_NoAliases)), sort_keys=False))
    assert job == yaml.safe_load(file.read_text())


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def test_every_flag_of_the_contract_is_passed_once() -> None:
    flags = trainer_flags(BertFinetune.model_validate(make.bertfinetune()))
    assert tuple(flags) == contract.FLAGS
