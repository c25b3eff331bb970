"""Watch one BertFinetune to its end, with a live line: percent, step, loss, ms/step, time left."""

import sys
import time
from typing import Any

from tqdm import tqdm

from lab.cluster.errors import ClusterError
from lab.cluster.kubectl import Kubectl

FINISHED = ("Succeeded", "Failed")


def follow(kubectl: Kubectl, namespace: str, name: str, *, interval: float = 1.0) -> dict[str, Any]:
    """Poll the object until it is finished and return it; ClusterError with reason and log where it failed."""
    said = ""
    # A terminal gets a moving bar; a log file gets a line now and then.
    bar = tqdm(
        total=100,
        unit="%",
        mininterval=0 if sys.stdout.isatty() else 15,
        file=sys.stdout,
        bar_format="    {percentage:3.0f}%|{bar:30}| {desc}",
        leave=True,
    )
    try:
        while True:
            found = kubectl.get("bertfinetune", name, f"--namespace={namespace}")
            status = found.get("status", {})
            phase = status.get("phase", "Pending")
            if (line := f"{phase}: {status.get('message', 'waiting for the operator')}") != said and phase != "Running":
                bar.write(f"    {line}")
                said = line
            _show(bar, status.get("progress") or {})
            if phase in FINISHED:
                break
            time.sleep(interval)
    finally:
        bar.close()
    if phase == "Failed":
        raise ClusterError(_failure(kubectl, namespace, name, status))
    return found


def _show(bar: tqdm, progress: dict[str, Any]) -> None:
    if not progress:
        return
    bar.n = progress["percent"]
    parts = [f"step {progress['step']}/{progress['totalSteps']}"]
    for label, key, form in (
        ("loss", "loss", "{:.3f}"),
        ("ms/step", "msPerStep", "{:.0f}"),
        ("s left", "etaSeconds", "{:.0f}"),
    ):
        if progress.get(key) is not None:
            parts.append(
                f"{form.format(progress[key])} {label}" if key != "loss" else f"loss {form.format(progress[key])}"
            )
    bar.set_description_str(", ".join(parts), refresh=False)
    bar.update(0)


def _failure(kubectl: Kubectl, namespace: str, name: str, status: dict[str, Any]) -> str:
    logs = kubectl.run(
        f"--namespace={namespace}", "logs", f"job/{status.get('jobName', name)}", "--tail=15", check=False
    ).stdout
    why = f"{status.get('reason')}: {status.get('message')}"
    return f"BertFinetune {namespace}/{name} failed: {why}\nthe last lines of its log:\n{logs}"
