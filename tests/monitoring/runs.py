"""A quarter of an hour in the life of a team, in four minutes: runs of all kinds, two of them training at most."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.mrpc import HEADER, SAMPLE
from demo.target import Target
from e2e import support

NAMESPACE = "nlp-team"
LIVE = "mrpc"
"""Still trains at the end; it was suspended and has one card, which gets a fault."""
COLLAPSED = "mrpc-high-rate"
POOR = "mrpc-ambitious"
"""Asks for more than the model can reach."""
RUNS = (LIVE, "mrpc-cpu-1", "mrpc-cpu-2", POOR, COLLAPSED, "mrpc-little-memory", "mrpc-typo", "mrpc-no-rack")

CPU = {"accelerator": {"type": "CPU"}}
TRAINING = {"trainBatchSize": 8, "maxSeqLength": 64, "learningRate": 1e-4, "optimizer": "AdamW"}
LONG = {"training": TRAINING | {"numTrainEpochs": 100}}
SHORT = {"training": TRAINING | {"numTrainEpochs": 3}}
TOO_FAST = {"training": TRAINING | {"numTrainEpochs": 0.5, "learningRate": 0.05}}
ACCEPT = {"quality": {"onCollapse": "Accept"}}
DEMANDING = {"quality": {"onCollapse": "Accept", "minAccuracy": 0.99}}


def easy_pairs(rows: Sequence[str]) -> list[str]:
    """Pairs that a small model tells apart after some steps: paraphrases, and pairs of unrelated sentences.

    One of ten is labelled wrongly, as in real data: no model is perfect on them.
    """
    paraphrases = [row.split("\t") for row in rows if row.startswith("1")]
    pairs = []
    for number, (_, id1, id2, first, second) in enumerate(paraphrases):
        alike = number % 5 < 3
        other = second if alike else paraphrases[number - 7][4]
        label = alike != (number % 20 in (2, 19))
        pairs.append("\t".join((f"{label:d}", id1, id2, first, other)))
    return pairs


def write_corpus(folder: Path, *, train: int, dev: int) -> None:
    """Write this many of the easy pairs of the project's sample as train.tsv and dev.tsv."""
    for name, count in (("train.tsv", train), ("dev.tsv", dev)):
        rows = (SAMPLE / name).read_text(encoding="utf-8-sig").splitlines()[1:]
        (folder / name).write_text("\n".join([HEADER, *easy_pairs(rows)[:count]]) + "\n")


class Team:
    """The namespace of the runs."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def prepare(self, folder: Path) -> None:
        """Claims with the weights and with pairs, some of them with a label that the task does not know."""
        good, bad = folder / "good", folder / "bad"
        for pairs in (good, bad):
            pairs.mkdir()
            write_corpus(pairs, train=160, dev=60)
        (bad / "train.tsv").write_text((bad / "train.tsv").read_text().replace("\n1\t", "\nmaybe\t"))
        contents = {"bert-weights": support.ensure_weights(), "mrpc-data": good, "bad-data": bad}
        support.prepare(self.target, NAMESPACE, contents)

    def leave(self) -> None:
        """Delete the namespace with all that is in it."""
        self.target.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")

    def play(self) -> None:
        """Success, failure for good and after a retry, collapse of two trials, suspension, and waiting for a card."""
        self._start(LIVE, LONG | {"quality": {"minAccuracy": 0.8}})
        self._start("mrpc-no-rack", {"scheduling": {"nodeSelector": {"rack": "of-another-data-center"}}})
        self._start("mrpc-typo", {"data": {"source": {"claim": {"claimName": "bad-data"}}}})
        self._finish("mrpc-typo", "BadData")
        for name, change in (("mrpc-cpu-1", CPU), ("mrpc-cpu-2", CPU), (POOR, DEMANDING)):
            self._start(name, SHORT | ACCEPT | change)
            self._finish(name, "Succeeded")
        self._change(LIVE, '{"spec": {"suspend": true}}')
        self._reaches(LIVE, "Suspended")
        self._start(COLLAPSED, CPU | TOO_FAST | {"quality": {"maxRetries": 1}})
        self._reaches(COLLAPSED, "Running")
        self._change(LIVE, '{"spec": {"suspend": false}}')
        self._finish(COLLAPSED, "Collapsed")
        little = {"trainer": {"resources": {"limits": {"memory": "300Mi"}}}}
        self._start("mrpc-little-memory", CPU | SHORT | little | {"backoffLimit": 1})
        self._finish("mrpc-little-memory", "OOMKilled")
        self._reaches(LIVE, "Running")

    def pods(self, selector: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
        """The pods with these labels."""
        return self.target.kubectl.get("pods", f"--namespace={namespace}", f"--selector={selector}")["items"]

    def all_pods(self) -> list[dict[str, Any]]:
        """All pods of the cluster."""
        return self.target.kubectl.get("pods", "--all-namespaces")["items"]

    def _start(self, name: str, change: dict[str, Any]) -> None:
        manifest = support.manifest(name, change)
        self.target.kubectl.run(f"--namespace={NAMESPACE}", "create", "--filename=-", stdin=manifest)

    def _change(self, name: str, patch: str) -> None:
        in_namespace = f"--namespace={NAMESPACE}"
        self.target.kubectl.run("patch", "bft", name, in_namespace, "--type=merge", f"--patch={patch}")

    def _finish(self, name: str, reason: str) -> None:
        finished = support.wait_for(
            self.target, NAMESPACE, name, lambda s: s.get("phase") in ("Succeeded", "Failed"), 240
        )
        assert finished["reason"] == reason, finished

    def _reaches(self, name: str, phase: str) -> None:
        support.wait_for(self.target, NAMESPACE, name, lambda status: status.get("phase") == phase, 120)
