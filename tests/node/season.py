"""A season: the runs of all selected tests play at once, and each test waits for its own.

A test joins with an object, what to wait for, and what to assert:

    oom = joins("oom", CPU | {"trainer": {"resources": {"limits": {"memory": "300Mi"}}}})

    def test_out_of_memory_is_called_by_its_name(oom: Ended) -> None:
        assert oom.status["reason"] == "OOMKilled"

`joins` declares the run and is a fixture of the run's name (with `_` for `-`), which gives what its play returns.
A play that does more than to wait for the end is a function of the `Run`. A play that fails fails its tests only.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from lab.cluster.processes import wait_until
from lab.demo.target import Target
from support import runs as support

NAMESPACE = "season"
AUTHORITY = "private-authority"
"""The ConfigMap of an authority that no image trusts."""
AT_A_TIME = 6
"""Plays at once: on two cores, as many as keep them busy while others wait for a deadline or a pod."""
PATIENCE = 900  # seconds; a busy machine is no reason to fail

CPU = {"accelerator": {"type": "CPU"}}
HALF_A_CORE = {"trainer": {"resources": {"limits": {"cpu": "500m"}}}}
"""For what goes on until something else happens: it leaves the other runs their turn."""
ACCEPT = {"quality": {"onCollapse": "Accept"}}
SHORT = {"numTrainEpochs": 0.25, "trainBatchSize": 16, "evalBatchSize": 16, "maxSeqLength": 32}
"""A dozen steps, which learn nothing; a step takes a fifth of a second."""
ONE_EPOCH = SHORT | {"numTrainEpochs": 1, "maxSeqLength": 64, "saveCheckpointsSteps": 5}
"""Long enough to interrupt it."""
LONG = {"numTrainEpochs": 20, "trainBatchSize": 16, "saveCheckpointsSteps": 5}
"""More than any test waits for."""

Status = dict[str, Any]
FIRST, ANY_TIME, LAST = 0, 1, 2
"""When a play begins: first those that last, and last the one that goes on until all others have ended."""


class Latest:
    """The newest answer of `ask`, which is asked at most once in some seconds, however many threads look."""

    def __init__(self, ask: Callable[[], Mapping[str, Any]], seconds: float = 1.0) -> None:
        self._ask, self._seconds = ask, seconds
        self._lock, self._asked, self._answer = threading.Lock(), -seconds, dict[str, Any]()

    def look(self) -> Mapping[str, Any]:
        with self._lock:
            if time.monotonic() - self._asked >= self._seconds:
                self._answer, self._asked = dict(self._ask()), time.monotonic()
            return self._answer


class Run:
    """A run of the season, as its play and its tests see it."""

    def __init__(self, stage: "Stage", name: str) -> None:
        self.stage, self.name = stage, name

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl says in the season's namespace."""
        return self.stage.target.kubectl.run(f"--namespace={NAMESPACE}", *arguments, stdin=stdin).stdout

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.stage.target.kubectl.get(kind, name, f"--namespace={NAMESPACE}")

    def create(self, manifest: str) -> None:
        self.kubectl("create", "--filename=-", stdin=manifest)

    def change(self, patch: Mapping[str, Any]) -> None:
        self.kubectl("patch", "bft", self.name, "--type=merge", f"--patch={json.dumps(patch)}")

    def latest(self) -> Status:
        """Its status a second ago; nothing where it has none."""
        return self.stage.objects.look().get(self.name, {}).get("status", {})

    def until(self, condition: Callable[[Status], bool]) -> Status:
        """Wait until the status fulfils the condition and return it; the last status is in the failure's message."""
        status: Status = {}

        def reached() -> bool:
            nonlocal status
            if self.stage.over.is_set():
                raise RuntimeError(f"the season was over before {self.name} was there: {status}")
            status = self.latest()
            return condition(status)

        assert wait_until(reached, PATIENCE, interval=0.5), f"{self.name} is not there after {PATIENCE} s: {status}"
        return status

    def reaches(self, step: int) -> Status:
        """Wait until it has trained for some steps."""
        return self.until(lambda status: status.get("progress", {}).get("step", 0) >= step)

    def ends(self) -> Status:
        return self.until(lambda status: status.get("phase") in ("Succeeded", "Failed"))

    def evict(self, pod: str) -> None:
        """Ask for the pod's eviction, as a drain does."""
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
        self.kubectl("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))

    def children(self, kinds: str = "jobs,pods") -> list[dict[str, Any]]:
        return self.get(kinds, f"--selector=app.kubernetes.io/instance={self.name}")["items"]

    def loses_its_children(self) -> bool:
        """Wait until it has neither Job nor pod; whether that happened."""
        return wait_until(lambda: not self.children(), 150, interval=1)

    def described(self) -> str:
        """What `kubectl describe` tells of it, with its events."""
        return self.kubectl("describe", "bft", self.name)


class Ended(NamedTuple):
    """What a play leaves to its tests: the run, its last status, and one that the play has noted on the way."""

    run: Run
    status: Status
    earlier: Status = {}  # noqa: RUF012 - never changed

    def log(self) -> str:
        """The log of its last pod."""
        return self.run.kubectl("logs", self.status["podName"])

    def pod(self) -> dict[str, Any]:
        return self.run.get("pod", self.status["podName"])


Play = Callable[[Run], Any]


def to_its_end(run: Run) -> Ended:
    return Ended(run, run.ends())


@dataclass(frozen=True)
class Part:
    """A run that was declared: its name, its manifest, and what is done with it."""

    name: str
    manifest: Callable[["Stage"], str]
    play: Play
    turn: int

    @property
    def fixture(self) -> str:
        return self.name.replace("-", "_")


PARTS: dict[str, Part] = {}
"""All runs that were declared, by the name of their fixture."""


def joins(
    name: str,
    change: Mapping[str, Any] | Callable[["Stage"], Mapping[str, Any]],
    play: Play = to_its_end,
    *,
    turn: int = ANY_TIME,
) -> Any:
    """Declare a run of the season; the fixture that gives what its play returns.

    `change` are parts of the sample's spec to replace, or a function that makes them once the stage is prepared.
    """

    def manifest(stage: "Stage") -> str:
        return support.manifest(name, dict(change if isinstance(change, Mapping) else change(stage)))

    part = enters(Part(name, manifest, play, turn))

    @pytest.fixture(scope="session", name=part.fixture)
    def result(season: "Season") -> Any:
        return season.result(part)

    return result


def enters(part: Part) -> Part:
    """Declare a run whose manifest is its own; a test that has its fixture's name as a parameter looks at it."""
    PARTS[part.fixture] = part
    return part


def wanted(parts: Mapping[str, Part], fixtures: Iterable[str]) -> list[Part]:
    """The parts that any of the selected tests looks at, in the order in which they begin."""
    asked = set(fixtures)
    return sorted((part for name, part in parts.items() if name in asked), key=lambda part: part.turn)


def order(fixtures: Sequence[str]) -> int:
    """When a test comes, by its fixtures: beside the playing season, with a run of it, or once it is over."""
    if "alone" in fixtures:
        return 2
    return 1 if "season" in fixtures else 0


class Stage:
    """Where the runs play: the cluster, the namespace's objects, and a website."""

    def __init__(self, target: Target, website: str, private_website: str, sha256: str, closing: ExitStack) -> None:
        """Takes the addresses of an archive, the second with a certificate of the authority in AUTHORITY.

        `closing` is left once all runs have ended, with whatever a run has entered besides.
        """
        self.target, self.closing = target, closing
        self.website, self.private_website, self.sha256 = website, private_website, sha256
        self.over = threading.Event()
        self.plays: dict[str, Future[Any]] = {}
        """What each run's play returns, by the run's name; one that began earlier may be waited for."""
        self.objects = Latest(self._list)

    def _list(self) -> dict[str, Any]:
        found = self.target.kubectl.get("bertfinetunes", f"--namespace={NAMESPACE}")["items"]
        return {raw["metadata"]["name"]: raw for raw in found}


class Season:
    """The plays of some parts, each in a thread of its own."""

    def __init__(self, stage: Stage, parts: Sequence[Part]) -> None:
        self.stage = stage
        self._pool = ThreadPoolExecutor(AT_A_TIME)
        for part in parts:
            stage.plays[part.name] = self._pool.submit(self._perform, part)

    def _perform(self, part: Part) -> Any:
        run = Run(self.stage, part.name)
        began = time.monotonic()
        try:
            run.create(part.manifest(self.stage))
            return part.play(run)
        except Exception as error:
            error.add_note(f"the run {part.name}: {run.latest()}")
            raise
        finally:
            print(f"    {part.name}: {time.monotonic() - began:.0f} s", flush=True)

    def result(self, part: Part) -> Any:
        """What its play returns, once it does; its error where it failed."""
        return self.stage.plays[part.name].result()

    def wait_for_all(self) -> None:
        """Until no play goes on, however each has ended."""
        wait(self.stage.plays.values())

    def close(self) -> None:
        """Stop waiting for anything, and delete the runs; Kubernetes then takes its time for the namespace."""
        self.stage.over.set()
        self._pool.shutdown(cancel_futures=True)
        kubectl = self.stage.target.kubectl
        kubectl.run("delete", "bertfinetunes", "--all", f"--namespace={NAMESPACE}", "--wait=false", check=False)
        kubectl.run("delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found")
