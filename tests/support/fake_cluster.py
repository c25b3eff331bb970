"""The API server as a Reconciler sees it, in memory."""

import asyncio
from datetime import datetime
from typing import Any

from bertfinetune_operator.errors import ClusterError
from bertfinetune_operator.informer.index import Index
from support import builders as make
from support.merge import apply


class Clock:
    """The time, which the test moves."""

    now = make.NOW

    def __call__(self) -> datetime:
        return self.now


class FakeCluster:
    """Remembers the calls; `errors` are raised by the call of that name."""

    def __init__(self, index: Index, job: dict[str, Any]) -> None:
        self.index, self.job = index, job
        self.calls: list[str] = []
        self.says: dict[str, Any] = {
            "log_tail": "the last words",
            "is_quiet": False,
            "newest_warning": "",
            "pod_group": None,
            "workloads": [],
        }
        self.patches: list[dict[str, Any]] = []
        self.errors: dict[str, ClusterError] = {}

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.errors:
            raise self.errors[name]

    async def create_job(self, job: dict[str, Any]) -> dict[str, Any]:
        self._call("create_job")
        return job | {"metadata": job["metadata"] | {"uid": "u", "resourceVersion": "1"}}

    async def get_job(self, namespace: str, name: str) -> dict[str, Any]:
        self._call("get_job")
        assert (namespace, name) == (self.job["metadata"]["namespace"], self.job["metadata"]["name"])
        return self.job

    async def patch_status(self, obj: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        self._call("patch_status")
        self.patches.append(status)
        version = str(int(obj["metadata"]["resourceVersion"]) + 1)
        return obj | {
            "metadata": obj["metadata"] | {"resourceVersion": version},
            "status": apply(obj.get("status"), status),
        }

    async def delete_job(self, namespace: str, name: str, uid: str) -> None:
        self._call(f"delete_job {namespace}/{name} {uid}")

    async def is_quiet(self, namespace: str, pod: str, container: str, seconds: int) -> bool:
        self._call(f"is_quiet {namespace}/{pod} {container} {seconds}")
        return self.says["is_quiet"]

    async def log_tail(self, namespace: str, pod: str, container: str, max_bytes: int) -> str:
        self._call(f"log_tail {namespace}/{pod} {container} {max_bytes}")
        return self.says["log_tail"]

    async def newest_warning(self, namespace: str, uid: str) -> str:
        self._call(f"newest_warning {namespace} {uid}")
        return self.says["newest_warning"]

    async def pod_group(self, namespace: str, name: str) -> dict[str, Any] | None:
        self._call(f"pod_group {namespace}/{name}")
        return self.says["pod_group"]

    async def workloads(self, namespace: str, job_uid: str) -> list[dict[str, Any]]:
        self._call(f"workloads {namespace} {job_uid}")
        return self.says["workloads"]

    async def apply_network_policy(self, policy: dict[str, Any]) -> None:
        await asyncio.sleep(0)  # others have their turn, as during a request
        self._call(f"apply_network_policy {policy['metadata']['namespace']}/{policy['metadata']['name']}")

    async def create_event(self, event: dict[str, Any]) -> None:
        self._call("create_event")
        assert event["regarding"]["name"] == "minimal"
