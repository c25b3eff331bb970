"""Tests of this tier need an API server with its controllers, and no node: nothing runs in a pod here."""

from collections.abc import Iterator

import pytest

from lab.cluster import local, preflight
from lab.demo.target import Target


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A control plane without a node, or the whole cluster where one is up."""
    if local.is_up():
        yield Target(local.KUBECTL, None)
        return
    local.down()
    preflight.check_control_plane(target="test-api")
    try:
        local.start_control_plane()
        yield Target(local.KUBECTL, None)
    finally:  # also what started before something else did not
        local.down()
