"""The in-memory picture of the cluster: every BertFinetune with its Jobs, its pods and what these report."""

import sys
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from bertfinetune_operator import contract, naming
from bertfinetune_operator.api.status import FINISHED
from bertfinetune_operator.decision.views import (
    JobView,
    Observed,
    PodView,
    ProgressView,
    Question,
    observe,
    view_job,
    view_pod,
)
from bertfinetune_operator.kinds import Object

ViewT = TypeVar("ViewT", JobView, PodView)

Wanted = Mapping[str, "Wanted"] | None
"""The keys that are kept of a dictionary, and what is kept under each; None keeps all."""

WHOLE: Wanted = None
READ_METADATA: Wanted = dict.fromkeys(
    ("name", "namespace", "uid", "generation", "resourceVersion", "creationTimestamp", "deletionTimestamp"), WHOLE
)
"""What is read of an object's metadata."""

READ_WHEN_FINISHED: Mapping[str, Wanted] = {
    "spec": {
        "task": WHOLE,
        "model": {"name": WHOLE},
        "accelerator": {"type": WHOLE, "devicesPerWorker": WHOLE, "virtualDevice": WHOLE},
        "training": dict.fromkeys(("trainBatchSize", "gradientAccumulationSteps", "maxSeqLength"), WHOLE),
        "trainer": {"resources": {"limits": {"cpu": WHOLE}}},
        "quality": {"minAccuracy": WHOLE},
        "ttlSecondsAfterFinished": WHOLE,
    },
    "status": {
        "observedGeneration": WHOLE,
        "phase": WHOLE,
        "reason": WHOLE,
        "podName": WHOLE,
        "nodeName": WHOLE,
        "startTime": WHOLE,
        "completionTime": WHOLE,
        "progress": dict.fromkeys(("step", "totalSteps", "msPerStep"), WHOLE),
        "result": dict.fromkeys(("collapsed", "accuracy", "f1", "matthews", "durationSeconds", "seed"), WHOLE),
        "trials": WHOLE,
        "retries": WHOLE,
        "gradientAccumulationSteps": WHOLE,
    },
}
"""What is still read of an object that has finished: most objects have, and there may be ten thousand of them."""


class Key(NamedTuple):
    """One BertFinetune. The namespace is part of it: a pod elsewhere may claim the same uid in its labels."""

    namespace: str
    uid: str


@dataclass(slots=True)
class Entry:
    """What is known under one key."""

    obj: Object | None = None
    jobs: dict[str, JobView] = field(default_factory=dict)
    """By name."""
    pods: dict[str, PodView] = field(default_factory=dict)
    """By name; none once the object has finished."""
    reports: dict[str, ProgressView] = field(default_factory=dict)
    """The newest progress report of each pod, by the pod's name."""
    refusal: str | None = None
    """Why the API server refused to create the Job, if it did."""
    answers: dict[Question, str] = field(default_factory=dict)
    """What was asked about the children."""
    is_fresh: bool = False
    """Whether an event or a write has shown since the last pass that the object exists."""

    @property
    def is_finished(self) -> bool:
        """Whether the object has reached its end."""
        return self.obj is not None and self.obj.get("status", {}).get("phase") in FINISHED

    @property
    def recorded_failure(self) -> str:
        """The pod whose failure the status tells of, or ""."""
        status = (self.obj or {}).get("status", {})
        return str(status.get("lastFailure", {}).get("pod", ""))

    def observed(self) -> Observed:
        """The entry as a decision sees it."""
        return observe(self.jobs.values(), self.pods.values(), self.reports, self.refusal, self.answers)


def key_of(raw: Object) -> Key | None:
    """The BertFinetune an object is, or belongs to by its label; None if it is nobody's."""
    meta = raw["metadata"]
    uid = meta["uid"] if raw["kind"] == contract.KIND else meta.get("labels", {}).get(naming.LABEL_UID)
    return Key(meta["namespace"], uid) if uid else None


class Index:
    """A store fed by watch events and by the operator's own writes, whichever comes first."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = defaultdict(Entry)

    def put(self, raw: Object) -> bool:
        """Keep an object, unless a newer version of it is here already; True if there is anything new in it."""
        if (key := key_of(raw)) is None:
            return False
        entry = self._entries[key]
        match raw["kind"]:
            case contract.KIND:
                return _put_object(entry, raw)
            case "Job" if _owned_by(raw, key.uid):
                return _keep(entry.jobs, view_job(raw))
            case "Pod" if not entry.is_finished:
                return _keep(entry.pods, view_pod(raw))
        return False

    def discard(self, raw: Object) -> None:
        """Forget an object that was deleted."""
        key = key_of(raw)
        if key is None or (entry := self._entries.get(key)) is None:
            return
        match raw["kind"]:
            case contract.KIND:
                entry.obj = None
                _forget_gone(entry)
            case "Job":
                _forget(entry.jobs, raw)
            case "Pod":
                _bury(entry, raw)
        if not (entry.obj or entry.jobs or entry.pods):
            del self._entries[key]

    def retain(self, kind: str, namespace: str | None, listed: Container[str], version: int) -> list[Key]:
        """Forget what a list at this version lacks, and return its keys.

        What is newer than the list stays: the operator's own writes are here before any list has them.

        Args:
            kind: what was listed.
            namespace: where it was listed; None means everywhere.
            listed: the uids in the list.
            version: the list's resourceVersion.
        """
        gone = []
        for key in self.keys(namespace):
            entry = self._entries[key]
            if kind == contract.KIND:
                obj = entry.obj
                missing = [obj] if obj and key.uid not in listed and _version(obj) <= version else []
            else:
                children = entry.jobs if kind == "Job" else entry.pods
                missing = [
                    _raw(kind, key, child)
                    for child in children.values()
                    if child.uid not in listed and child.version <= version
                ]
            for raw in missing:
                self.discard(raw)
                gone.append(key)
        return gone

    def keys(self, namespace: str | None) -> list[Key]:
        """All keys in a namespace, or in all for None."""
        return [key for key in self._entries if namespace in (None, key.namespace)]

    def versions(self, namespace: str | None) -> dict[str, int]:
        """The version of each BertFinetune in a namespace, or in all for None, by its uid."""
        entries = ((key, self._entries[key].obj) for key in self.keys(namespace))
        return {key.uid: _version(obj) for key, obj in entries if obj}

    def deleting(self, key: Key, job: JobView) -> None:
        """Note that a Job is being deleted before a watch tells of it, so that it is not deleted twice."""
        entry = self._entries.get(key)
        if entry and entry.jobs.get(job.name) == job:
            entry.jobs[job.name] = replace(job, deleting=True)

    def get(self, key: Key) -> Entry | None:
        """What is known under a key, or None."""
        return self._entries.get(key)

    def report(self, key: Key, pod: str, report: ProgressView) -> bool:
        """Keep the newest progress report of a pod; True if it is news."""
        entry = self._entries.get(key)
        if entry is None or pod not in entry.pods:
            return False
        is_news = entry.reports.get(pod) != report
        entry.reports[pod] = report
        return is_news

    def objects(self) -> Iterator[Object]:
        """Every BertFinetune; another thread may write meanwhile."""
        return (entry.obj for entry in list(self._entries.values()) if entry.obj)

    def running(self) -> Iterator[tuple[Key, PodView]]:
        """Every pod of a BertFinetune that runs, and so can be asked for its progress."""
        for key, entry in self._entries.items():
            for pod in entry.pods.values():
                if entry.obj and pod.state == "Running" and pod.ip:
                    yield key, pod


def _version(raw: Object) -> int:
    return int(raw["metadata"]["resourceVersion"])


def _raw(kind: str, key: Key, child: JobView | PodView) -> Object:
    """As much of a child as `discard` reads."""
    labels = {naming.LABEL_UID: key.uid}
    return {
        "kind": kind,
        "metadata": {"namespace": key.namespace, "name": child.name, "uid": child.uid, "labels": labels},
    }


def _owned_by(raw: Object, uid: str) -> bool:
    """Whether the object's controller has this uid: a label alone may be anybody's."""
    return any(owner["uid"] == uid and owner.get("controller") for owner in raw["metadata"].get("ownerReferences", ()))


def _put_object(entry: Entry, raw: Object) -> bool:
    old = entry.obj
    if old and _version(raw) <= _version(old):
        return False  # versions are ordered integers (KEP-5504)
    entry.obj = _slim(raw)
    if entry.is_finished:
        entry.pods, entry.reports, entry.answers = {}, {}, {}
    elif (recorded := entry.recorded_failure) in entry.pods and entry.pods[recorded].gone:
        _forget_gone(entry)
    return True


def _bury(entry: Entry, raw: Object) -> None:
    """Forget a pod that was deleted, but for a failure that no status tells of yet: a pod may go as it fails."""
    name = raw["metadata"]["name"]
    known = entry.pods.get(name)
    _forget(entry.pods, raw)
    entry.reports.pop(name, None)
    last = view_pod(raw) if "status" in raw else known
    if last and last.failure and entry.obj and not entry.is_finished and entry.recorded_failure != name:
        entry.pods[name] = replace(last, gone=True)


def _forget_gone(entry: Entry) -> None:
    entry.pods = {name: pod for name, pod in entry.pods.items() if not pod.gone}


def _keep(children: dict[str, ViewT], new: ViewT) -> bool:
    """Keep a child, unless a newer version of it is here already; True if it looks different now."""
    old = children.get(new.name)
    if old and old.uid == new.uid and old.version > new.version:
        return False
    children[new.name] = new
    return old != new


def _forget(children: dict[str, ViewT], raw: Object) -> None:
    """Drop a child, unless another one has taken its name meanwhile."""
    meta = raw["metadata"]
    if (known := children.get(meta["name"])) and known.uid == meta["uid"]:
        del children[meta["name"]]


def _slim(raw: Object) -> Object:
    """The object without what nobody reads here: most of the memory that ten thousand of them would take."""
    parts = {name: raw[name] for name in ("kind", "metadata", "spec", "status") if name in raw}
    parts["metadata"] = _kept(raw["metadata"], READ_METADATA)
    if parts.get("status", {}).get("phase") in FINISHED:
        parts |= {name: _kept(parts[name], wanted) for name, wanted in READ_WHEN_FINISHED.items()}
    slim: Object = _shared(parts)
    return slim


def _kept(value: Any, wanted: Wanted) -> Any:
    if wanted is None:
        return value
    return {key: _kept(value[key], inner) for key, inner in wanted.items() if key in value}


def _shared(value: Any) -> Any:
    """The value with one copy of each text in all objects: JSON makes new ones for each document."""
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, dict):
        return {sys.intern(key): _shared(inner) for key, inner in value.items()}
    return [_shared(inner) for inner in value] if isinstance(value, list) else value
