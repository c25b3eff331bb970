"""The only door to the API server and the only module that knows its client: dicts in, dicts out, one error policy."""

import json
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from pydantic_core import from_json

from bertfinetune_operator import contract, naming
from bertfinetune_operator.cluster.clock import ServerClock
from bertfinetune_operator.decision import kueue
from bertfinetune_operator.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    GoneError,
    NotFoundError,
    OverloadedError,
    RefusedError,
)
from bertfinetune_operator.informer.source import LIST_CHUNK, SELECTORS, WATCH_SECONDS
from bertfinetune_operator.kinds import (
    BERTFINETUNES,
    EVENTS,
    JOBS,
    LEASES,
    NETWORK_POLICIES,
    POD_GROUPS,
    PODS,
    Manifest,
    Object,
    Resource,
)
from bertfinetune_operator.telemetry.counters import Metrics

ERRORS: dict[int, type[ClusterError]] = {
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    429: OverloadedError,
}
"""What an answer means; all others say no: an invalid field, or a webhook that failed (500)."""

REQUEST_TIMEOUT = 10.0
"""Seconds; the work queue tries again."""

LOG_LINES = 100
"""Lines of a log that are read to find its end."""

MAX_LOG_BYTES = 262_144
"""Most that is read of a log: a line may have any length."""

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Asks for a list of metadata only."""

PATCHES = {"patch": "application/merge-patch+json", "apply": "application/apply-patch+yaml"}
"""Content types of the two kinds of patch; JSON is YAML, too."""


class Cluster:
    """Requests to the API server."""

    def __init__(self, api: client.ApiClient, metrics: Metrics) -> None:
        self._api = api
        self._metrics = metrics
        self.clock = ServerClock()

    @classmethod
    async def connect(cls, metrics: Metrics) -> "Cluster":
        """Connect with the pod's service account or, outside a cluster, with the kubeconfig."""
        configuration = client.Configuration()
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        configuration.connection_pool_maxsize = 0  # no limit: each watch keeps a connection
        configuration.client_session_kwargs = {"trust_env": False}  # else it looks for a .netrc at each request
        return cls(client.ApiClient(configuration), metrics)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def require_crd(self, namespaces: Iterable[str] = ()) -> None:
        """Raise ClusterError with the remedy if the BertFinetune API can be read in none of the namespaces.

        No namespace means all of them at once.
        """
        refusals = []
        for namespace in tuple(namespaces) or (None,):
            try:
                await self._request("list", BERTFINETUNES.path(namespace), {"limit": "1"})
            except NotFoundError as error:
                raise NotFoundError(
                    f"the API {contract.GROUP}/{contract.VERSION} is not served: install the CRD first"
                ) from error
            except ForbiddenError as error:
                refusals.append(error)
            else:
                return
        raise refusals[0]

    async def list_pages(
        self, resource: Resource, namespace: str | None, *, only_metadata: bool = False
    ) -> AsyncIterator[Object]:
        """As `Source` says."""
        query = _selecting(resource, {"limit": str(LIST_CHUNK)})
        while True:
            accept = METADATA if only_metadata else JSON
            page: Object = from_json(await self._request("list", resource.path(namespace), query, accept=accept))
            yield {**page, "items": page["items"] or []}  # null where there is no metadata to tell
            if not (token := page["metadata"].get("continue")):
                return
            query["continue"] = token

    async def watch(
        self, resource: Resource, namespace: str | None, version: str, silence: float
    ) -> AsyncIterator[list[Object]]:
        """As `Source` says."""
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        limits = aiohttp.ClientTimeout(sock_connect=REQUEST_TIMEOUT, sock_read=silence)
        path = resource.path(namespace)
        async with self._answer("watch", path, _selecting(resource, query), limits=limits) as answer:
            yield []
            rest = b""
            async for piece in answer.content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                changes = [from_json(line) for line in lines if line]
                for change in changes:
                    if change["type"] == "ERROR":  # whatever it says, more changes are not to be had
                        raise GoneError(str(change["object"].get("message", change["object"])))
                yield changes

    async def create_job(self, job: Manifest) -> Object:
        """Create a Job and return it as stored; raise ConflictError or RefusedError."""
        return await self._object("create", JOBS.path(job["metadata"]["namespace"]), body=job)

    async def get_job(self, namespace: str, name: str) -> Object:
        """Read a Job; raise NotFoundError."""
        return await self._object("get", JOBS.path(namespace, name))

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        """Delete the Job of this uid and let its pods end after it; does nothing if it is gone."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            await self._request("delete", JOBS.path(namespace, name), body=options)
        except (NotFoundError, ConflictError):
            return

    async def patch_status(self, obj: Object, status: dict[str, Any]) -> Object:
        """Merge `status` into the object's status and return the object.

        Raises ConflictError unless the object is still at the version given, and so also if another of its name has
        replaced it; NotFoundError if it is gone.
        """
        meta = obj["metadata"]
        body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": status}
        return await self._object("patch", BERTFINETUNES.path(meta["namespace"], meta["name"], "status"), body=body)

    async def apply_network_policy(self, policy: Manifest) -> None:
        """Create a NetworkPolicy, or make the one of its name like it; raise RefusedError."""
        meta = policy["metadata"]
        path = NETWORK_POLICIES.path(meta["namespace"], meta["name"])
        await self._request("apply", path, {"fieldManager": naming.MANAGER, "force": "true"}, policy)

    async def create_event(self, event: Manifest) -> None:
        """Create an event; one that exists already is the same one."""
        try:
            await self._request("create", EVENTS.path(event["metadata"]["namespace"]), body=event)
        except ConflictError:
            return

    async def log_tail(self, namespace: str, pod: str, container: str, max_bytes: int) -> str:
        """The end of a container's log, at most `max_bytes` of UTF-8; "" if there is none or its node is gone."""
        query = {"container": container, "tailLines": str(LOG_LINES), "limitBytes": str(MAX_LOG_BYTES)}
        try:
            log = await self._request("get", PODS.path(namespace, pod, "log"), query)
        except (NotFoundError, RefusedError, OverloadedError):
            return ""
        return log.strip()[-max_bytes:].decode(errors="ignore")

    async def is_quiet(self, namespace: str, pod: str, container: str, seconds: int) -> bool:
        """Whether a container has written nothing to its log for so long; False where nobody can tell."""
        query = {"container": container, "sinceSeconds": str(seconds), "tailLines": "1"}
        try:
            return not await self._request("get", PODS.path(namespace, pod, "log"), query)
        except (NotFoundError, RefusedError, OverloadedError):
            return False

    async def newest_warning(self, namespace: str, uid: str) -> str:
        """Reason and note of the newest event about the object of this uid, if it is a warning; else "".

        A warning that something normal has followed is over: a pod that had no node at first, and then got one.
        """
        query = {"fieldSelector": f"regarding.uid={uid}"}
        try:
            events = (await self._object("list", EVENTS.path(namespace), query))["items"]
        except RefusedError:
            return ""
        # by version: the times are of several clocks, those of nodes among them
        newest: Object = max(events, key=lambda event: int(event["metadata"]["resourceVersion"]), default={})
        return f"{newest['reason']}: {newest.get('note', '')}" if newest.get("type") == "Warning" else ""

    async def pod_group(self, namespace: str, name: str) -> Object | None:
        """Volcano's PodGroup, or None where there is none to be read."""
        try:
            return await self._object("get", POD_GROUPS.path(namespace, name))
        except (NotFoundError, RefusedError):
            return None

    async def workloads(self, namespace: str, job_uid: str) -> list[Object]:
        """Kueue's Workloads of a Job; raise NotFoundError where there is no Kueue, ForbiddenError without the right.

        What Kueue serves is asked first, which everyone may, so that without it nothing is asked for that is not there.
        """
        served = await self._object("get", f"/apis/{kueue.GROUP}")
        names = {version["version"] for version in served["versions"]}
        version = next((known for known in kueue.VERSIONS if known in names), kueue.VERSIONS[0])
        path = Resource(kueue.GROUP, version, "workloads").path(namespace)
        found = await self._object("list", path, {"labelSelector": f"{kueue.JOB_UID}={job_uid}"})
        return list(found["items"])

    async def _object(
        self, verb: str, path: str, query: dict[str, str] | None = None, body: Manifest | None = None
    ) -> Object:
        answer: Object = from_json(await self._request(verb, path, query, body))
        return answer

    async def _request(
        self,
        verb: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Manifest | None = None,
        *,
        accept: str = JSON,
    ) -> bytes:
        async with self._answer(verb, path, query, body, accept=accept) as answer:
            return await answer.read()

    @asynccontextmanager
    async def _answer(
        self,
        verb: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Manifest | None = None,
        *,
        accept: str = JSON,
        limits: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The one request: by the client's own connection and credentials, without its models of every kind.

        The block reads the body. The request is counted when the block ends, a watch when it begins.
        """
        code, began, is_counted = "error", perf_counter(), False
        limits = limits or aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)
        headers = {"Accept": accept, "Content-Type": PATCHES.get(verb, JSON)}
        answer = None
        try:
            request = await self._api.param_serialize(
                METHODS[verb], path, None, query, headers, body, auth_settings=["BearerToken"]
            )
            answer = (await self._api.call_api(*request, _request_timeout=limits)).response
            self.clock.hear(answer.headers.get("Date", ""))
            code = str(answer.status)
            if answer.status >= 300:
                raise _error(answer.status, answer.headers.get("Retry-After", ""), await answer.read())
            if verb == "watch":
                self._metrics.requested(verb, code, perf_counter() - began)
                is_counted = True
            yield answer
        except TimeoutError as error:
            limit = limits.total or limits.sock_read
            raise ClusterError(f"the API server has not answered within {limit:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ClusterError(str(error) or type(error).__name__) from error
        finally:
            if answer is not None:
                answer.close()  # a watch may be left before its end
            if not is_counted:
                self._metrics.requested(verb, code, perf_counter() - began)

    async def get_lease(self, namespace: str, name: str) -> Object:
        """Read a Lease; raise NotFoundError."""
        return await self._object("get", LEASES.path(namespace, name))

    async def create_lease(self, namespace: str, name: str, spec: dict[str, Any]) -> Object:
        """Create a Lease and return it as stored; raise ConflictError if there is one."""
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}
        return await self._object("create", LEASES.path(namespace), body=lease)

    async def replace_lease(self, lease: Object, spec: dict[str, Any]) -> Object:
        """Replace a Lease's spec and return it as stored; raise ConflictError unless it is still at its version."""
        meta = lease["metadata"]
        return await self._object("update", LEASES.path(meta["namespace"], meta["name"]), body={**lease, "spec": spec})


METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "apply": "PATCH",
    "delete": "DELETE",
}


def _selecting(resource: Resource, query: dict[str, str]) -> dict[str, str]:
    selector = SELECTORS.get(resource)
    return query | {"labelSelector": selector} if selector else query


def _error(status: int, retry_after: str, body: bytes) -> ClusterError:
    """The error with the sentence in the Status object the API server answers with, or with whatever came instead."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = f"{status} {body[:200].decode(errors='replace')}"
    error = ERRORS.get(status, RefusedError)(message)
    error.retry_after = float(retry_after) if retry_after.isdecimal() else 0.0
    return error
