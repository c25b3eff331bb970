"""Enforces network policies on this machine's pods with kube-router, and takes all that it leaves away again."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from lab.cluster import components, processes
from lab.cluster.layout import API_SERVER_GROUP, POD_CIDR

CHAINS = ("KUBE-ROUTER-", "KUBE-NWPLCY-", "KUBE-POD-FW-")
"""Beginnings of kube-router's chains in the table filter; kube-proxy's have others."""


@contextmanager
def enforced() -> Iterator[None]:
    """The policies are in force inside, from the first full pass of the firewall on."""
    router = components.kube_router()
    processes.start(router)
    try:
        processes.wait_ready(router, lambda: "KUBE-POD-FW-" in _rules(), 60)
        yield
    finally:
        processes.stop(router)
        _remove_chains()
        remove_sets()


@contextmanager
def api_server_elsewhere() -> Iterator[None]:
    """Inside, the API server cannot connect to pods, as one on another node cannot whose packets the policies judge.

    Kubernetes lets a node through to its own pods whatever the policies say, and here it is the API server's node, too:
    https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation.
    """
    owner = ("-m", "owner", "--gid-owner", str(API_SERVER_GROUP), "-m", "comment", "--comment", "KUBE-API-ELSEWHERE")
    its_own = ("-m", "conntrack", "--ctdir", "ORIGINAL")  # and no answer to a pod that has asked it
    rule = ("OUTPUT", "--destination", POD_CIDR, *owner, *its_own, "-j", "DROP")
    subprocess.run(["iptables", "--insert", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "--delete", *rule], check=True)


def traces() -> list[str]:
    """What must not be left: rules and sets of addresses."""
    return [line for line in _rules().splitlines() if any(mark in line for mark in CHAINS)] + _sets()


def _rules() -> str:
    return subprocess.run(["iptables-save", "-t", "filter"], check=True, capture_output=True, text=True).stdout


def _remove_chains() -> None:
    """In one transaction that touches no other rule: the jumps from the built-in chains, then the chains."""
    rules = _rules().splitlines()
    jumps = [line for line in rules if line.startswith("-A") and " -j KUBE-ROUTER-" in line]
    chains = [line.split()[0][1:] for line in rules if line.startswith(tuple(f":{mark}" for mark in CHAINS))]
    steps = [f"-D{jump[2:]}" for jump in jumps] + [f"{flag} {chain}" for flag in ("-F", "-X") for chain in chains]
    script = "\n".join(("*filter", *steps, "COMMIT", ""))
    subprocess.run(["iptables-restore", "--noflush"], check=True, capture_output=True, text=True, input=script)


def _sets() -> list[str]:
    names = subprocess.run(["ipset", "list", "-name"], check=True, capture_output=True, text=True).stdout.split()
    return [name for name in names if name.startswith(("KUBE-SRC-", "KUBE-DST-"))]


def remove_sets() -> None:
    """Remove kube-router's sets of addresses, which outlive it."""
    for flag in ("flush", "destroy"):
        for name in _sets():
            subprocess.run(["ipset", flag, name], check=True, capture_output=True)
