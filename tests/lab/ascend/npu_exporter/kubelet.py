"""Who has which card, asked of the kubelet's pod-resources interface."""

from pathlib import Path

import grpc

from lab.ascend.npu_exporter import podresources_pb2 as api
from lab.ascend.npu_exporter.cards import Holder
from lab.ascend.npu_exporter.podresources_pb2_grpc import PodResourcesListerStub

RESOURCE = "huawei.com/Ascend910"
PATIENCE = 5  # seconds


def holders(socket: Path) -> dict[str, Holder]:
    """The holder of each card that is given to a container.

    Raises:
        grpc.RpcError: no kubelet answers at the socket.
    """
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        answer = PodResourcesListerStub(channel).List(api.ListPodResourcesRequest(), timeout=PATIENCE)
    return {
        card: Holder(pod.namespace, pod.name, container.name)
        for pod in answer.pod_resources
        for container in pod.containers
        for devices in container.devices
        if devices.resource_name == RESOURCE
        for card in devices.device_ids
    }
