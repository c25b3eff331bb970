"""P4: what the chart's admission policy lets the operator's service account create, and what it refuses."""

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from bertfinetune_operator.api.accelerator import CARD_ADDRESSES, DRIVER
from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import BertFinetuneStatus
from bertfinetune_operator.manifests.job import build_job
from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import PROJECT
from lab.operator.installed import service_account
from lab.operator.process import until
from support import builders as make

pytestmark = pytest.mark.usefixtures("crd")

Raw = dict[str, Any]
SYSTEM = "kube-public"
"""A namespace that is there, for the releases."""
GOLDEN = sorted((make.GOLDEN / "job").glob("*.yaml"))
SAMPLES = sorted((PROJECT / "crds/samples").iterdir())
MINIMAL: Raw = yaml.safe_load((make.GOLDEN / "job/minimal.yaml").read_text())
DRIVER_PATHS = [part.path for part in (*DRIVER, CARD_ADDRESSES)]


class Account(NamedTuple):
    """The service account of an operator whose Jobs the policy judges."""

    kubectl: RunKubectl
    user: str

    def creates(self, job: Raw) -> subprocess.CompletedProcess[str]:
        job = copy.deepcopy(job)
        job["metadata"]["namespace"] = "default"
        manifest = ("--filename=-", "--dry-run=server", f"--as={self.user}")
        return self.kubectl("create", *manifest, stdin=json.dumps(job))


def installed(kubectl: RunKubectl, kubeconfig: str, folder: Path, name: str, **values: Any) -> Iterator[Account]:
    """A release, once its policy is in force."""
    with service_account(kubectl, kubeconfig, folder, name, SYSTEM, **values):
        account = Account(kubectl, f"system:serviceaccount:{SYSTEM}:{name}")
        done: list[subprocess.CompletedProcess[str]] = []

        def judges() -> bool:
            done[:] = [account.creates(changed(owner([])))]
            return done[0].returncode != 0

        until(judges, lambda: f"the policy is not in force: {done}", 60)
        yield account


@pytest.fixture(scope="module")
def runtime(kubectl: RunKubectl, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Where ascend-docker-runtime mounts the driver."""
    folder = tmp_path_factory.mktemp("runtime")
    yield from installed(kubectl, kubeconfig, folder, "judged", **{"admissionPolicy.hostPaths": []})


@pytest.fixture(scope="module")
def narrow(kubectl: RunKubectl, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Where pods mount the driver, and no folder of a node but some."""
    values = {"admissionPolicy.hostPaths": ["/data/bert", "/mnt"], "ascend.driver": "hostPath"}
    yield from installed(kubectl, kubeconfig, tmp_path_factory.mktemp("narrow"), "narrow", **values)


@pytest.fixture(scope="module")
def system(kubectl: RunKubectl, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Where a folder of the node's own is named, and users are the cluster's to choose."""
    user: Raw = {"trainer.podSecurityContext": {"runAsNonRoot": None, "runAsUser": None, "runAsGroup": None}}
    values = user | {"admissionPolicy.hostPaths": ["/etc/bert"]}
    yield from installed(kubectl, kubeconfig, tmp_path_factory.mktemp("system"), "system", **values)


Change = Callable[[Raw], None]


def changed(*changes: Change) -> Raw:
    """A Job as the operator makes it, with some changes."""
    job = copy.deepcopy(MINIMAL)
    for change in changes:
        change(job)
    return job


def owner(references: list[Raw]) -> Change:
    return lambda job: job["metadata"].update(ownerReferences=references)


def pod(**fields: Any) -> Change:
    return lambda job: job["spec"]["template"]["spec"].update(fields)


def volume(name: str, **source: Any) -> Change:
    """Another volume, or another source of one that is there."""

    def change(job: Raw) -> None:
        volumes = job["spec"]["template"]["spec"]["volumes"]
        volumes[:] = [*(there for there in volumes if there["name"] != name), {"name": name, **source}]

    return change


def container(**fields: Any) -> Change:
    return lambda job: job["spec"]["template"]["spec"]["containers"][0].update(fields)


def fetcher(name: str, **fields: Any) -> Change:
    """An init container beside the trainer."""

    def change(job: Raw) -> None:
        spec = job["spec"]["template"]["spec"]
        spec["initContainers"] = [copy.deepcopy(spec["containers"][0]) | {"name": name, "ports": []} | fields]

    return change


def on_node(path: str) -> Raw:
    return {"hostPath": {"path": path, "type": "Directory"}}


OWNER = MINIMAL["metadata"]["ownerReferences"][0] | {"blockOwnerDeletion": False}
FROM_SECRET = [{"secretRef": {"name": "s3"}}]
VARIABLE = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "a"}}}
UNPRIVILEGED = MINIMAL["spec"]["template"]["spec"]["containers"][0]["securityContext"]
TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
NO_TOKEN = "hold no token of a service account"
NO_FOLDER = "mount no folder of a node but their object's model, data and output"
NO_SECRET = "mount claims, and a Secret or ConfigMap only as a download's certificates"
NO_VARIABLE = "read a Secret only as a download's credentials"
NO_SYSTEM = "mount no folder of a node's own system unless admissionPolicy.hostPaths names it"
NO_ROOT = "run as no root, and with a seccomp profile"
NO_PRIVILEGE = "have no privilege, no added capability and no namespace of their node"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (owner([]), "no Job but a BertFinetune's"),
        (owner([OWNER | {"kind": "Pod", "apiVersion": "v1"}]), "no Job but a BertFinetune's"),
        (owner([OWNER | {"apiVersion": "evil.dev/v1"}]), "no Job but a BertFinetune's"),
        (owner([OWNER | {"controller": False}]), "no Job but a BertFinetune's"),
        (pod(automountServiceAccountToken=True), NO_TOKEN),
        (pod(automountServiceAccountToken=None), NO_TOKEN),
        (pod(serviceAccountName="admin"), NO_TOKEN),
        (volume("token", **TOKEN), NO_TOKEN),
        (volume("root", **on_node("/")), NO_FOLDER),
        (volume("ascend-driver", **on_node("/usr/local/Ascend/driver")), NO_FOLDER),  # the runtime mounts it here
        (volume("keys", secret={"secretName": "s3"}), NO_SECRET),
        (volume("keys", configMap={"name": "config"}), NO_SECRET),
        (volume("share", nfs={"server": "10.0.0.1", "path": "/"}), NO_SECRET),
        (container(env=[VARIABLE]), NO_VARIABLE),
        (container(envFrom=FROM_SECRET), NO_VARIABLE),
        (fetcher("other", envFrom=FROM_SECRET), NO_VARIABLE),
        (pod(hostNetwork=True), NO_PRIVILEGE),
        (pod(hostPID=True), NO_PRIVILEGE),
        (pod(hostIPC=True), NO_PRIVILEGE),
        (container(securityContext=UNPRIVILEGED | {"allowPrivilegeEscalation": True}), NO_PRIVILEGE),
        (container(securityContext=UNPRIVILEGED | {"capabilities": {"add": ["SYS_ADMIN"]}}), NO_PRIVILEGE),
        (fetcher("fetch-data", securityContext={}), NO_PRIVILEGE),
        (pod(securityContext={}), NO_ROOT),
        (pod(securityContext={"runAsNonRoot": False, "runAsUser": 7}), NO_ROOT),
        (pod(securityContext={"runAsNonRoot": True, "runAsUser": 0}), NO_ROOT),
        (pod(securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "Unconfined"}}), NO_ROOT),
        (container(securityContext=UNPRIVILEGED | {"runAsNonRoot": False}), NO_ROOT),
        (container(securityContext=UNPRIVILEGED | {"runAsUser": 0}), NO_ROOT),
        (fetcher("fetch-data", securityContext=UNPRIVILEGED | {"runAsUser": 0}), NO_ROOT),
        (container(securityContext=UNPRIVILEGED | {"seccompProfile": {"type": "Unconfined"}}), NO_ROOT),
    ],
)
def test_a_job_that_the_operator_would_not_make_is_refused(runtime: Account, change: Change, words: str) -> None:
    """P4: whoever has the operator's token can make no other Job than it would."""
    done = runtime.creates(changed(change))
    assert done.returncode != 0
    assert words in done.stderr


@pytest.mark.parametrize(
    ("path", "is_taken"),
    [("/data/bert", True), ("/data/bert/mrpc", True), ("/mnt/a", True), ("/data/berth", False), ("/etc", False)],
)
def test_folders_of_the_node_can_be_bounded(narrow: Account, path: str, is_taken: bool) -> None:
    """P4: a site says where on its nodes a run's folders are."""
    done = narrow.creates(changed(volume("data", **on_node(path))))
    assert (done.returncode == 0) == is_taken, done.stderr
    assert is_taken or f"{NO_FOLDER} under /data/bert, /mnt, and the Ascend driver" in done.stderr


@pytest.mark.parametrize(
    ("path", "is_taken"),
    [
        *((path, False) for path in ("/", "/etc", "/etc/", "//etc", "/./etc/kubernetes", "/root", "/dev/shm")),
        *((path, False) for path in ("/var", "/var/", "/var/lib", "/var/./lib", "/var/lib/kubelet/pods", "/var/run")),
        *((path, True) for path in ("/data", "/srv/etc", "/etcetera", "/var/bert", "/var/lib/bert/", "/opt")),
    ],
)
def test_without_bounds_the_nodes_own_folders_are_refused(runtime: Account, path: str, is_taken: bool) -> None:
    """P4: a node's own folders are no run's model, data or output, however they are written."""
    done = runtime.creates(changed(volume("data", **on_node(path))))
    assert (done.returncode == 0) == is_taken, done.stderr
    assert is_taken or NO_SYSTEM in done.stderr


def test_a_site_may_name_one_of_them(system: Account) -> None:
    assert system.creates(changed(volume("data", **on_node("/etc/bert")))).returncode == 0
    assert NO_FOLDER in system.creates(changed(volume("data", **on_node("/etc")))).stderr


def test_a_site_may_leave_users_to_the_cluster_but_not_to_root(system: Account) -> None:
    """P4: what the site takes away from trainer.podSecurityContext is not asked for."""
    assert system.creates(changed(pod(securityContext={}))).returncode == 0
    for context in ({"runAsUser": 0}, {"runAsNonRoot": False}):
        assert NO_ROOT in system.creates(changed(pod(securityContext=context))).stderr


@pytest.mark.parametrize("name", ["model", "data", "output", "model-data", "data-output", "model-data-output"])
def test_a_folder_of_the_node_may_be_used_more_than_once(runtime: Account, name: str) -> None:
    done = runtime.creates(changed(volume(name, **on_node("/data"))))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DRIVER_PATHS)
def test_the_driver_is_mounted_where_pods_mount_it(narrow: Account, path: str) -> None:
    done = narrow.creates(changed(volume("driver", hostPath={"path": path})))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_what_the_operator_makes_is_taken(runtime: Account, driver: Account, file: Path) -> None:
    """P4: the policy stands in no run's way."""
    job = yaml.safe_load(file.read_text())
    mounts_driver = any(volume["name"] == DRIVER[0].name for volume in job["spec"]["template"]["spec"]["volumes"])
    done = (driver if mounts_driver else runtime).creates(job)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def driver(kubectl: RunKubectl, kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Where pods mount the driver."""
    folder = tmp_path_factory.mktemp("driver")
    yield from installed(kubectl, kubeconfig, folder, "driver", **{"ascend.driver": "hostPath"})


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: file.stem)
def test_what_it_makes_of_a_sample_is_taken(runtime: Account, kubectl: RunKubectl, file: Path, namespace: str) -> None:
    create = ("create", f"--namespace={namespace}", f"--filename={file}", "--dry-run=server", "--output=json")
    made = json.loads(kubectl(*create).stdout)
    for raw in made.get("items", [made]):
        job = build_job(BertFinetune.model_validate(raw), BertFinetuneStatus(), replace(make.SETTINGS))
        done = runtime.creates(job)
        assert done.returncode == 0, done.stderr


def test_jobs_of_others_are_not_looked_at(runtime: Account, kubectl: RunKubectl) -> None:
    del runtime  # it brings the policy along
    job = changed(owner([]), pod(automountServiceAccountToken=True), volume("root", **on_node("/")))
    job["metadata"]["namespace"] = "default"
    done = kubectl("create", "--filename=-", "--dry-run=server", stdin=json.dumps(job))
    assert done.returncode == 0, done.stderr


def test_the_api_server_has_nothing_to_say_about_its_expressions(runtime: Account, kubectl: RunKubectl) -> None:
    """It checks the types of each expression against a Job's schema, some seconds after the policy is made."""
    del runtime

    def status() -> Raw:
        policy = kubectl("get", "validatingadmissionpolicy", f"judged.{SYSTEM}", "--output=json")
        return json.loads(policy.stdout).get("status", {})

    until(lambda: "typeChecking" in status(), lambda: str(status()), 30)
    assert status()["typeChecking"] == {}
