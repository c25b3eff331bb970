"""The in-memory picture of the cluster: every BertFinetune with its Job, its pods and its newest progress report."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bertfinetune_operator import contract, naming
from bertfinetune_operator.observe import Object, Observed, observe

UNREAD_METADATA = frozenset({"managedFields", "annotations"})


class Key(NamedTuple):
    """One BertFinetune. The namespace is part of it: a pod elsewhere may claim the same uid in its labels."""

    namespace: str
    uid: str


@dataclass
class Entry:
    """What is known under one key."""

    obj: Object | None = None
    job: Object | None = None
    pods: dict[str, Object] = field(default_factory=dict)
    """By name."""
    reports: dict[str, Object] = field(default_factory=dict)
    """The newest progress report of each pod, by the pod's name."""
    refusal: str | None = None
    """Why the API server refused to create the Job, if it did."""

    def observed(self) -> Observed:
        """The entry as a decision sees it."""
        return observe(self.job, self.pods.values(), self.reports, self.refusal)


def key_of(raw: Object) -> Key | None:
    """The BertFinetune an object is, or belongs to by its label; None if it is nobody's."""
    meta = raw["metadata"]
    uid = meta["uid"] if raw["kind"] == contract.KIND else meta.get("labels", {}).get(naming.LABEL_UID)
    return Key(meta["namespace"], uid) if uid else None


class Index:
    """A store fed by watch events and by the operator's own writes, whichever comes first."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = defaultdict(Entry)

    def put(self, raw: Object) -> None:
        """Keep an object, unless a newer version of it is here already."""
        if (key := key_of(raw)) is None:
            return
        entry, name = self._entries[key], raw["metadata"]["name"]
        match raw["kind"]:
            case contract.KIND:
                entry.obj = _newer(entry.obj, raw)
            case "Job" if _owned_by(raw, key.uid):
                entry.job = _newer(entry.job, raw)
            case "Pod":
                entry.pods[name] = _newer(entry.pods.get(name), raw)

    def discard(self, raw: Object) -> None:
        """Forget an object that was deleted."""
        key = key_of(raw)
        if key is None or (entry := self._entries.get(key)) is None:
            return
        match raw["kind"]:
            case contract.KIND:
                entry.obj = None
            case "Job" if entry.job and entry.job["metadata"]["uid"] == raw["metadata"]["uid"]:
                entry.job = None
            case "Pod":
                entry.pods.pop(raw["metadata"]["name"], None)
                entry.reports.pop(raw["metadata"]["name"], None)
        if not (entry.obj or entry.job or entry.pods):
            del self._entries[key]

    def get(self, key: Key) -> Entry | None:
        """What is known under a key, or None."""
        return self._entries.get(key)

    def report(self, key: Key, pod: str, report: Object) -> bool:
        """Keep the newest progress report of a pod; True if it is news."""
        entry = self._entries.get(key)
        if entry is None or pod not in entry.pods or entry.reports.get(pod) == report:
            return False
        entry.reports[pod] = report
        return True

    def objects(self) -> Iterator[Object]:
        """Every BertFinetune."""
        return (entry.obj for entry in self._entries.values() if entry.obj)

    def running(self) -> Iterator[tuple[Key, Object]]:
        """Every pod of a BertFinetune that runs, and so can be asked for its progress."""
        for key, entry in self._entries.items():
            for pod in entry.pods.values():
                if entry.obj and pod["status"].get("phase") == "Running" and pod["status"].get("podIP"):
                    yield key, pod


def _owned_by(raw: Object, uid: str) -> bool:
    """Whether the object's controller has this uid: a label alone may be anybody's."""
    return any(owner["uid"] == uid and owner.get("controller") for owner in raw["metadata"].get("ownerReferences", ()))


def _newer(old: Object | None, new: Object) -> Object:
    """The newer of two versions; an object of another uid is a new one. Versions are ordered integers (KEP-5504)."""
    if old and old["metadata"]["uid"] == new["metadata"]["uid"] and _version(old) > _version(new):
        return old
    return _slim(new)


def _slim(raw: Object) -> Object:
    """The object without what nobody reads here: most of the memory that ten thousand of them would take."""
    slim = dict(raw)
    slim["metadata"] = {key: value for key, value in raw["metadata"].items() if key not in UNREAD_METADATA}
    if raw["kind"] != contract.KIND:
        slim["spec"] = {key: value for key, value in raw.get("spec", {}).items() if key == "nodeName"}
    return slim


def _version(raw: Object) -> int:
    return int(raw["metadata"]["resourceVersion"])
