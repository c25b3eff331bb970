"""What each accelerator type means for a pod: one table."""

from dataclasses import dataclass

ASCEND_RESOURCE = "huawei.com/Ascend910"
"""Extended resource of Huawei's device plugin, which also sets ASCEND_VISIBLE_DEVICES in the container."""

VIRTUAL_DEVICES = ("2c", "4c", "8c", "16c")
"""Shares of a card that the device plugin offers as static vNPUs, by AI cores: templates vir02 to vir16."""

RESERVED_RESOURCES = (ASCEND_RESOURCE, *(f"{ASCEND_RESOURCE}-{share}" for share in VIRTUAL_DEVICES))


@dataclass(frozen=True)
class Accelerator:
    """The share of a container that depends on the accelerator."""

    device: str
    """Value of the trainer's --device flag."""
    resource: str | None
    """Extended resource of which the container gets one."""
    env: dict[str, str]
    """Environment of the device's software, apart from JOB_ID."""
    needs_job_id: bool
    """Whether the device's software wants a JOB_ID."""


# One process on one card needs no HCCL rank table (CANN environment reference: DEVICE_ID, RANK_ID, RANK_SIZE).
ASCEND_910 = Accelerator(
    device="npu",
    resource=ASCEND_RESOURCE,
    env={"DEVICE_NUM": "1", "DEVICE_ID": "0", "ASCEND_DEVICE_ID": "0", "RANK_ID": "0", "RANK_SIZE": "1"},
    needs_job_id=True,
)
CPU = Accelerator(device="cpu", resource=None, env={}, needs_job_id=False)

ACCELERATORS = {"Ascend910": ASCEND_910, "CPU": CPU}

RESERVED_ENV = (*ASCEND_910.env, "JOB_ID", "ASCEND_VISIBLE_DEVICES")


def limits(accelerator: Accelerator, virtual_device: str | None) -> dict[str, str]:
    """The extended resource of the container, a card or a share of one; Kubernetes takes the limit as the request."""
    if accelerator.resource is None:
        return {}
    return {f"{accelerator.resource}-{virtual_device}" if virtual_device else accelerator.resource: "1"}


def environment(accelerator: Accelerator, uid: str) -> dict[str, str]:
    """The environment variables a container with this accelerator gets; `uid` is the object's."""
    return accelerator.env | ({"JOB_ID": uid} if accelerator.needs_job_id else {})
