"""Where the informer reads lists and watches: `cluster.client.Cluster` in the process."""

from collections.abc import AsyncIterator
from typing import Protocol

from bertfinetune_operator import naming
from bertfinetune_operator.kinds import JOBS, PODS, Object, Resource

LIST_CHUNK = 100
"""Objects in one page of a list: a page is in memory as a whole, twice, and a pod is a large document."""

WATCH_SECONDS = 300
"""After this time the API server ends a watch, which then goes on where it was: no connection lasts for days."""

SELECTORS = {JOBS: naming.CHILD_SELECTOR, PODS: naming.CHILD_SELECTOR}
"""Labels by which the API server chooses what is listed and watched."""


class Source(Protocol):
    """What is asked of the API server."""

    def list_pages(
        self, resource: Resource, namespace: str | None, *, only_metadata: bool = False
    ) -> AsyncIterator[Object]:
        """The pages of a list, all at one version, whose items lack their kind; None means all namespaces.

        Raises:
            GoneError: the list took so long that the API server has forgotten its version; begin again.
            ClusterError: it cannot be read.
        """

    def watch(
        self, resource: Resource, namespace: str | None, version: str, silence: float
    ) -> AsyncIterator[list[Object]]:
        """What has changed since `version`, bookmarks included, until the API server ends the watch.

        First comes an empty list, once the watch has begun, and then each time all changes that have arrived.

        Raises:
            GoneError: the changes since then are not known any more; list again.
            ClusterError: the watch cannot begin, breaks off, or is silent for `silence` seconds.
        """
