"""The device that --device names."""

from bert_trainer.devices.cpu import CpuDevice
from bert_trainer.devices.device import Device
from bert_trainer.devices.npu import NpuDevice


def open_device(name: str, devices: int = 1) -> Device:
    """Returns the device of --device and --devices; raises BadConfigError when this machine or image lacks it."""
    return NpuDevice(devices) if name == "npu" else CpuDevice()
