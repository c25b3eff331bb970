"""The device that --device names."""

import contextlib
from typing import ContextManager, Union

from bert_trainer.devices.cpu import CpuDevice
from bert_trainer.devices.npu import NpuDevice

Device = Union[CpuDevice, NpuDevice]


def open_device(name: str, devices: int = 1) -> Device:
    """Returns the device of --device and --devices; raises BadConfigError when this machine or image lacks it."""
    return NpuDevice(devices) if name == "npu" else CpuDevice()


def device_faults(device: Device) -> ContextManager[None]:
    """Returns a block in which failures of the accelerator become DeviceFaultError; the CPU has none of its own."""
    return device.faults() if isinstance(device, NpuDevice) else contextlib.nullcontext()
