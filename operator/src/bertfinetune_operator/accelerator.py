"""What each accelerator type means for a pod: one table."""

from dataclasses import dataclass

ASCEND_RESOURCE = "huawei.com/Ascend910"
"""Extended resource of Huawei's device plugin, which also sets ASCEND_VISIBLE_DEVICES in the container."""

RESERVED_RESOURCES = (ASCEND_RESOURCE,)


@dataclass(frozen=True)
class Accelerator:
    """The share of a container that depends on the accelerator."""

    device: str
    """Value of the trainer's --device flag."""
    limits: dict[str, str]
    """Extended resources; for these Kubernetes takes the limit as the request."""
    env: dict[str, str]
    """Environment of the device's software, apart from JOB_ID."""
    needs_job_id: bool
    """Whether the device's software wants a JOB_ID."""


# One process on one card needs no HCCL rank table (CANN environment reference: DEVICE_ID, RANK_ID, RANK_SIZE).
ASCEND_910 = Accelerator(
    device="npu",
    limits={ASCEND_RESOURCE: "1"},
    env={"DEVICE_NUM": "1", "DEVICE_ID": "0", "ASCEND_DEVICE_ID": "0", "RANK_ID": "0", "RANK_SIZE": "1"},
    needs_job_id=True,
)
CPU = Accelerator(device="cpu", limits={}, env={}, needs_job_id=False)

ACCELERATORS = {"Ascend910": ASCEND_910, "CPU": CPU}

RESERVED_ENV = (*ASCEND_910.env, "JOB_ID", "ASCEND_VISIBLE_DEVICES")


def environment(accelerator: Accelerator, uid: str) -> dict[str, str]:
    """The environment variables a container with this accelerator gets; `uid` is the object's."""
    return accelerator.env | ({"JOB_ID": uid} if accelerator.needs_job_id else {})
