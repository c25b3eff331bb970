"""The play of the run that is watched most closely: crds/samples/bertfinetune.yaml, as it ships."""

from typing import NamedTuple

from lab.demo import stack
from node.season import NAMESPACE, Run, Status

SYSTEM = f"--namespace={stack.SYSTEM_NAMESPACE}"


class Watched(NamedTuple):
    """What was seen of the run: its status and kubectl's table while it trained, its Job before and after, its end."""

    run: Run
    running: Status
    table: str
    trainer_metrics: str
    pod: dict
    job_uids: tuple[str, str]
    finished: dict

    @property
    def status(self) -> Status:
        return self.finished["status"]


def is_watched(run: Run) -> Watched:
    """Look at it while it trains, delete the operator's pods, and wait for its end."""
    running = run.until(lambda status: status.get("progress", {}).get("percent", 0) >= 5)
    table = run.kubectl("get", "bft", run.name)
    metrics = f"/api/v1/namespaces/{NAMESPACE}/pods/{running['podName']}:8080/proxy/metrics"
    trainer_metrics = run.kubectl("get", "--raw", metrics)
    job, pod = run.get("job", running["jobName"]), run.get("pod", running["podName"])
    run.stage.target.kubectl.run(SYSTEM, "delete", "pod", "--all", "--grace-period=1")
    run.until(lambda status: status["progress"]["percent"] > running["progress"]["percent"] + 5)
    run.ends()
    uids = (job["metadata"]["uid"], run.get("job", running["jobName"])["metadata"]["uid"])
    return Watched(run, running, table, trainer_metrics, pod, uids, run.get("bft", run.name))
