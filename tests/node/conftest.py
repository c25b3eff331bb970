"""The season, the runs that more than one module looks at, and the order of the tests.

First come the tests that leave the season alone, while it plays; then those of its runs; then those that need the
cluster for themselves (the fixture `alone`): a lost node, enforced network policies, an upgrade.
"""

import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
import yaml

from lab.cluster import kueue
from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import NODE_IP
from lab.demo import stack
from lab.demo.mrpc import HEADER, SAMPLE
from lab.demo.target import Target
from lab.operator.installed import until_it_may_own
from node import pairs
from node.injector import NATIVE, injecting
from node.main_path import is_watched
from node.monitoring.watchers import Watchers, watching
from node.season import (
    ACCEPT,
    AUTHORITY,
    CPU,
    FIRST,
    HALF_A_CORE,
    LAST,
    NAMESPACE,
    ONE_EPOCH,
    PARTS,
    SHORT,
    Ended,
    Run,
    Season,
    Stage,
    joins,
    order,
    wanted,
)
from support import runs as support


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    node = Path(__file__).parent
    ours = [item for item in items if node in item.path.parents]
    ours.sort(key=lambda item: order(item.fixturenames))  # ty: ignore[missing-attribute]
    items[:] = [item for item in items if node not in item.path.parents] + ours


def looks_at(item: pytest.Item) -> list[str]:
    """The fixtures of a test, and those that it has as parameters."""
    parameters = getattr(item, "callspec").params.values() if hasattr(item, "callspec") else ()  # noqa: B009 - not typed
    return [*item.fixturenames, *(value for value in parameters if isinstance(value, str))]  # ty: ignore[missing-attribute]


@pytest.fixture(scope="session")
def stage(installed: Target, kubectl: RunKubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Claims with weights, with pairs (the sample's, easy ones, some with a label unknown to MRPC), and with both."""
    easy, bad, website, both = (tmp_path_factory.mktemp(name) for name in ("easy", "bad", "website", "both"))
    pairs.write_corpus(easy, train=160, dev=60)
    for source, name in ((support.ensure_weights(), "weights"), (easy, "data")):
        shutil.copytree(source, both / name)
    rows = [HEADER, "1\t1\t2\tA cat sat .\tA cat was sitting .", "maybe\t3\t4\tIt rained .\tIt poured ."]
    for name in ("train.tsv", "dev.tsv"):
        (bad / name).write_text("\n".join(rows) + "\n")
    archive = website / "MRPC.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(SAMPLE, arcname="MRPC", filter=lambda entry: entry if not entry.name.endswith(".md") else None)
    claims = {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE, "easy-data": easy, "bad-data": bad}
    support.prepare(installed, NAMESPACE, claims | {"both": both})
    operator = f"system:serviceaccount:{stack.SYSTEM_NAMESPACE}:{stack.RELEASE}"
    until_it_may_own(kubectl, operator, stack.SYSTEM_NAMESPACE)
    authority, sha256 = trustme.CA(), hashlib.sha256(archive.read_bytes()).hexdigest()
    certificate = f"--from-literal=ca.crt={authority.cert_pem.bytes().decode()}"
    installed.kubectl.run(f"--namespace={NAMESPACE}", "create", "configmap", AUTHORITY, certificate)
    with ExitStack() as closing:
        site = closing.enter_context(support.website(NODE_IP, 0, website))
        private = closing.enter_context(support.website(NODE_IP, 0, website, authority))
        closing.enter_context(injecting(installed.kubectl, NAMESPACE, ["sidecar", "sidecar-bad", NATIVE]))
        yield Stage(installed, f"http://{site}/MRPC.tar.gz", f"https://{private}/MRPC.tar.gz", sha256, closing)


@pytest.fixture(scope="session")
def watchers(installed: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watchers]:
    with watching(installed, tmp_path_factory.mktemp("watchers")) as watchers:
        yield watchers


@pytest.fixture(scope="session")
def queue(stage: Stage) -> Iterator[str]:
    """The real Kueue, and a LocalQueue of the season with room for one card, in which an urgent run goes first.

    The release is upgraded, as security.md says, so that the operator may read Workloads.
    """
    quota, name = {stack.RESOURCE: 1, "cpu": 100, "memory": "100Gi"}, NAMESPACE
    urgent = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "urgent"}}
    objects = [
        *kueue.queue(name, quota, preemption={"withinClusterQueue": "LowerPriority"}),
        urgent | {"value": 1000, "preemptionPolicy": "Never"},  # it is Kueue that pre-empts, and no scheduler
    ]
    with kueue.running():
        stack.install(stage.target)
        kueue.manage(NAMESPACE)
        stage.target.kubectl.apply(yaml.safe_dump_all(objects))
        stage.target.kubectl.apply(yaml.safe_dump(kueue.local_queue(name, name)), f"--namespace={NAMESPACE}")
        yield name
        stage.target.kubectl.run("delete", "priorityclass", "urgent")


@pytest.fixture(scope="session")
def season(request: pytest.FixtureRequest) -> Iterator[Season]:
    """The runs of all selected tests play from here on; Prometheus and Kueue are there where a test asks for them."""
    asked = {name for item in request.session.items for name in looks_at(item)}
    for name in {"watchers", "queue"} & asked:
        request.getfixturevalue(name)
    with ExitStack() as closing:
        season = Season(request.getfixturevalue("stage"), wanted(PARTS, asked))
        closing.callback(season.close)
        yield season


@pytest.fixture(scope="session", autouse=True)
def curtain(request: pytest.FixtureRequest) -> None:
    """The season begins before the first test where any test looks at a run, so that it plays beside the others."""
    if any("season" in item.fixturenames for item in request.session.items):  # ty: ignore[missing-attribute]
        request.getfixturevalue("season")


@pytest.fixture(scope="session")
def alone(request: pytest.FixtureRequest) -> None:
    """No run of the season is left: for tests that take the node, the firewall or the operator away."""
    if any("season" in item.fixturenames for item in request.session.items):  # ty: ignore[missing-attribute]
        request.getfixturevalue("season").close()


def is_suspended_and_resumed(run: Run) -> Ended:
    run.reaches(8)
    run.change({"spec": {"suspend": True}})
    suspended = run.until(lambda status: status.get("reason") == "Suspended")
    assert run.children() == []
    run.change({"spec": {"suspend": False}})
    return Ended(run, run.ends(), suspended)


def waits(run: Run) -> Ended:
    return Ended(run, run.until(lambda status: status.get("reason") == "Unschedulable"))


def trains(run: Run) -> Ended:
    return Ended(run, run.reaches(1))


EASY = {"trainBatchSize": 8, "maxSeqLength": 64, "learningRate": 1e-4, "optimizer": "AdamW"}
SPOILED = SHORT | {"learningRate": 0.05, "optimizer": "AdamW"}
LITTLE_MEMORY = {"trainer": {"resources": {"limits": {"memory": "300Mi"}}}}
NOWHERE = {"scheduling": {"nodeSelector": {"rack": "of-another-data-center"}}}


def on_claim(name: str) -> dict:
    return {"data": {"source": {"claim": {"claimName": name}}}}


mrpc = joins("mrpc", {}, is_watched, turn=FIRST)  # the sample as it ships
suspended = joins("suspended", ACCEPT | {"training": ONE_EPOCH}, is_suspended_and_resumed, turn=FIRST)
collapse = joins("collapse", CPU | {"training": SPOILED, "quality": {"maxRetries": 1}})
oom = joins("oom", CPU | LITTLE_MEMORY | {"backoffLimit": 1})
bad_data = joins("bad-data", on_claim("bad-data"))
nowhere = joins("nowhere", NOWHERE, waits)
asleep = joins("asleep", {"suspend": True}, lambda run: Ended(run, run.until(lambda s: s.get("phase") == "Suspended")))
# learns, and asks for more than it can reach
on_cpu = joins(
    "on-cpu",
    CPU
    | on_claim("easy-data")
    | {"training": EASY | {"numTrainEpochs": 3}, "quality": {"onCollapse": "Accept", "minAccuracy": 0.99}},
)
# still trains on its card when all others have ended
live = joins(
    "live",
    HALF_A_CORE | on_claim("easy-data") | {"training": EASY | {"numTrainEpochs": 100}, "quality": {"minAccuracy": 0.8}},
    trains,
    turn=LAST,
)
