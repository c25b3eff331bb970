"""The simulated device plugin with other arguments, for as long as a test needs them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lab.cluster.processes import wait_until
from lab.demo.stack import DEVICE_PLUGIN
from lab.demo.target import Target


@contextmanager
def plugin_with(target: Target, *arguments: str) -> Iterator[None]:
    """Start the device plugin again with these arguments, and at the end without any, as the demo starts it."""
    try:
        _start(target, arguments)
        yield
    finally:
        _start(target, ())


def _start(target: Target, arguments: Sequence[str]) -> None:
    """Give the container its arguments, and wait until the kubelet knows each resource that the new pod offers."""
    name = f"daemonset/{DEVICE_PLUGIN}"
    container = {"name": "device-plugin", "args": [*arguments] or None}
    patch = json.dumps({"spec": {"template": {"spec": {"containers": [container]}}}})

    def kubectl(*command: str) -> str:
        return target.kubectl.run("--namespace=kube-system", *command).stdout

    kubectl("patch", name, f"--patch={patch}")
    kubectl("rollout", "status", name, "--timeout=120s")
    templates = {argument.rpartition("=")[2] for argument in arguments if argument.startswith("--split=")}
    offered = 1 + len(templates)  # the whole cards, and each template's shares
    # The container counts as ready when it has started, which is a moment before the plugin has registered.
    registered = wait_until(lambda: kubectl("logs", name).count("registered ") >= offered, 60)
    assert registered, f"with {arguments} it has not registered {offered} resources: {kubectl('logs', name)}"
