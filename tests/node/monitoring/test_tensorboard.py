"""The notes say what is monitored, and a TensorBoard runs where only restricted pods may."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster.processes import wait_until
from lab.demo import claims
from lab.demo.target import Target
from lab.images import images
from support.helm import CHART, IMAGES, Raw, helm, sets

NAMESPACE = "test-tensorboard"
SWITCHES = ("serviceMonitor", "podMonitor", "npuExporter", "prometheusRule", "dashboards")
ALL_ON: Raw = {f"monitoring.{switch}.enabled": True for switch in SWITCHES} | {"monitoring.scrapeAnnotations": True}


@pytest.mark.usefixtures("crds_of_others")
def test_the_notes_say_what_is_on(kubeconfig: str, namespace: str) -> None:
    def notes(**values: Any) -> str:
        where = (f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", "--dry-run=server")
        done = helm("install", "op", CHART, *where, IMAGES, *sets({"crds.install": False} | values))
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    off, on = notes(), notes(**ALL_ON | {"monitoring.tensorboards": [{"namespace": "nlp", "claimName": "runs"}]})
    assert [off.count(" off\n"), off.count(" on\n")] == [6, 0]
    assert [on.count(" off\n"), on.count(" on\n")] == [0, 6]
    assert "kubectl -n nlp port-forward service/tensorboard-runs 6006" in on


@pytest.fixture
def curves(target: Target, tmp_path: Path) -> Iterator[None]:
    """A claim with a trainer's event file, in a namespace that admits restricted pods only."""
    write = "import sys, pathlib; from bert_trainer.reporting.tensorboard import EventFile;"
    write += "EventFile(pathlib.Path(sys.argv[1]), 0).add(7, {'train/loss': 0.25})"
    subprocess.run([os.environ["TRAINER_PYTHON"], "-c", write, tmp_path], check=True, capture_output=True)
    target.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    claims.ensure(target, NAMESPACE, {"runs": tmp_path})
    yield
    target.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.usefixtures("curves")
@pytest.mark.timeout(900)
def test_a_tensorboard_shows_the_curves_of_a_claim(target: Target) -> None:
    values = {
        "monitoring.tensorboards": [{"namespace": NAMESPACE, "claimName": "runs"}],
        "trainer.images.cpu": target.deliver(images.TRAINER),
    }
    only = "--show-only=templates/monitoring/tensorboard.yaml"
    target.kubectl.apply(helm("template", "op", CHART, only, IMAGES, *sets(values)).stdout)
    in_namespace = f"--namespace={NAMESPACE}"
    target.kubectl.run(in_namespace, "rollout", "status", "deployment/tensorboard-runs", "--timeout=180s")
    service = target.kubectl.get(in_namespace, "service", "tensorboard-runs")["spec"]
    url = (
        f"http://{service['clusterIP']}:{service['ports'][0]['port']}/data/plugin/scalars/scalars?run=.&tag=train/loss"
    )
    points: list[list[float]] = []

    def drawn() -> bool:
        nonlocal points
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                points = json.load(answer)
        except OSError:
            return False
        return True

    assert wait_until(drawn, 60), url
    assert [point[1:] for point in points] == [[7, 0.25]]
    (pod,) = target.kubectl.get(in_namespace, "pods", "--selector=app.kubernetes.io/name=tensorboard")["items"]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
