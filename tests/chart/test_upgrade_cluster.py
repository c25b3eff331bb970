"""A release is upgraded, rolled back, uninstalled and installed again while real runs train, and they do not notice."""

from collections.abc import Iterator
from typing import Any

import pytest

from chart.helm import CHART, RELEASED, Raw, Release
from cluster import images
from cluster.images import Image
from demo import stack
from demo.mrpc import SAMPLE
from demo.target import Target
from e2e import support

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
RUNS = "upgrade-runs"
SHARED = Release(stack.RELEASE, stack.SYSTEM_NAMESPACE)
"""That of all other tests, whose operator would serve these runs too."""
BEFORE, AFTER = Release("bft", "upgrade-before"), Release("bft-again", "upgrade-after")
RELEASED_OPERATOR = Image("operator-released", RELEASED.parent, (".",), parent=images.OPERATOR)
RUN: Raw = {"accelerator": {"type": "CPU"}, "quality": {"onCollapse": "Accept"}}
SHORT = {"numTrainEpochs": 0.25, "trainBatchSize": 16, "evalBatchSize": 16}
"""A dozen steps, which learn nothing."""
STEPS_IN_AN_EPOCH = 45
NEW_DEFAULTS = {"devicesPerWorker": 1}
"""What the API server adds to each object it is asked for, once the CRD has fields that the release before had not."""
LONGER_THAN_AN_UPGRADE = 45  # seconds; an upgrade takes about ten


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
        SHARED.do("install", CHART, "--create-namespace", "--take-ownership", "--set=replicas=0")
        stack.install(target)


def with_images(target: Target, operator: Image) -> list[str]:
    repository, tag = target.deliver(operator).rsplit(":", 1)
    values = {"image.repository": repository, "image.tag": tag, "trainer.images.cpu": target.deliver(images.TRAINER)}
    return ["--wait", *(f"--set-string={key}={value}" for key, value in values.items())]


def start(target: Target, name: str, **change: Any) -> None:
    target.kubectl.run(f"--namespace={RUNS}", "create", "--filename=-", stdin=support.manifest(name, RUN | change))


def trains(target: Target, name: str) -> Raw:
    """Wait until it has learned something; its Job."""
    reached = lambda status: status.get("progress", {}).get("step", 0) >= 1  # noqa: E731
    status = support.wait_for(target, RUNS, name, reached, 300)
    return target.kubectl.get("job", status["jobName"], f"--namespace={RUNS}")


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


def test_runs_do_not_notice_what_becomes_of_the_release(prepared: Target) -> None:
    present = with_images(prepared, images.OPERATOR)
    BEFORE.do("install", RELEASED, "--take-ownership", *with_images(prepared, RELEASED_OPERATOR))
    start(prepared, "early", training=SHORT)
    start(prepared, "resumed", training=SHORT, suspend=True)
    early = succeeds(prepared, "early")

    epochs = LONGER_THAN_AN_UPGRADE * 1000 / early["status"]["result"]["msPerStep"] / STEPS_IN_AN_EPOCH
    lasting = SHORT | {"numTrainEpochs": round(epochs, 2)}
    start(prepared, "upgraded", training=lasting)
    job = trains(prepared, "upgraded")
    BEFORE.do("upgrade", CHART, *present)
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
    change = ("patch", "bft", "resumed", "--type=merge", '--patch={"spec": {"suspend": false}}')
    prepared.kubectl.run(f"--namespace={RUNS}", *change)
    assert_never_restarted(prepared, succeeds(prepared, "orphaned"), job)
    succeeds(prepared, "resumed")
    for before in (early, upgraded):
        now = support.get(prepared, RUNS, before["metadata"]["name"])
        assert (now["metadata"], now["status"]) == (before["metadata"], before["status"])  # nothing was written
        assert now["spec"] == before["spec"] | {"accelerator": before["spec"]["accelerator"] | NEW_DEFAULTS}
