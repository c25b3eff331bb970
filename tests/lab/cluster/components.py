"""The command line of every component, in the order in which they start. Flags are the upstream programs' own."""

import os
from collections.abc import Sequence
from dataclasses import replace

from lab.cluster.layout import (
    API_PORT,
    API_SERVER_GROUP,
    AUDIT_LOG,
    ETCD_DATA,
    ETCD_PEER_PORT,
    ETCD_PORT,
    KUBECONFIG,
    NODE_IP,
    NODE_NAME,
    PKI,
    POD_CIDR,
    SERVICE_CIDR,
    STATE,
    program,
)
from lab.cluster.processes import Component
from lab.cluster.render import CONFIG


def _component(name: str, *flags: str, env: dict[str, str] | None = None, stop_seconds: float = 20.0) -> Component:
    return Component(name, (str(program(name)), *flags), env or {}, stop_seconds)


def etcd() -> Component:
    url, peer = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"
    return _component(
        "etcd",
        f"--data-dir={ETCD_DATA}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # a demo's cluster is made anew after a crash
        "--log-level=warn",
    )


def kube_apiserver(*flags: str) -> Component:
    server = _component(
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
        f"--secure-port={API_PORT}",
        f"--advertise-address={NODE_IP}",
        f"--bind-address={NODE_IP}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--authorization-mode=Node,RBAC",
        f"--client-ca-file={PKI}/ca.crt",
        f"--tls-cert-file={PKI}/apiserver.crt",
        f"--tls-private-key-file={PKI}/apiserver.key",
        f"--kubelet-certificate-authority={PKI}/ca.crt",
        f"--kubelet-client-certificate={PKI}/admin.crt",
        f"--kubelet-client-key={PKI}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={PKI}/service-account.key",
        f"--service-account-signing-key-file={PKI}/service-account.key",
        "--shutdown-delay-duration=0s",
        # who owns an object with blockOwnerDeletion must be his to finalize, as on OpenShift
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        f"--audit-policy-file={CONFIG / 'audit.yaml'}",
        f"--audit-log-path={AUDIT_LOG}",
        "--audit-log-maxsize=100",
        "--audit-log-maxbackup=1",
        *flags,
        stop_seconds=30,
    )
    # a group of its own, by which a firewall tells its connections from the kubelet's (firewall.api_server_elsewhere)
    as_group = ("setpriv", f"--regid={API_SERVER_GROUP}", "--clear-groups", "--")
    return replace(server, argv=(*as_group, *server.argv))


def kube_controller_manager(*flags: str) -> Component:
    kubeconfig = f"{PKI}/kube-controller-manager.kubeconfig"
    return _component(
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--use-service-account-credentials",
        f"--root-ca-file={PKI}/ca.crt",
        f"--service-account-private-key-file={PKI}/service-account.key",
        "--leader-elect=false",
        *flags,
    )


def kube_scheduler(*flags: str) -> Component:
    kubeconfig = f"{PKI}/kube-scheduler.kubeconfig"
    return _component(
        "kube-scheduler",
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        *flags,
    )


def containerd() -> Component:
    return Component("containerd", ("containerd", f"--config={STATE}/containerd.toml"), {})


def kubelet() -> Component:
    return _component(
        "kubelet",
        f"--config={STATE}/kubelet.yaml",
        f"--kubeconfig={PKI}/kubelet.kubeconfig",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_IP}",
        f"--root-dir={STATE}/kubelet",
        f"--node-labels={node_labels()}",
    )


def kube_proxy() -> Component:
    return _component(
        "kube-proxy",
        f"--kubeconfig={PKI}/kube-proxy.kubeconfig",
        f"--hostname-override={NODE_NAME}",
        f"--cluster-cidr={POD_CIDR}",
        "--proxy-mode=iptables",
        # zero leaves the machine's conntrack settings alone: they are the person's, and read-only in a container
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    )


def kube_router() -> Component:
    """A firewall that enforces network policies, which the ptp plugin does not; a test starts it (firewall.py)."""
    return _component(
        "kube-router",
        f"--kubeconfig={KUBECONFIG}",
        f"--hostname-override={NODE_NAME}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--run-firewall",
        "--run-router=false",
        "--run-service-proxy=false",
        "--enable-cni=false",
        "--health-port=0",
    )


def node_labels() -> str:
    """The labels that Ascend's documentation asks of a node with 910 cards (mind-cluster, YAML configuration)."""
    arch = "arm" if os.uname().machine == "aarch64" else "x86"
    return f"accelerator=huawei-Ascend910,host-arch=huawei-{arch},accelerator-type=module"


def control_plane(*, apiserver: Sequence[str] = (), controllers: Sequence[str] = ()) -> tuple[Component, ...]:
    """What a cluster without nodes is made of; ``controllers`` are flags of both controller manager and scheduler."""
    return etcd(), kube_apiserver(*apiserver), kube_controller_manager(*controllers), kube_scheduler(*controllers)


def node() -> tuple[Component, ...]:
    return containerd(), kubelet(), kube_proxy()


def all_components() -> tuple[Component, ...]:
    return *control_plane(), *node()
