"""Refuses worlds that cannot be: what the API server, the controller of Jobs and the kubelet guarantee of what is seen.

One watch tells of Jobs and another of pods, and either may be late: a finished Job beside a pod that still seems to
run is possible.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from bertfinetune_operator import contract, naming
from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import BertFinetuneStatus
from bertfinetune_operator.manifests.job import TERMINATION_GRACE_SECONDS

Raw = dict[str, Any]
ENDED = ("Succeeded", "Failed")
GRACE = timedelta(seconds=TERMINATION_GRACE_SECONDS)


class ImpossibleWorldError(AssertionError):
    """No cluster can show this."""


def refuse_impossible(
    obj: Raw,
    jobs: Collection[Raw],
    pods: Collection[Raw],
    reports: Collection[str],
    *,
    now: datetime,
    skew: timedelta,
) -> None:
    """Raise an error that tells all that cannot be.

    Args:
        obj: the BertFinetune.
        jobs: its Jobs.
        pods: their pods.
        reports: names of the pods that have reported their progress.
        now: the time by the API server's clock.
        skew: how far the nodes' clocks are ahead of it.
    """
    BertFinetune.model_validate(obj)
    BertFinetuneStatus.model_validate(obj.get("status", {}))
    found = [f"BertFinetune: {each}" for each in (*_record(obj, pods, now, skew), *_attempts(jobs))]
    for job in jobs:
        own = [pod for pod in pods if owner(pod) == job["metadata"]["uid"]]
        faults = (*_job(job, obj, now), *_pods_of(job, own), *_pods_in_order(job, own, skew))
        found += [f"Job {job['metadata']['name']}: {each}" for each in faults]
    for pod in pods:
        faults = (*_pod(pod, jobs, now), *_containers(pod), *_node_times(pod, now + skew, skew))
        found += [f"pod {pod['metadata']['name']}: {each}" for each in faults]
    started = [pod["metadata"]["name"] for pod in pods if trainer_state(pod).keys() & {"running", "terminated"}]
    found += [f"report of {name}: its trainer has not started" for name in reports if name not in started]
    if found:
        raise ImpossibleWorldError("; ".join(found))


def owner(child: Raw) -> str:
    """The uid of the object that controls another one."""
    return next((each["uid"] for each in child["metadata"].get("ownerReferences", ()) if each.get("controller")), "")


def trainer_state(pod: Raw) -> Raw:
    """The state of the trainer's container; {} before the kubelet tells of it."""
    return _states(pod).get(contract.CONTAINER_NAME, {})


def phase_of(pod: Raw) -> str:
    """The phase that the kubelet makes of the containers' states where none of them is started again."""
    states, spec = _states(pod), pod["spec"]
    inits = [states.get(each["name"], {}) for each in spec.get("initContainers", ()) if not _is_sidecar(each)]
    if any(_exit_code(state) for state in inits):
        return "Failed"
    sidecars = [states.get(each["name"], {}) for each in spec.get("initContainers", ()) if _is_sidecar(each)]
    main = [states.get(each["name"], {}) for each in spec["containers"]]
    going = [*main, *(state for state in sidecars if "terminated" not in state)]
    if any("terminated" not in state for state in inits) or any(not state or "waiting" in state for state in going):
        return "Pending"
    if any("running" in state for state in going):
        return "Running"
    return "Failed" if any(_exit_code(state) for state in main) else "Succeeded"


def _states(pod: Raw) -> dict[str, Raw]:
    status = pod.get("status", {})
    both = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    return {each["name"]: each["state"] for each in both}


def _is_sidecar(init: Raw) -> bool:
    """Whether an init container is a sidecar of Kubernetes' own kind."""
    return init.get("restartPolicy") == "Always"


def _exit_code(state: Raw) -> int | None:
    code: int | None = state.get("terminated", {}).get("exitCode")
    return code


def _disrupted(pod: Raw) -> Raw | None:
    conditions = pod.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == "DisruptionTarget" and each["status"] == "True"), None)


def _began(pod: Raw, skew: timedelta) -> datetime | None:
    """When the trainer started, by the API server's clock."""
    state = trainer_state(pod)
    at = (state.get("running") or state.get("terminated") or {}).get("startedAt")
    return datetime.fromisoformat(at) - skew if at else None


def _ended(pod: Raw, skew: timedelta) -> datetime | None:
    """When the trainer ended, by the API server's clock."""
    at = trainer_state(pod).get("terminated", {}).get("finishedAt")
    return datetime.fromisoformat(at) - skew if at else None


def _in_order(*moments: tuple[str, str | datetime | None]) -> Iterator[str]:
    """What is wrong with the order of named times; a time that is not known is left out."""
    known = [(name, datetime.fromisoformat(at) if isinstance(at, str) else at) for name, at in moments if at]
    for (name, at), (next_name, next_at) in pairwise(known):
        if at and next_at and at > next_at:
            yield f"{name} ({at:%H:%M:%S}) is after {next_name} ({next_at:%H:%M:%S})"


def _record(obj: Raw, pods: Collection[Raw], now: datetime, skew: timedelta) -> Iterator[str]:
    """The operator writes its record by the API server's clock, of what has happened."""
    status, movement = obj.get("status", {}), obj.get("status", {}).get("lastMovement") or {}
    created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    for name in ("startTime", "activeSince", "completionTime"):
        yield from _in_order(("creationTimestamp", created), (name, status.get(name)), ("now", now))
    yield from _in_order(("creationTimestamp", created), ("the last movement", movement.get("time")), ("now", now))
    moved = [pod for pod in pods if pod["metadata"]["name"] == movement.get("pod")]
    for pod in moved:
        yield from _in_order(("the start of its pod", _began(pod, skew)), ("the last movement", movement["time"]))
    # a pod that is being deleted is of an attempt that may have been added up already
    going = [pod for pod in pods if "running" in trainer_state(pod) and "deletionTimestamp" not in pod["metadata"]]
    before = min((start for pod in going if (start := _began(pod, skew))), default=now)
    if timedelta(seconds=status.get("activeSeconds", 0)) > before - created:
        yield "it has trained for longer than it exists"


def _attempts(jobs: Collection[Raw]) -> Iterator[str]:
    """The Job of an attempt is made after the end of the one before."""
    by_attempt = sorted(jobs, key=lambda job: int(job["metadata"]["labels"].get(naming.LABEL_ATTEMPT, 0)))
    for before, after in pairwise(by_attempt):
        made = (before["metadata"]["creationTimestamp"], _end(before), after["metadata"]["creationTimestamp"])
        yield from _in_order(*zip(("an attempt's creation", "its end", "the next one's creation"), made, strict=True))


def _end(job: Raw) -> str | None:
    """When a Job was Complete or had Failed."""
    ends = [each for each in job.get("status", {}).get("conditions", ()) if each["type"] in ("Complete", "Failed")]
    return ends[0]["lastTransitionTime"] if ends else None


def _job(job: Raw, obj: Raw, now: datetime) -> Iterator[str]:
    meta, status = job["metadata"], job.get("status", {})
    if owner(job) != obj["metadata"]["uid"]:
        yield "its owner is another object"
    holds = {each["type"]: each for each in status.get("conditions", ()) if each["status"] == "True"}
    ends = [kind for kind in ("Complete", "Failed") if kind in holds]
    if len(ends) > 1:
        yield "it is both Complete and Failed"
    for end, before in (("Complete", "SuccessCriteriaMet"), ("Failed", "FailureTarget")):
        if end in holds and before not in holds:
            yield f"it is {end} without {before}"
    if ("Complete" in holds) != ("completionTime" in status):
        yield "completionTime and Complete come together"
    if ends and "startTime" not in status:
        yield "it ended without a startTime"
    created, started = ("creationTimestamp", meta["creationTimestamp"]), ("startTime", status.get("startTime"))
    yield from _in_order(("the object's creation", obj["metadata"]["creationTimestamp"]), created)
    yield from _in_order(created, started, ("completionTime", status.get("completionTime")), ("its end", _end(job)))
    yield from _in_order(started, ("its end", _end(job)), ("now", now))
    yield from _in_order(created, ("deletionTimestamp", meta.get("deletionTimestamp")), ("now", now))


def _pods_of(job: Raw, pods: Collection[Raw]) -> Iterator[str]:
    """A Job makes one pod at a time (podReplacementPolicy Failed), and its end follows from theirs."""
    living = [pod for pod in pods if pod["status"].get("phase") not in ENDED]
    if len(living) > 1:
        yield "two of its pods have not ended"
    if job["spec"].get("suspend") and any("deletionTimestamp" not in pod["metadata"] for pod in living):
        yield "it is suspended, and its pod is not being deleted"
    failed = [each for each in job.get("status", {}).get("conditions", ()) if each["type"] == "Failed"]
    if failed and any(pod["status"].get("phase") == "Succeeded" for pod in pods):
        yield "it Failed, and its pod Succeeded"
    codes = {_exit_code(state) for pod in pods for state in _states(pod).values()}
    if failed and codes & set(contract.PERMANENT_EXIT_CODES) and failed[0]["reason"] != "PodFailurePolicy":
        yield "its pod's exit code ends it by PodFailurePolicy"


def _pods_in_order(job: Raw, pods: Collection[Raw], skew: timedelta) -> Iterator[str]:
    """A pod replaces one that has ended, and the Job ends after the last one."""
    by_age = sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    for before, after in pairwise(by_age):
        yield from _in_order(
            ("a pod's end", _ended(before, skew)), ("the next one's creation", after["metadata"]["creationTimestamp"])
        )
    for pod in pods:
        yield from _in_order(("a pod's end", _ended(pod, skew)), ("the Job's end", _end(job)))


def _pod(pod: Raw, jobs: Collection[Raw], now: datetime) -> Iterator[str]:
    """What the API server and the controllers see to."""
    meta = pod["metadata"]
    created, deletion = ("creationTimestamp", meta["creationTimestamp"]), meta.get("deletionTimestamp")
    own = next((job for job in jobs if job["metadata"]["uid"] == owner(pod)), None)
    if own is None and deletion is None:
        yield "its Job is not there, and it is not being deleted"
    if own:
        started = ("the Job's startTime", None if deletion else own.get("status", {}).get("startTime"))
        yield from _in_order(("the Job's creation", own["metadata"]["creationTimestamp"]), started, created)
        if own["metadata"]["labels"][naming.LABEL_ATTEMPT] != meta["labels"][naming.LABEL_ATTEMPT]:
            yield "it is of another attempt than its Job"
    yield from _in_order(created, ("now", now))
    yield from _in_order(created, ("deletionTimestamp", deletion), ("now and the grace period", now + GRACE))
    disrupted = _disrupted(pod)
    deletes = disrupted is not None and disrupted["reason"] != "TerminationByKubelet"
    if deletes and deletion is None and pod["status"].get("phase") in ENDED:
        yield "a disruption has ended it, and it is not being deleted"


def _containers(pod: Raw) -> Iterator[str]:
    """What the kubelet tells of the containers, and makes of them."""
    spec, status, states = pod["spec"], pod["status"], _states(pod)
    inits = [each["name"] for each in spec.get("initContainers", ()) if not _is_sidecar(each)]
    declared = {each["name"] for each in (*spec.get("initContainers", ()), *spec["containers"])}
    unscheduled = any(c["type"] == "PodScheduled" and c["status"] == "False" for c in status.get("conditions", ()))
    if unscheduled and ("nodeName" in spec or states):
        yield "it is not scheduled, and is on a node"
    if states and "nodeName" not in spec:
        yield "it is on no node, and has containers"
    for name in states.keys() - declared:
        yield f"container {name} is not in its spec"
    for name, state in states.items():
        if len(state) != 1:
            yield f"container {name} is in {len(state)} states"
        if "running" in state and "startedAt" not in state["running"]:
            yield f"container {name} runs without a startedAt"
        if "terminated" in state and "exitCode" not in state["terminated"]:
            yield f"container {name} ended without an exit code"
    begun = any(states.get(each["name"], {}).keys() & {"running", "terminated"} for each in spec["containers"])
    if begun and any(_exit_code(states.get(name, {})) != 0 for name in inits):
        yield "a container started before the downloads were done"
    phase, expected = status.get("phase"), phase_of(pod)
    ordered = phase == "Failed" and ("reason" in status or _disrupted(pod)) and expected == "Pending"
    if phase != expected and not ordered:
        yield f"its phase is {phase}, and its containers make it {expected}"


def _node_times(pod: Raw, now: datetime, skew: timedelta) -> Iterator[str]:
    """The kubelet writes these by its node's clock."""
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) + skew
    for name, state in _states(pod).items():
        times = state.get("terminated") or state.get("running") or {}
        start, end = times.get("startedAt"), times.get("finishedAt")
        moments = (("creationTimestamp", created), (f"{name}'s start", start), (f"{name}'s end", end), ("now", now))
        yield from _in_order(*moments)
