"""Who places a run's pods, and in which queue it waits: the object's own word, else the operator's settings. Pure."""

from bertfinetune_operator.api.accelerator import ACCELERATORS
from bertfinetune_operator.api.pods import Scheduling
from bertfinetune_operator.api.spec import BertFinetuneSpec
from bertfinetune_operator.settings import Settings

VOLCANO = "volcano"
"""Name of Volcano's scheduler. Every other scheduler leaves queues to Kueue."""


def placement_of(spec: BertFinetuneSpec, settings: Settings) -> Scheduling:
    """What spec.scheduling comes to.

    The default queue is one of the default scheduler's: a run that leaves Volcano for another scheduler, or the other
    way round, is in no queue unless it names one.
    """
    own = spec.scheduling or Scheduling()
    scheduler = own.scheduler_name or settings.default_scheduler_name
    runtime_class = settings.ascend_runtime_class_name if ACCELERATORS[spec.accelerator.type].is_ascend else ""
    has_default_queue = (scheduler == VOLCANO) == (settings.default_scheduler_name == VOLCANO)
    tolerations = [*settings.trainer_tolerations(spec.accelerator.type), *(own.tolerations or ())]
    node_selector = settings.trainer_node_selector(spec.accelerator.type) | (own.node_selector or {})
    return own.model_copy(
        update={
            "scheduler_name": scheduler or None,
            "queue": own.queue or (settings.default_queue if has_default_queue else "") or None,
            "priority_class_name": own.priority_class_name or settings.trainer_priority_class_name or None,
            "runtime_class_name": own.runtime_class_name or runtime_class or None,
            "node_selector": node_selector or None,
            "tolerations": tolerations or None,
        }
    )
