"""Kubeflow Trainer with the JobSet that its release names, as the manifests of their Go modules install them.

A TrainJob becomes a JobSet, that a Job, that a pod: so two controllers serve it, with webhooks before all but the Job.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.bench.operator import controllers
from lab.bench.operator.controllers import PEER_CERTIFICATES, READY_SECONDS, Controller
from lab.bench.operator.objects import Raw, training_runtime
from lab.cluster import installed, processes
from lab.cluster.layout import BIN, STATE
from lab.cluster.local import KUBECTL
from lab.cluster.processes import Component

TRAINER = "trainer-controller-manager"
JOBSET = "jobset"
PROGRAMS = (TRAINER, JOBSET)
FOLDER = STATE / "kubeflow-trainer"
CONFIGURATION = "controller_manager_config.yaml"
"""Both call it so in their ConfigMap."""
UNTHROTTLED = {"qps": 1000, "burst": 2000}  # as the control plane here; by default 50 for Trainer, 500 for JobSet


@dataclass(frozen=True)
class Installation:
    """One of the two: its program, and what its manifests say about the pod that the program runs in."""

    program: str
    address: str
    """One of its own on the loopback device: each serves its webhooks on port 443."""
    certificates: Path
    manifests: list[Raw]

    @property
    def deployment(self) -> Raw:
        return next(raw for raw in self.manifests if raw["kind"] == "Deployment")

    @property
    def namespace(self) -> str:
        return self.deployment["metadata"]["namespace"]

    @property
    def pod(self) -> Raw:
        return self.deployment["spec"]["template"]["spec"]

    @property
    def account(self) -> str:
        return self.pod["serviceAccountName"]

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{self.account}"

    @property
    def secret(self) -> str:
        """The Secret in which it puts its webhooks' certificate."""
        return next(volume["secret"]["secretName"] for volume in self.pod["volumes"] if "secret" in volume)

    @property
    def service(self) -> str:
        """The Service by which the API server finds its webhooks."""
        hooks = next(raw for raw in self.manifests if raw["kind"] == "ValidatingWebhookConfiguration")
        return hooks["webhooks"][0]["clientConfig"]["service"]["name"]

    @property
    def configuration(self) -> Raw:
        """Its own, with what a process outside a pod needs, and without the limit of requests."""
        maps = (raw["data"] for raw in self.manifests if raw["kind"] == "ConfigMap")
        config = yaml.safe_load(next(data[CONFIGURATION] for data in maps if CONFIGURATION in data))
        webhook: Raw = {"host": self.address, "port": 443}
        if self.certificates != PEER_CERTIFICATES:  # Trainer knows no other folder
            webhook["certDir"] = str(self.certificates)
        return config | {
            "health": {"healthProbeBindAddress": self.health},
            "metrics": {"bindAddress": "0"},
            "webhook": webhook,
            "leaderElection": config["leaderElection"] | {"resourceNamespace": self.namespace},
            "clientConnection": UNTHROTTLED,
        }

    @property
    def health(self) -> str:
        return f"{self.address}:8081"

    @property
    def process(self) -> Component:
        """The program with its Deployment's arguments."""
        [container] = self.pod["containers"]
        further = [word for word in container["args"] if not word.startswith("--config=")]
        config, kubeconfig = self._file("yaml"), self._file("kubeconfig")
        return Component(
            self.program, (str(BIN / self.program), f"--config={config}", *further), {"KUBECONFIG": str(kubeconfig)}
        )

    def start(self) -> None:
        """Install it and start its process, which will not be ready before it has its certificate."""
        objects = installed.without_pods(self.manifests, self.service, self.address)
        controllers.apply_with_crds(yaml.safe_dump_all(objects))
        installed.write_kubeconfig(self._file("kubeconfig"), self.namespace, self.account)
        self._file("yaml").write_text(yaml.safe_dump(self.configuration))
        processes.start(self.process)

    def mount(self) -> None:
        """Wait for its certificate and put it where the process looks for it."""

        def mounted() -> bool:
            return installed.mount(self.namespace, self.secret, self.certificates)

        processes.wait_ready(self.process, mounted, READY_SECONDS)

    def wait(self) -> None:
        processes.wait_ready(self.process, lambda: installed.is_ready(self.health), READY_SECONDS)

    def _file(self, suffix: str) -> Path:
        return FOLDER / f"{self.program}.{suffix}"


@contextmanager
def running() -> Iterator[Controller]:
    """TrainJobs are served inside, and there is a TrainingRuntime for them."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    # JobSet first: it looks for its certificate in Trainer's folder before it serves that of its own
    both = (jobset(), trainer())
    shutil.rmtree(PEER_CERTIFICATES, ignore_errors=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, PEER_CERTIFICATES.parent, ignore_errors=True)
        for one in both:
            stack.callback(processes.stop, one.process)
            one.start()
        for one in both:
            one.mount()
        for one in both:
            one.wait()
        KUBECTL.apply(yaml.safe_dump(training_runtime()))
        yield Controller(tuple(one.process for one in both), frozenset(one.user for one in both))


def jobset() -> Installation:
    config = controllers.module_folder("trainer", "sigs.k8s.io/jobset") / "config" / "default"
    return Installation(JOBSET, "127.0.0.2", FOLDER / "jobset-certificates", _kustomize(config))


def trainer() -> Installation:
    """It would bring JobSet from GitHub: its manifests say which line to leave out where there is one."""
    manifests = FOLDER / "manifests"
    module = controllers.module_folder("trainer", "github.com/kubeflow/trainer/v2")
    shutil.copytree(module / "manifests", manifests)
    overlay = manifests / "overlays" / "manager"
    file = overlay / "kustomization.yaml"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if "third-party/jobset" not in line))
    return Installation(TRAINER, "127.0.0.3", PEER_CERTIFICATES, _kustomize(overlay))


def _kustomize(folder: Path) -> list[Raw]:
    text = KUBECTL.run("kustomize", str(folder)).stdout
    return [raw for raw in yaml.load_all(text, Loader=yaml.CSafeLoader) if raw]
