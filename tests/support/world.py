"""A cluster in a few lines: what Kubernetes would do with what the operator decides, one step at a time."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bertfinetune_operator import contract, naming
from bertfinetune_operator.decision.decide import Decision, decide
from bertfinetune_operator.decision.views import Observed, Question
from support import builders as make
from support.merge import apply
from support.possible import ENDED, GRACE, owner, refuse_impossible, trainer_state

Raw = dict[str, Any]


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class World:
    """One BertFinetune with its Jobs and pods, by name, and a clock."""

    obj: Raw = field(default_factory=make.bertfinetune)
    jobs: dict[str, Raw] = field(default_factory=dict)
    pods: dict[str, Raw] = field(default_factory=dict)
    reports: dict[str, Raw] = field(default_factory=dict)
    answers: dict[Question, str] = field(default_factory=dict)
    refusal: str | None = None
    sidecar: bool = False
    """Whether the pods to come get an ordinary container beside the trainer, which ends only with its pod."""
    now: datetime = make.NOW
    node_clock: timedelta = timedelta()
    """How far the nodes' clocks are ahead of the API server's."""
    made: list[str] = field(default_factory=list)
    """Names of all Jobs ever made."""
    pods_made: int = 0
    deciding: Decision = field(default_factory=Decision)
    """The newest decision."""

    @property
    def status(self) -> Raw:
        status: Raw = self.obj.get("status", {})
        return status

    def seen(self) -> Observed:
        """What the operator sees; a world that cannot be is refused."""
        children = (self.jobs.values(), self.pods.values(), self.reports)
        refuse_impossible(self.obj, *children, now=self.now, skew=self.node_clock)
        return make.seen(*children, self.refusal, self.answers, heard_at=self.now)

    def decide(self) -> Decision:
        self.deciding = decide(copy.deepcopy(self.obj), self.seen(), make.SETTINGS, self.now)
        return self.deciding

    def operate(self) -> Decision:
        """One pass, as a Reconciler makes it; returns its first decision."""
        first = decision = self.decide()
        if decision.ask:
            self.answers |= dict.fromkeys(decision.ask, "")
            first = decision = self.decide()
            assert not decision.ask, "the same question twice"
        if decision.create and self.refusal is None:
            self.make(decision.create)
            decision = self.decide()
            assert decision.create is None, "two Jobs in one pass"
        if decision.status_patch is not None:
            self.obj["status"] = apply(self.status, decision.status_patch)
        for job in decision.delete:
            self.delete_job(job.name)
        return first

    def restart(self) -> None:
        """The operator forgets what is in memory only."""
        self.reports, self.answers, self.refusal = {}, {}, None

    def make(self, manifest: Raw) -> None:
        """The API server stores a Job."""
        name = manifest["metadata"]["name"]
        assert name not in self.jobs, f"{name} exists"
        job = copy.deepcopy(manifest)
        job["metadata"] |= {
            "uid": f"uid-{len(self.made)}-of-{name}",
            "resourceVersion": "1",
            "creationTimestamp": stamp(self.now),
        }
        self.made.append(name)
        self.jobs[name] = job

    def alive(self, job: Raw | None = None) -> list[Raw]:
        """Pods that have not ended, of one Job or of all."""
        pods = self.pods.values() if job is None else self.pods_of(job)
        return [pod for pod in pods if pod["status"]["phase"] not in ENDED]

    def pods_of(self, job: Raw) -> list[Raw]:
        """The pods of one Job."""
        return [pod for pod in self.pods.values() if owner(pod) == job["metadata"]["uid"]]

    def control_jobs(self) -> None:
        """The Job controller: a pod for each Job that needs one, and the Jobs' ends."""
        for job in self.jobs.values():
            held = job["spec"].get("suspend") or "deletionTimestamp" in job["metadata"]
            if held or job.get("status", {}).get("conditions") or self.alive(job):
                continue
            status = job.setdefault("status", {})
            status.setdefault("startTime", stamp(self.now))
            verdicts = {verdict_on(pod) for pod in self.pods_of(job)} - {""}
            if verdicts:
                self._finish(job, *verdicts)
            else:
                self._add_pod(job)

    def _finish(self, job: Raw, reason: str) -> None:
        failed = reason != "CompletionsReached"
        before, end = ("FailureTarget", "Failed") if failed else ("SuccessCriteriaMet", "Complete")
        common = {"status": "True", "reason": reason, "lastTransitionTime": stamp(self.now)}
        job["status"] |= {"conditions": [{"type": before} | common, {"type": end} | common]}
        if not failed:
            job["status"]["completionTime"] = stamp(self.now)

    def _add_pod(self, job: Raw) -> None:
        attempt = int(job["metadata"]["labels"][naming.LABEL_ATTEMPT])
        name = f"pod-{self.pods_made}"
        self.pods_made += 1
        waits = {"waiting": {"reason": "ContainerCreating"}}
        uid, sidecar = job["metadata"]["uid"], waits if self.sidecar else None
        self.pods[name] = make.pod(name, None, stamp(self.now), attempt, sidecar=sidecar, job_uid=uid)

    def start(self) -> None:
        """Every pod that waits starts, unless it is being deleted."""
        for pod in self.alive():
            if not trainer_state(pod) and "deletionTimestamp" not in pod["metadata"]:
                self._set(pod, {"running": {"startedAt": self._node_time()}}, goes_on=True)

    def end(self, code: int, message: str = "", reason: str = "Error", condition: Raw | None = None) -> None:
        """Every trainer that runs ends; a disruption deletes its pod, and ends the sidecar, too."""
        for pod in self.alive():
            if started := trainer_state(pod).get("running", {}).get("startedAt"):
                times = {"startedAt": started, "finishedAt": self._node_time()}
                state = {"terminated": {"exitCode": code, "message": message, "reason": reason} | times}
                self._set(pod, state, goes_on=condition is None)
                if condition:
                    pod["status"]["conditions"] = [condition]
                    self._stop([pod])

    def refuse_pods(self, message: str) -> None:
        """The kubelet takes no pod that has not started: its device plugin gives them no card."""
        for pod in self.alive():
            if not trainer_state(pod):
                pod["status"] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": message}

    def lose_node(self) -> None:
        """The taint manager deletes the pods of a node that no longer answers; nobody ends them."""
        self._stop(self.alive())

    def stop_deleted_pods(self) -> None:
        """The kubelet ends the pods that are being deleted, and they vanish."""
        gone = [name for name, pod in self.pods.items() if "deletionTimestamp" in pod["metadata"]]
        for name in gone:
            self._remove(name)

    def delete_pods_by_force(self) -> None:
        """`kubectl delete pod --force`: the pods are gone, and their Jobs have failed."""
        for pod in self.alive():
            job = next((job for job in self.jobs.values() if job["metadata"]["uid"] == owner(pod)), None)
            if job and not job.get("status", {}).get("conditions"):
                self._finish(job, "BackoffLimitExceeded")
            self._remove(pod["metadata"]["name"])

    def delete_job(self, name: str) -> None:
        """Background deletion: the Job is gone at once, its pods later."""
        job = self.jobs.pop(name, None)
        self._stop(self.pods_of(job) if job else ())

    def queue(self, *, suspend: bool) -> None:
        """Kueue admits or preempts the Jobs."""
        for job in self.jobs.values():
            if "suspend" in job["spec"] and not job.get("status", {}).get("conditions"):
                job["spec"]["suspend"] = suspend
                if suspend:
                    job.get("status", {}).pop("startTime", None)
                    self._stop(self.alive(job))

    def report(self, report: Raw) -> None:
        """Every pod that runs tells its progress."""
        self.reports |= {pod["metadata"]["name"]: report for pod in self.alive() if "running" in trainer_state(pod)}

    def _node_time(self) -> str:
        return stamp(self.now + self.node_clock)

    def _stop(self, pods: Iterable[Raw]) -> None:
        """The API server notes that these pods are to be deleted."""
        for pod in pods:
            pod["metadata"].setdefault("deletionTimestamp", stamp(self.now + GRACE))

    def _remove(self, name: str) -> None:
        del self.pods[name]
        self.reports.pop(name, None)

    def _set(self, pod: Raw, state: Raw, *, goes_on: bool) -> None:
        """The trainer's container has a new state, and a sidecar goes on or ends with it."""
        sidecar = None
        if len(pod["spec"]["containers"]) > 1:
            times = state.get("running") or state["terminated"]
            sidecar = {"running": {"startedAt": times["startedAt"]}} if goes_on else state
        make.set_states(pod, state, sidecar=sidecar)


def verdict_on(pod: Raw) -> str:
    """The reason of the end that a pod gives its Job; "" while it runs, and after an end that the Job ignores."""
    status, state = pod["status"], trainer_state(pod).get("terminated", {})
    if status["phase"] == "Succeeded":
        return "CompletionsReached"
    if status["phase"] != "Failed":
        return ""
    if state.get("exitCode") in contract.PERMANENT_EXIT_CODES:
        return "PodFailurePolicy"
    is_ignored = state.get("exitCode") == contract.EXIT_INTERRUPTED or status.get("conditions")
    return "" if is_ignored else "BackoffLimitExceeded"
