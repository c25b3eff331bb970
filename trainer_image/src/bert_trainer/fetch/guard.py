"""Keeps downloads away from the metadata services of clouds, which give a node's credentials to whoever asks.

A name may resolve to such an address, and a redirect lead to it: so every connection is looked at, and no URL.
"""

import errno
import socket
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

FORBIDDEN = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",  # link-local: AWS, Azure, Google, Huawei, OpenStack
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's host
        "fe80::/10",  # link-local
        "fd00:ec2::254/128",  # AWS
        "fd20:ce::254/128",  # Google
    )
)


class ForbiddenAddressError(OSError):
    """A connection to an address of FORBIDDEN was refused before it was made."""


def guard_connections() -> None:
    """Makes all sockets of this process refuse FORBIDDEN, whichever library they belong to; may be called again."""
    setattr(socket.socket, "connect", _connect)  # noqa: B010 - a type checker takes an assignment for a mistake


def _connect(self: socket.socket, address: Any) -> None:
    """Connects as before; libraries resolve names first, so that an internet address begins with a number."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and is_forbidden(address[0]):
        raise ForbiddenAddressError(errno.EACCES, "leads to {}, where no download may go".format(address[0]))
    super(socket.socket, self).connect(address)


def is_forbidden(host: str) -> bool:
    """Tells whether an IP address is in FORBIDDEN, perhaps with a zone, or as an IPv4 address within an IPv6 one."""
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any((mapped or address) in network for network in FORBIDDEN)
