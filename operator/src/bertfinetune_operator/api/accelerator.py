"""What each accelerator type means for a pod: one table."""

from dataclasses import dataclass, field
from typing import Any

VIRTUAL_DEVICES = ("2c", "4c", "8c", "16c")
"""Shares of a card that the device plugin offers as static vNPUs, by AI cores: templates vir02 to vir16."""


@dataclass(frozen=True)
class Accelerator:
    """The share of a container that depends on the accelerator."""

    device: str
    """Value of the trainer's --device flag."""
    is_ascend: bool = False
    """Whether the container gets a card or a share of one, and its software the driver and a JOB_ID."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment of the device's software, apart from JOB_ID."""


# One process on one card needs no HCCL rank table (CANN environment reference: DEVICE_ID, RANK_ID, RANK_SIZE). Where a
# pod has more cards, that process gives itself and the others what differs from this.
ASCEND_910 = Accelerator(
    device="npu",
    is_ascend=True,
    env={"DEVICE_NUM": "1", "DEVICE_ID": "0", "ASCEND_DEVICE_ID": "0", "RANK_ID": "0", "RANK_SIZE": "1"},
)
CPU = Accelerator(device="cpu")

ACCELERATORS = {"Ascend910": ASCEND_910, "CPU": CPU}

RESERVED_ENV = (*ASCEND_910.env, "JOB_ID", "ASCEND_VISIBLE_DEVICES")


@dataclass(frozen=True)
class DriverPath:
    """A part of the Ascend driver on its host, at the same path in the container."""

    name: str
    path: str
    type: str
    """Type of the hostPath volume: what must be there before the pod starts."""
    read_only: bool = True

    def volume(self) -> dict[str, Any]:
        """The pod's volume."""
        return {"name": self.name, "hostPath": {"path": self.path, "type": self.type}}

    def mount(self) -> dict[str, Any]:
        """Its mount in the container."""
        return {"name": self.name, "mountPath": self.path} | ({"readOnly": True} if self.read_only else {})


DRIVER = (
    DriverPath("ascend-driver", "/usr/local/Ascend/driver", "Directory"),
    DriverPath("ascend-dcmi", "/usr/local/dcmi", "Directory"),
    DriverPath("npu-smi", "/usr/local/bin/npu-smi", "File"),
    DriverPath("npu-log", "/var/log/npu", "DirectoryOrCreate", read_only=False),
)
"""What ascend-docker-runtime would mount, and the folder of the driver's log."""

CARD_ADDRESSES = DriverPath("hccn-conf", "/etc/hccn.conf", "File")
"""The addresses of the cards' network ports, which stand in the rank table of several cards."""


def environment(accelerator: Accelerator, uid: str) -> dict[str, str]:
    """The environment variables a container with this accelerator gets; `uid` is the object's."""
    return accelerator.env | ({"JOB_ID": uid} if accelerator.is_ascend else {})
