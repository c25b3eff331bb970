"""Where spec.scheduling and the operator's settings meet, as a table."""

from dataclasses import replace
from typing import Any

import pytest

from bertfinetune_operator.api.pods import Scheduling, Toleration
from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.manifests.placement import placement_of
from support import builders as make

Raw = dict[str, Any]
KUEUE = {"default_queue": "team"}
VOLCANO = {"default_scheduler_name": "volcano", "default_queue": "team"}
OTHER = {"default_scheduler_name": "bin-packing", "default_queue": "team"}
PRIORITY = {"trainer_priority_class_name": "training"}
POOL = {"key": "npu", "operator": "Exists"}
OWN = {"key": "team", "value": "nlp"}
TAINTED = {
    "trainer_tolerations_ascend910": (Toleration.model_validate(POOL),),
    "trainer_tolerations_cpu": (Toleration(key="cpu", operator="Exists"),),
}
CLASS = {"ascend_runtime_class_name": "ascend"}
ARM = {"trainer_node_selector_ascend910": {"host-arch": "huawei-arm"}, "trainer_node_selector_cpu": {"arch": "amd64"}}


@pytest.mark.parametrize(
    ("settings", "own", "expected"),
    [
        ({}, None, {}),
        ({}, {}, {}),
        ({}, {"schedulerName": "volcano", "queue": "mine"}, {"schedulerName": "volcano", "queue": "mine"}),
        (KUEUE, None, {"queue": "team"}),
        (KUEUE, {"queue": "mine"}, {"queue": "mine"}),
        (KUEUE, {"schedulerName": "bin-packing"}, {"schedulerName": "bin-packing", "queue": "team"}),
        (KUEUE, {"schedulerName": "volcano"}, {"schedulerName": "volcano"}),
        (KUEUE, {"schedulerName": "volcano", "queue": "mine"}, {"schedulerName": "volcano", "queue": "mine"}),
        (VOLCANO, None, {"schedulerName": "volcano", "queue": "team"}),
        (VOLCANO, {"queue": "mine"}, {"schedulerName": "volcano", "queue": "mine"}),
        (VOLCANO, {"schedulerName": "volcano"}, {"schedulerName": "volcano", "queue": "team"}),
        (VOLCANO, {"schedulerName": "default-scheduler"}, {"schedulerName": "default-scheduler"}),
        (VOLCANO | {"default_queue": ""}, None, {"schedulerName": "volcano"}),
        (OTHER, None, {"schedulerName": "bin-packing", "queue": "team"}),
        (OTHER, {"schedulerName": "default-scheduler"}, {"schedulerName": "default-scheduler", "queue": "team"}),
        (KUEUE, {"priorityClassName": "low"}, {"priorityClassName": "low", "queue": "team"}),
        (PRIORITY, None, {"priorityClassName": "training"}),
        (PRIORITY, {"priorityClassName": "low"}, {"priorityClassName": "low"}),
        ({}, {"tolerations": [OWN]}, {"tolerations": [OWN]}),
        (TAINTED, None, {"tolerations": [POOL]}),
        (TAINTED, {"tolerations": [OWN]}, {"tolerations": [POOL, OWN]}),
        ({}, {"runtimeClassName": "mine"}, {"runtimeClassName": "mine"}),
        (CLASS, None, {"runtimeClassName": "ascend"}),
        (CLASS, {"runtimeClassName": "mine"}, {"runtimeClassName": "mine"}),
        (ARM, None, {"nodeSelector": {"host-arch": "huawei-arm"}}),
        (ARM, {"nodeSelector": {"disk": "ssd"}}, {"nodeSelector": {"host-arch": "huawei-arm", "disk": "ssd"}}),
        (ARM, {"nodeSelector": {"host-arch": "huawei-x86"}}, {"nodeSelector": {"host-arch": "huawei-x86"}}),
    ],
)
def test_the_object_comes_before_the_settings(settings: Raw, own: Raw | None, expected: Raw) -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"scheduling": own} if own is not None else {}))
    assert obj.spec.accelerator.type == "Ascend910"
    assert placement_of(obj.spec, replace(make.SETTINGS, **settings)) == Scheduling.model_validate(expected)


def test_each_accelerator_has_node_labels_of_its_own_and_no_cpu_the_cards_runtime() -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"accelerator": {"type": "CPU"}}))
    assert placement_of(obj.spec, replace(make.SETTINGS, **ARM, **CLASS)) == Scheduling(node_selector={"arch": "amd64"})


def test_each_accelerators_pool_has_taints_of_its_own() -> None:
    obj = BertFinetune.model_validate(make.bertfinetune(spec={"accelerator": {"type": "CPU"}}))
    expected = Scheduling(tolerations=[Toleration(key="cpu", operator="Exists")])
    assert placement_of(obj.spec, replace(make.SETTINGS, **TAINTED)) == expected
