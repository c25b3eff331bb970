"""What the pages speak of, in a real cluster: a namespace with runs, and what stands for NAME, POD and the like."""

import re
import shutil
from pathlib import Path
from typing import Any

from lab.cluster.layout import KUBECONFIG, NODE_NAME
from lab.cluster.processes import wait_until
from lab.demo import stack
from lab.demo.mrpc import SAMPLE
from lab.demo.target import Target
from pages.commands import Command
from support import runs as support

NAMESPACE = "docs-example"
LONG, SHORT, FAILED = "mrpc", "mrpc-short", "mrpc-failed"
"""The sample, which trains for minutes; a run that has ended and learned nothing; one that never started."""

ENDED = ("AccuracyBelowTarget.md", "Collapsed.md", "FailureRatioHigh.md", "gitops.md")
"""The pages about a run that has ended; the others are about one that trains."""

COLLAPSING: dict[str, Any] = {
    "training": {"numTrainEpochs": 1, "trainBatchSize": 16, "learningRate": 0.05},
    "accelerator": {"type": "CPU"},
    "quality": {"onCollapse": "Accept", "minAccuracy": 0.99},
}
NEVER_STARTING = {"scheduling": {"nodeSelector": {"rack": "of-another-data-center"}}, "pendingDeadlineSeconds": 1}
STAND_INS = Path(__file__).with_name("stand_ins.yaml")
MEND = ("rm", "-f", "/run/ascend-sim/faults")
SYSTEM = f"--namespace={stack.SYSTEM_NAMESPACE}"


def write_long_pairs(folder: Path) -> None:
    """The sample's pairs five times: enough that the run still trains when the last page has been followed."""
    header, *rows = (SAMPLE / "train.tsv").read_text(encoding="utf-8-sig").splitlines()
    (folder / "train.tsv").write_text("\n".join([header, *(rows * 5)]) + "\n")
    shutil.copy(SAMPLE / "dev.tsv", folder)


class Example:
    """The namespace and its runs."""

    def __init__(self, target: Target, url: str, sha256: str) -> None:
        """`url` is where pairs can be downloaded, `sha256` their checksum."""
        self.target = target
        download = {"data": {"source": {"uri": {"url": url, "sha256": sha256}}}}
        self._changes = {LONG: {}, SHORT: COLLAPSING | download, FAILED: NEVER_STARTING}

    def prepare(self, folder: Path) -> None:
        """The namespace, its claims and, for other products, what only their installation would bring."""
        write_long_pairs(folder)
        support.prepare(self.target, NAMESPACE, {"bert-weights": support.ensure_weights(), "mrpc-data": folder})
        self.target.kubectl.run("apply", f"--filename={STAND_INS}")

    def restore(self) -> None:
        """The runs as the next page expects them, whatever the last one has done to them or to the node."""
        self.target.kubectl.run("uncordon", NODE_NAME)
        for name, change in self._changes.items():
            self._in("create", "--filename=-", stdin=support.manifest(name, change), check=False)  # it may be there
        self._in("patch", "bft", LONG, "--type=merge", '--patch={"spec": {"suspend": false}}')
        for name, phase in ((FAILED, "Failed"), (SHORT, "Succeeded"), (LONG, "Running")):
            support.wait_for(self.target, NAMESPACE, name, lambda s, phase=phase: s.get("phase") == phase, 600)

    def leave(self) -> None:
        """Delete all of it, and mend the card that a page has broken."""
        mended = self.target.kubectl.run(
            "--namespace=kube-system", "exec", f"ds/{stack.DEVICE_PLUGIN}", "--", *MEND, check=False
        )
        self.target.kubectl.run("uncordon", NODE_NAME)
        self.target.kubectl.run("delete", f"--filename={STAND_INS}", "--ignore-not-found")
        self.target.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")
        assert mended.returncode == 0, mended.stderr

    def fill(self, command: Command) -> str:
        """The command with what there is in the place of the page's names."""
        name = SHORT if command.page.endswith(ENDED) or "fetch-data" in command.text else LONG
        text = re.sub(
            r"\b(NAMESPACE(?!=)|research)\b", NAMESPACE, command.text.replace("~/.kube/config", str(KUBECONFIG))
        )
        for word, value in (("NODE", NODE_NAME), ("CODE", "2160492544"), ("NAME", name)):
            text = re.sub(rf"\b{word}\b", value, text)
        if re.search(r"\bPOD\b", text):
            text = re.sub(r"\bPOD\b", self._operator() if stack.SYSTEM_NAMESPACE in text else self._trainer(name), text)
        return text

    def settle(self) -> None:
        """Wait until what was installed or upgraded is ready."""
        for namespace in (stack.SYSTEM_NAMESPACE, NAMESPACE):
            in_namespace = f"--namespace={namespace}"
            for name in self.target.kubectl.run("get", "deployments", in_namespace, "--output=name").stdout.split():
                self.target.kubectl.run("rollout", "status", name, in_namespace, "--timeout=120s")

    def _status(self, name: str) -> dict[str, Any]:
        return dict(support.get(self.target, NAMESPACE, name).get("status", {}))

    def _trainer(self, name: str) -> str:
        """The run's pod, once its container has started; a deleted one is replaced."""
        pod = ""

        def started() -> bool:
            nonlocal pod
            pod = self._status(name).get("podName", "")
            found = self._in("get", "pod", pod, "--output=json", check=False) if pod else None
            return bool(
                found
                and found.returncode == 0
                and '"startedAt"' in found.stdout
                and "deletionTimestamp" not in found.stdout
            )

        assert wait_until(started, 120, interval=0.5), f"{name} has no pod: {self._status(name)}"
        return pod

    def _operator(self) -> str:
        """The pod that leads."""
        pod = ""

        def leads() -> bool:
            nonlocal pod
            holder = self.target.kubectl.run(
                "get", "lease", stack.RELEASE, SYSTEM, "--output=jsonpath={.spec.holderIdentity}"
            )
            pod = holder.stdout.partition("_")[0]
            return bool(pod) and self.target.kubectl.run("get", "pod", pod, SYSTEM, check=False).returncode == 0

        assert wait_until(leads, 60, interval=0.5), "no operator leads"
        return pod

    def _in(self, *arguments: str, **more: Any) -> Any:
        return self.target.kubectl.run(f"--namespace={NAMESPACE}", *arguments, **more)
