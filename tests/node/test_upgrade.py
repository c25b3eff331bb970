"""A release is upgraded, rolled back, uninstalled and installed again while real runs train, and they do not notice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.demo import stack
from lab.demo.mrpc import SAMPLE
from lab.demo.target import Target
from lab.images import images
from lab.images.images import Image
from node.season import ACCEPT, CPU, ONE_EPOCH, SHORT
from support import runs as support
from support.helm import CHART, IMAGES, RELEASED, Raw, Release

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("alone")]
RUNS = "upgrade-runs"
SHARED = Release(stack.RELEASE, stack.SYSTEM_NAMESPACE)
"""That of all other tests, whose operator would serve these runs too."""
BEFORE, AFTER = Release("bft", "upgrade-before"), Release("bft-again", "upgrade-after")
RELEASED_OPERATOR = Image("operator-released", RELEASED.parent, (".",), parent=images.OPERATOR)
RELEASED_TRAINER = Image("trainer-released", RELEASED.parent, (".",), parent=images.TRAINER)
RUN: Raw = CPU | ACCEPT
STEPS_IN_AN_EPOCH = 45
NEW_DEFAULTS = {"training": {"gradientAccumulationSteps": 1}, "onOOM": "Retry"}
"""What the API server adds to each object it is asked for, once the CRD has fields that the release before had not."""
LONGER_THAN_AN_UPGRADE = 30  # seconds; an upgrade takes about ten


@pytest.fixture
def prepared(target: Target) -> Iterator[Target]:
    """The cluster with weights and data, and no operator; afterwards with the one that other tests count on."""
    SHARED.do("uninstall", "--ignore-not-found", "--wait")
    try:
        support.prepare(target, RUNS, {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE})
        for release in (BEFORE, AFTER):
            target.ensure_namespace(release.namespace)
        yield target
    finally:
        for release in (BEFORE, AFTER):
            release.do("uninstall", "--ignore-not-found", "--wait")
        target.kubectl.run("delete", "namespace", RUNS, BEFORE.namespace, AFTER.namespace, "--wait=false", check=False)
        SHARED.do("install", CHART, "--create-namespace", "--take-ownership", "--set=replicas=0", IMAGES)
        stack.install(target)


def with_images(target: Target, operator: Image, trainer: Image) -> list[str]:
    repository, tag = target.deliver(operator).rsplit(":", 1)
    values = {"image.repository": repository, "image.tag": tag, "trainer.images.cpu": target.deliver(trainer)}
    return ["--wait", IMAGES, *(f"--set-string={key}={value}" for key, value in values.items())]


def start(target: Target, name: str, **change: Any) -> None:
    target.kubectl.run(f"--namespace={RUNS}", "create", "--filename=-", stdin=support.manifest(name, RUN | change))


def trains(target: Target, name: str) -> Raw:
    """Wait until it has learned something; its Job."""
    reached = lambda status: status.get("progress", {}).get("step", 0) >= 1  # noqa: E731
    status = support.wait_for(target, RUNS, name, reached, 300)
    return target.kubectl.get("job", status["jobName"], f"--namespace={RUNS}")


def is_suspended_half_way(target: Target, name: str) -> None:
    support.wait_for(target, RUNS, name, lambda s: s.get("progress", {}).get("step", 0) >= 8, 300)
    suspend(target, name, True)
    support.wait_for(target, RUNS, name, lambda s: s.get("phase") == "Suspended", 120)


def suspend(target: Target, name: str, value: bool) -> None:
    patch = json.dumps({"spec": {"suspend": value}})
    target.kubectl.run(f"--namespace={RUNS}", "patch", "bft", name, "--type=merge", f"--patch={patch}")


def succeeds(target: Target, name: str) -> Raw:
    """Wait for its end; the object."""
    status = support.wait_for(target, RUNS, name, lambda s: s.get("phase") in ("Succeeded", "Failed"), 300)
    assert status["phase"] == "Succeeded", status
    return support.get(target, RUNS, name)


def assert_never_restarted(target: Target, finished: Raw, job: Raw) -> None:
    status = finished["status"]
    assert (status["jobName"], status["attempt"], status["retries"]) == (job["metadata"]["name"], 0, 0)
    now = target.kubectl.get("job", status["jobName"], f"--namespace={RUNS}")
    assert now["metadata"]["uid"] == job["metadata"]["uid"]
    assert (now["status"]["succeeded"], now["status"].get("failed", 0)) == (1, 0)


def deployments(target: Target) -> list[str]:
    """Those of the release, whatever they are called."""
    found = target.kubectl.get("deployments", f"--namespace={BEFORE.namespace}")["items"]
    return [deployment["metadata"]["name"] for deployment in found]


def test_runs_do_not_notice_what_becomes_of_the_release(prepared: Target) -> None:
    requests = [f"--set-string={key}={value}" for key, value in stack.SMALL_REQUESTS.items()]
    present = [*with_images(prepared, images.OPERATOR, images.TRAINER), *requests]
    BEFORE.do("install", RELEASED, "--take-ownership", *with_images(prepared, RELEASED_OPERATOR, RELEASED_TRAINER))
    start(prepared, "resumed", training=ONE_EPOCH)
    start(prepared, "early", training=SHORT)
    is_suspended_half_way(prepared, "resumed")
    early = succeeds(prepared, "early")

    epochs = LONGER_THAN_AN_UPGRADE * 1000 / early["status"]["result"]["msPerStep"] / STEPS_IN_AN_EPOCH
    lasting = SHORT | {"numTrainEpochs": round(epochs, 2)}
    start(prepared, "upgraded", training=lasting)
    job = trains(prepared, "upgraded")
    assert deployments(prepared) == [BEFORE.name]
    notes = BEFORE.do("upgrade", CHART, *present)
    assert deployments(prepared) == [f"{BEFORE.name}-{CHART.name}"]  # whose operator has waited for the other's lease
    assert f"fullnameOverride={BEFORE.name}." in notes
    assert support.get(prepared, RUNS, "upgraded")["status"]["phase"] == "Running"
    upgraded = succeeds(prepared, "upgraded")
    assert_never_restarted(prepared, upgraded, job)

    BEFORE.do("rollback", "1", "--wait")
    start(prepared, "orphaned", training=lasting)
    job = trains(prepared, "orphaned")
    BEFORE.do("uninstall", "--wait")
    orphaned = support.get(prepared, RUNS, "orphaned")
    assert orphaned["status"]["phase"] == "Running"

    AFTER.do("install", CHART, "--take-ownership", *present, program="helm4")
    suspend(prepared, "resumed", False)
    start(prepared, "older-image", training=SHORT, trainer={"image": prepared.deliver(RELEASED_TRAINER)})
    assert_never_restarted(prepared, succeeds(prepared, "orphaned"), job)
    pod = succeeds(prepared, "resumed")["status"]["podName"]
    assert "resuming from" in prepared.kubectl.run(f"--namespace={RUNS}", "logs", pod).stdout
    succeeds(prepared, "older-image")
    for before in (early, upgraded):
        now = support.get(prepared, RUNS, before["metadata"]["name"])
        assert (now["metadata"], now["status"]) == (before["metadata"], before["status"])  # nothing was written
        lots = before["spec"]["training"] | NEW_DEFAULTS["training"]
        assert now["spec"] == before["spec"] | NEW_DEFAULTS | {"training": lots}
