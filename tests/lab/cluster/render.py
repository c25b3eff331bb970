"""Fills the files of ``config/`` with this cluster's paths, addresses and images."""

from pathlib import Path
from string import Template

from lab.cluster import layout

CONFIG = Path(__file__).parent / "config"
_NAMES = (
    "STATE",
    "RUN",
    "PKI",
    "CONTAINERD_SOCKET",
    "POD_CIDR",
    "NODE_IP",
    "NODE_NAME",
    "DNS_SERVICE_IP",
    "CLUSTER_DOMAIN",
)


def render(name: str, **values: str) -> str:
    """The text of ``config/<name>``; KeyError for a placeholder that has no value."""
    known = {key: str(getattr(layout, key)) for key in _NAMES}
    return Template((CONFIG / name).read_text()).substitute(known, **values)
