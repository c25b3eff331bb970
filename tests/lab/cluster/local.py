"""Start and stop the cluster of this machine."""

import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.cluster import certificates, components, firewall, processes
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import (
    API_URL,
    CONTAINERD_SOCKET,
    DNS_SERVICE_IP,
    ETCD_DATA,
    KUBECONFIG,
    LOGS,
    NODE_IP,
    NODE_NAME,
    PKI,
    RUN,
    STATE,
    VOLUMES,
)
from lab.cluster.preflight import check_machine
from lab.cluster.processes import Component
from lab.cluster.render import render
from lab.images import images

KUBECTL = Kubectl(KUBECONFIG)


def is_up() -> bool:
    """Whether every component that we started still runs."""
    return all(processes.running_pid(component) for component in components.all_components())


def up() -> None:
    """Bring the cluster up and wait until its node is Ready and names resolve; does nothing where it is up."""
    if is_up():
        print(f"cluster is already up (context bertfinetune-demo, {API_URL})", flush=True)
        return
    down()  # what an interrupted start or a crash left behind
    check_machine()
    _write_configuration()
    for component in (images.PAUSE, images.COREDNS):
        images.build(component)
    print("==> starting the cluster", flush=True)
    _start_all()
    images.import_into_containerd(images.PAUSE, images.COREDNS)
    KUBECTL.apply(render("addons.yaml", COREDNS_IMAGE=images.COREDNS.reference()))
    KUBECTL.run("wait", "--for=condition=Ready", f"node/{NODE_NAME}", "--timeout=90s")
    KUBECTL.run("--namespace=kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s")
    # kube-proxy learns of the ready pod only later: a pod that starts in between would find no name server
    processes.wait_ready(components.kube_proxy(), _dns_service_answers, 30)
    print(f"cluster is up: {KUBECTL.version()}, node {NODE_NAME} Ready", flush=True)


def start_control_plane(
    *, apiserver: Sequence[str] = (), controllers: Sequence[str] = (), administrators: Mapping[str, str] = {}
) -> None:
    """Start an empty API server with its controllers and no node, with further flags and identities; ``down`` stops it.

    For measurements: whoever calls this has looked that nothing runs, and ``check_control_plane`` that it could.
    """
    _write_folders(administrators)
    _add_address()
    etcd, server, *others = components.control_plane(apiserver=apiserver, controllers=controllers)
    processes.start(etcd)
    processes.start(server)
    processes.wait_ready(server, _api_ready, 90)
    for component in others:
        processes.start(component)


def down() -> bool:
    """Stop what was started, pods first; whether anything ran. Images and volumes stay for the next time."""
    running = [c for c in (*components.all_components(), *started_beside()) if processes.running_pid(c)]
    if components.kubelet().name in {c.name for c in running} and _api_ready():
        processes.stop(components.kube_controller_manager())  # so that nothing re-creates the pods that are deleted now
        print("==> deleting pods", flush=True)
        # those on the node: what was never placed keeps the finalizer of a controller that is stopped
        here = f"--field-selector=spec.nodeName={NODE_NAME}"
        KUBECTL.run("delete", "pods", "--all-namespaces", here, "--grace-period=5", "--timeout=60s", check=False)
    if running:
        print(f"==> stopping {', '.join(c.name for c in running)}", flush=True)
    for component in (*started_beside(), *reversed(components.all_components())):
        processes.stop(component)
        if component == components.kubelet():
            kill_containers()
    if RUN.exists():
        _remove_leftovers()
    return bool(running)


def kill_containers() -> None:
    """Kill what runs in containerd, as a power failure would. A container outlives its pod's deletion and its shim."""
    ctr = ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "tasks"]
    if processes.running_pid(components.containerd()):
        left = subprocess.run([*ctr, "ls", "--quiet"], check=False, capture_output=True, text=True).stdout.split()
        for container in left:
            subprocess.run([*ctr, "kill", "--all", "--signal=KILL", container], check=False, capture_output=True)


def started_beside() -> list[Component]:
    """What else runs by a file in RUN: a measurement that was killed leaves its programs behind."""
    ours = {component.name for component in components.all_components()}
    return [Component(file.stem, (), {}) for file in sorted(RUN.glob("*.pid")) if file.stem not in ours]


def _write_folders(administrators: Mapping[str, str] = {}) -> None:
    for folder in (STATE, RUN, LOGS, VOLUMES, STATE / "cni"):
        folder.mkdir(parents=True, exist_ok=True)
    for stale in (ETCD_DATA, PKI, STATE / "kubelet"):
        shutil.rmtree(stale, ignore_errors=True)
    certificates.write_pki(administrators)


def _write_configuration() -> None:
    _write_folders()
    (STATE / "resolv.conf").write_text("")
    (STATE / "containerd.toml").write_text(render("containerd.toml", PAUSE_IMAGE=images.PAUSE.reference()))
    (STATE / "kubelet.yaml").write_text(render("kubelet.yaml"))
    (STATE / "cni" / "10-pods.conflist").write_text(render("cni.conflist"))


def _add_address() -> None:
    subprocess.run(["ip", "address", "replace", f"{NODE_IP}/32", "dev", "lo"], check=True)


def _start_all() -> None:
    _add_address()
    etcd, apiserver, controller_manager, scheduler, containerd, kubelet, proxy = components.all_components()
    processes.start(containerd)
    processes.start(etcd)
    processes.start(apiserver)
    processes.wait_ready(containerd, Path(CONTAINERD_SOCKET).is_socket, 30)
    processes.wait_ready(apiserver, _api_ready, 90)
    for component in (controller_manager, scheduler, kubelet, proxy):
        processes.start(component)
    processes.wait_ready(kubelet, lambda: KUBECTL.run("get", "node", NODE_NAME, check=False).returncode == 0, 60)


def _api_ready() -> bool:
    return (
        KUBECONFIG.exists() and KUBECTL.run("get", "--raw=/readyz", "--request-timeout=2s", check=False).returncode == 0
    )


def _dns_service_answers() -> bool:
    try:
        with socket.create_connection((DNS_SERVICE_IP, 53), timeout=1):
            return True
    except OSError:
        return False


def _remove_leftovers() -> None:
    """Shims, mounts and the address that outlive the daemons; each is ours by the path or address it carries."""
    subprocess.run(["pkill", "--signal=KILL", "--full", f"containerd-shim.*{CONTAINERD_SOCKET}"], check=False)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith((f"{STATE}/", f"{RUN}/"))), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    for family in ("iptables", "ip6tables"):
        if shutil.which(f"{family}-save"):  # a control plane without a node needs none
            _remove_rules(family)
    if shutil.which("ipset"):  # a test of network policies installs it, and may have been killed
        firewall.remove_sets()
    subprocess.run(["ip", "address", "delete", f"{NODE_IP}/32", "dev", "lo"], check=False, capture_output=True)
    shutil.rmtree(RUN)


def _remove_rules(family: str) -> None:
    """Take the chains and rules of kube-proxy and kubelet (named KUBE-...) out of the tables, in one transaction."""
    saved = subprocess.run([f"{family}-save"], check=False, capture_output=True, text=True).stdout
    kept = [line for line in saved.splitlines() if "KUBE-" not in line]
    if len(kept) < len(saved.splitlines()):
        subprocess.run([f"{family}-restore"], check=True, capture_output=True, text=True, input="\n".join(kept) + "\n")
