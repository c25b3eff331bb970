"""The CRD against a real API server: what it admits, refuses, defaults and explains."""

import json
import runpy
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bertfinetune_operator.kinds import BERTFINETUNES
from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import SAMPLE, program
from support import builders as make

pytestmark = pytest.mark.usefixtures("crd")

Raw = dict[str, Any]
TABLE = runpy.run_path(str(Path(__file__).with_name("admission_cases.py")))


def submit(
    kubectl: RunKubectl, raw: dict[str, Any], verb: str = "create", dry: bool = True
) -> subprocess.CompletedProcess[str]:
    mode = ["--dry-run=server"] if dry else []
    return kubectl(verb, *mode, "--validate=strict", "--output=json", "--filename=-", stdin=json.dumps(raw))


def minimal(namespace: str = "default") -> Raw:
    raw = yaml.safe_load(make.MINIMAL)
    raw["metadata"] = {"name": "minimal", "namespace": namespace}
    return raw


@pytest.fixture(scope="module")
def collection(kubeconfig: str) -> Iterator[str]:
    """The address where objects are created, by `kubectl proxy`: a hundred times faster than `kubectl create`."""
    command = [program("kubectl"), f"--kubeconfig={kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout
        address = proxy.stdout.readline().split()[-1]
        yield f"http://{address}{BERTFINETUNES.path('default')}"
        proxy.terminate()


def create(collection: str, raw: Raw) -> str | None:
    """Why the API server refuses the object, or None if it takes it."""
    url = f"{collection}?dryRun=All&fieldValidation=Strict"
    request = urllib.request.Request(url, json.dumps(raw).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 201
            return None
    except urllib.error.HTTPError as refusal:
        return str(json.load(refusal)["message"])


@pytest.mark.parametrize("case", TABLE["CASES"], ids=lambda case: case.name)
def test_create(collection: str, case: Any) -> None:
    refusal = create(collection, case.mutate(minimal()))
    if case.expected is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert case.expected in refusal.replace('"object": ', "")  # only versions before 1.37 print the kind of a value


@pytest.mark.parametrize(("path", "value", "field"), TABLE["IMMUTABLE"], ids=str)
def test_update_of_the_spec_is_refused(kubectl: RunKubectl, namespace: str, path: str, value: Any, field: str) -> None:
    raw = minimal(namespace)
    raw["spec"]["scheduling"] = {"nodeSelector": {"nowhere": "true"}}
    assert submit(kubectl, raw, dry=False).returncode == 0
    raw["metadata"]["labels"] = {"changed": "yes"}
    assert submit(kubectl, raw, "apply").returncode == 0
    done = submit(kubectl, TABLE["put"](path, value)(raw), "apply")
    assert f"spec.{field} cannot change once the object exists: delete it and create it again" in done.stderr


def test_what_only_the_operator_reads_can_change(kubectl: RunKubectl, namespace: str) -> None:
    raw = minimal(namespace)
    raw["spec"]["scheduling"] = {"nodeSelector": {"nowhere": "true"}}
    assert submit(kubectl, raw, dry=False).returncode == 0
    raw["spec"] |= TABLE["MUTABLE"]
    done = submit(kubectl, raw, "apply")
    assert done.returncode == 0, done.stderr


def test_server_side_apply_is_held_to_the_same_rules(kubectl: RunKubectl, namespace: str) -> None:
    """Two appliers own fields of one object; neither may change what the Job is made of."""

    def apply(raw: Raw, manager: str) -> subprocess.CompletedProcess[str]:
        flags = ("--server-side", f"--field-manager={manager}", "--validate=strict", "--filename=-")
        return kubectl("apply", *flags, stdin=json.dumps(raw))

    raw = minimal(namespace)
    raw["spec"]["scheduling"] = {"nodeSelector": {"nowhere": "true"}}
    assert apply(raw, "team").returncode == 0
    assert apply(raw, "team").returncode == 0
    pause = {key: raw[key] for key in ("apiVersion", "kind", "metadata")} | {"spec": {"suspend": True}}
    done = apply(pause, "night-watch")
    assert "spec.task: Required value" not in done.stderr
    assert done.returncode == 0, done.stderr
    spec = json.loads(kubectl("get", "bft", "minimal", f"--namespace={namespace}", "--output=json").stdout)["spec"]
    assert (spec["suspend"], spec["task"]) == (True, "MRPC")
    for refused in ({"training": {"learningRate": 0.1}}, {"training": {"learningRate": -1}}):
        done = apply(pause | {"spec": refused}, "night-watch")
        assert done.returncode != 0
    raw["spec"]["training"] = {"learningRate": 0.01}
    done = apply(raw, "team")
    assert "spec.training cannot change once the object exists" in done.stderr


def test_defaults_are_filled_in_by_the_server(kubectl: RunKubectl) -> None:
    spec = json.loads(submit(kubectl, minimal()).stdout)["spec"]
    assert spec["training"] == {
        "trainBatchSize": 32,
        "learningRate": 2e-5,
        "numTrainEpochs": 3,
        "maxSeqLength": 128,
        "warmupProportion": 0.1,
        "seed": 1,
        "precisionMode": "allow_mix_precision",
        "lossScale": -1,
        "optimizer": "AdamWeightDecay",
        "reinitLayers": 0,
        "evalBatchSize": 32,
        "gradientAccumulationSteps": 1,
        "saveCheckpointsSteps": 100,
    }
    assert spec["accelerator"] == {"type": "Ascend910", "devicesPerWorker": 1}
    assert (spec["backoffLimit"], spec["model"]["name"], spec["output"]["keepCheckpointMax"]) == (3, "custom", 5)
    assert (spec["suspend"], spec["quality"]) == (False, {"onCollapse": "Retry", "maxRetries": 2})
    assert not {"scheduling", "trainer"} & set(spec)


def test_the_sample_is_admitted(kubectl: RunKubectl, namespace: str) -> None:
    done = kubectl(
        "create", f"--namespace={namespace}", "--dry-run=server", "--validate=strict", f"--filename={SAMPLE}"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", sorted(file.stem for file in (make.GOLDEN / "job").glob("*.yaml")))
def test_the_golden_jobs_are_admitted(kubectl: RunKubectl, case: str) -> None:
    job = yaml.safe_load((make.GOLDEN / "job" / f"{case}.yaml").read_text())
    job["metadata"]["namespace"] = "default"
    done = submit(kubectl, job)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("spec.training.learningRate", "Peak of the learning-rate schedule"),
        ("spec.training.learningRate", "Default: 2e-5."),
        ("spec.data.source", "mounted read-only at /data"),
        ("status.result.accuracy", "Share of the evaluation examples"),
    ],
)
def test_explain(kubectl: RunKubectl, field: str, words: str) -> None:
    text = " ".join(kubectl("explain", f"bertfinetune.{field}").stdout.split())
    assert words in text


def test_short_name_and_columns(kubectl: RunKubectl, namespace: str) -> None:
    raw = minimal(namespace)
    raw["spec"]["scheduling"] = {"nodeSelector": {"nowhere": "true"}}
    assert submit(kubectl, raw, dry=False).returncode == 0
    header = kubectl("get", "bft", f"--namespace={namespace}", "--output=wide").stdout.splitlines()[0]
    shown = "NAME PHASE PROGRESS ACCURACY MS/STEP DURATION AGE F1 LOSS ETA DEVICES NODE REASON"
    assert header.split() == shown.split()
