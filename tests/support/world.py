"""A cluster in a few lines: what Kubernetes would do with what the operator decides, one step at a time."""

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bertfinetune_operator import contract, naming
from bertfinetune_operator.decision.decide import Decision, decide
from bertfinetune_operator.decision.views import Observed, Question
from support import builders as make
from support.merge import apply

Raw = dict[str, Any]
GRACE = timedelta(seconds=120)


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
        children = (self.jobs.values(), self.pods.values(), self.reports)
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
        return [
            pod
            for pod in self.pods.values()
            if "ended" not in pod and (job is None or pod["job"] == job["metadata"]["uid"])
        ]

    def control_jobs(self) -> None:
        """The Job controller: a pod for each Job that needs one, and the Jobs' ends."""
        for job in self.jobs.values():
            held = job["spec"].get("suspend") or "deletionTimestamp" in job["metadata"]
            if held or job.get("status", {}).get("conditions") or self.alive(job):
                continue
            status = job.setdefault("status", {})
            status.setdefault("startTime", stamp(self.now))
            own = [pod for pod in self.pods.values() if pod["job"] == job["metadata"]["uid"]]
            verdicts = [pod["ended"] for pod in own]
            if "good" in verdicts:
                status["completionTime"] = stamp(self.now)
                status["conditions"] = [self._condition("Complete")]
            elif "bad" in verdicts:
                status["conditions"] = [self._condition("Failed", "BackoffLimitExceeded")]
            else:
                self._add_pod(job)

    def _condition(self, kind: str, reason: str = "") -> Raw:
        return {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": stamp(self.now)}

    def _add_pod(self, job: Raw) -> None:
        attempt = int(job["metadata"]["labels"][naming.LABEL_ATTEMPT])
        name = f"pod-{self.pods_made}"
        self.pods_made += 1
        sidecar = {"running": {}} if self.sidecar else None
        self.pods[name] = make.pod(name, None, stamp(self.now), attempt, sidecar=sidecar, phase="Pending") | {
            "job": job["metadata"]["uid"]
        }

    def start(self) -> None:
        """Every pod that waits starts, unless it is being deleted."""
        for pod in self.alive():
            if not self._state(pod) and "deletionTimestamp" not in pod["metadata"]:
                self._set(pod, {"running": {"startedAt": self._node_time()}}, "Running")

    def end(self, code: int, message: str = "", reason: str = "Error", condition: Raw | None = None) -> None:
        """Every pod that runs ends."""
        for pod in self.alive():
            if started := self._state(pod).get("running", {}).get("startedAt"):
                times = {"startedAt": started, "finishedAt": self._node_time()}
                state = {"terminated": {"exitCode": code, "message": message, "reason": reason} | times}
                self._set(pod, state, "Failed" if code else "Succeeded")
                if condition:
                    pod["status"]["conditions"] = [condition]
                if len(pod["status"]["containerStatuses"]) > 1 and condition is None:
                    pod["status"]["phase"] = "Running"  # for its Job, and while the sidecar goes on
                    continue
                ignored = condition is not None or code == contract.EXIT_INTERRUPTED
                pod["ended"] = "good" if code == 0 else "ignored" if ignored else "bad"

    def refuse_pods(self, message: str) -> None:
        """The kubelet takes no pod that has not started: its device plugin gives them no card."""
        for pod in self.alive():
            if not self._state(pod):
                pod["status"] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": message}
                pod["ended"] = "bad"

    def lose_node(self) -> None:
        """The taint manager deletes the pods of a node that no longer answers; nobody ends them."""
        for pod in self.alive():
            pod["metadata"].setdefault("deletionTimestamp", stamp(self.now + GRACE))

    def stop_deleted_pods(self) -> None:
        """The kubelet ends the pods that are being deleted, and they vanish."""
        gone = [name for name, pod in self.pods.items() if "deletionTimestamp" in pod["metadata"]]
        for name in gone:
            del self.pods[name]
            self.reports.pop(name, None)

    def delete_pods_by_force(self) -> None:
        """`kubectl delete pod --force`: the pods are gone, and their Jobs have failed."""
        for pod in self.alive():
            job = next((job for job in self.jobs.values() if job["metadata"]["uid"] == pod["job"]), None)
            if job and not job.get("status", {}).get("conditions"):
                job.setdefault("status", {})["conditions"] = [self._condition("Failed", "BackoffLimitExceeded")]
            del self.pods[pod["metadata"]["name"]]

    def delete_job(self, name: str) -> None:
        """Background deletion: the Job is gone at once, its pods later."""
        job = self.jobs.pop(name, None)
        for pod in self.alive(job) if job else ():
            pod["metadata"].setdefault("deletionTimestamp", stamp(self.now + GRACE))

    def queue(self, *, suspend: bool) -> None:
        """Kueue admits or preempts the Jobs."""
        for job in self.jobs.values():
            if "suspend" in job["spec"] and not job.get("status", {}).get("conditions"):
                job["spec"]["suspend"] = suspend
                if suspend:
                    job.get("status", {}).pop("startTime", None)
                    for pod in self.alive(job):
                        pod["metadata"].setdefault("deletionTimestamp", stamp(self.now + GRACE))

    def report(self, report: Raw) -> None:
        """Every pod that runs tells its progress."""
        self.reports |= {pod["metadata"]["name"]: report for pod in self.alive() if "running" in self._state(pod)}

    def _node_time(self) -> str:
        return stamp(self.now + self.node_clock)

    def _state(self, pod: Raw) -> Raw:
        states = {c["name"]: c["state"] for c in pod["status"]["containerStatuses"]}
        state: Raw = states.get(contract.CONTAINER_NAME, {})
        return state

    def _set(self, pod: Raw, state: Raw, phase: str) -> None:
        others = [c for c in pod["status"]["containerStatuses"] if c["name"] != contract.CONTAINER_NAME]
        pod["status"]["containerStatuses"] = [*others, {"name": contract.CONTAINER_NAME, "state": state}]
        pod["status"]["phase"] = phase
