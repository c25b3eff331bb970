"""The only door to the API server and the only module that knows its client: dicts in, dicts out, one error policy."""

import json
import os
from collections.abc import Awaitable
from typing import Any

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from bertfinetune_operator import contract
from bertfinetune_operator.errors import ClusterError, ConflictError, NotFoundError, RefusedError
from bertfinetune_operator.jobs import Manifest
from bertfinetune_operator.metrics import Metrics
from bertfinetune_operator.observe import Object

ERRORS: dict[int, type[ClusterError]] = {
    400: RefusedError,
    403: RefusedError,
    404: NotFoundError,
    409: ConflictError,
    422: RefusedError,
}

BERTFINETUNES = (contract.GROUP, contract.VERSION, contract.PLURAL)
JOBS = ("batch", "v1", "jobs")
EVENTS = ("events.k8s.io", "v1", "events")

REQUEST_TIMEOUT = 10.0
"""Seconds; the work queue tries again."""


class Cluster:
    """Requests to the API server, by the client's custom-objects API: it serves any group, and plain dicts."""

    def __init__(self, api: client.CustomObjectsApi, metrics: Metrics) -> None:
        self._api = api
        self._metrics = metrics

    @classmethod
    async def connect(cls, metrics: Metrics) -> "Cluster":
        """Connect with the pod's service account or, outside a cluster, with the kubeconfig."""
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config()  # type: ignore[no-untyped-call]
        return cls(client.CustomObjectsApi(), metrics)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.api_client.close()

    async def require_crd(self) -> None:
        """Raise ClusterError with the remedy if the BertFinetune API cannot be read."""
        try:
            await self._call("list", self._api.list_cluster_custom_object(*BERTFINETUNES, limit=1))
        except NotFoundError as error:
            raise NotFoundError(
                f"the API {contract.GROUP}/{contract.VERSION} is not served: install the CRD first"
            ) from error

    async def create_job(self, job: Manifest) -> Object:
        """Create a Job and return it as stored; raise ConflictError or RefusedError."""
        namespace = job["metadata"]["namespace"]
        return await self._call("create", self._api.create_namespaced_custom_object(*_at(JOBS, namespace), job))

    async def get_job(self, namespace: str, name: str) -> Object:
        """Read a Job; raise NotFoundError."""
        return await self._call("get", self._api.get_namespaced_custom_object(*_at(JOBS, namespace), name))

    async def patch_status(self, obj: Object, status: dict[str, Any]) -> Object:
        """Merge `status` into the object's status and return the object.

        Raises ConflictError unless the object is still at the version given, and so also if another of its name has
        replaced it; NotFoundError if it is gone.
        """
        meta = obj["metadata"]
        body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": status}
        request = self._api.patch_namespaced_custom_object_status(
            *_at(BERTFINETUNES, meta["namespace"]), meta["name"], body, _content_type="application/merge-patch+json"
        )
        return await self._call("patch", request)

    async def create_event(self, event: Manifest) -> None:
        """Create an event; one that exists already is the same one."""
        namespace = event["metadata"]["namespace"]
        try:
            await self._call("create", self._api.create_namespaced_custom_object(*_at(EVENTS, namespace), event))
        except ConflictError:
            return

    async def _call(self, verb: str, request: Awaitable[Any]) -> Manifest:
        code = "error"
        try:
            answer: Manifest = await request
            code = "200"
            return answer
        except ApiException as error:
            code = str(error.status)
            raise ERRORS.get(error.status, ClusterError)(_message(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClusterError(str(error) or type(error).__name__) from error
        finally:
            self._metrics.api_requests.labels(verb, code).inc()


def _message(error: ApiException) -> str:
    """The sentence in the Status object the API server answers with, or whatever came instead."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


def _at(resource: tuple[str, str, str], namespace: str) -> tuple[str, str, str, str]:
    group, version, plural = resource
    return group, version, namespace, plural
