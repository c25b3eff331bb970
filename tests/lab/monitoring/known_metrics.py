"""The metrics that somebody exports: what a rule, a runbook or a dashboard may ask for."""

from bertfinetune_generators.metrics_table import names
from bertfinetune_operator import contract
from lab.ascend.npu_exporter import cards

TRAINER = {name for constant, name in vars(contract).items() if constant.startswith("METRIC_")}
STEP_DURATION = {contract.METRIC_STEP_DURATION + suffix for suffix in ("_bucket", "_count", "_sum")}
NPU_EXPORTER = {*cards.OF_CARD, *cards.OF_HELD_CARD, *cards.OF_FAULTY_CARD}

KNOWN = {*names(), *(TRAINER - {contract.METRIC_STEP_DURATION}), *STEP_DURATION, *NPU_EXPORTER}
