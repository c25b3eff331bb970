"""What a cluster needs before a BertFinetune can run: the operator by Helm, and simulated cards where none are real."""

import subprocess

from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN, PROJECT
from lab.demo.target import Target
from lab.images import images

SYSTEM_NAMESPACE = "bertfinetune-system"
RELEASE = "bertfinetune-operator"
METRICS_SERVICE = f"{RELEASE}-metrics"
RESOURCE = "huawei.com/Ascend910"
DEVICE_PLUGIN = "ascend-device-plugin-sim"
SMALL_REQUESTS = {
    f"trainer.resources.{type_}.requests.{name}": quantity
    for type_ in ("ascend910", "cpu")
    for name, quantity in (("cpu", "100m"), ("memory", "512Mi"))
}
"""The demo's model is small, and several runs share two cores."""
CARD_LABEL = {"accelerator": "huawei-Ascend910"}  # what mind-cluster's documentation puts on a node with 910 cards


def install(target: Target) -> None:
    """Deliver the images, start the simulated cards, install the chart and wait until the operator is ready."""
    operator, trainer, trainer_sim, _ = target.deliver_all(
        images.OPERATOR, images.TRAINER, images.TRAINER_ASCEND_SIM, images.DEVICE_PLUGIN_SIM
    )
    start_simulated_cards(target)
    repository, tag = operator.rsplit(":", 1)
    values = {
        "image.repository": repository,
        "image.tag": tag,
        "trainer.images.cpu": trainer,
        "trainer.images.ascend910": trainer_sim,
        **SMALL_REQUESTS,
    }
    target.ensure_namespace(SYSTEM_NAMESPACE)
    print(f"==> helm upgrade --install {RELEASE}", flush=True)
    done = subprocess.run(
        [
            BIN / "helm",
            f"--kubeconfig={target.kubectl.kubeconfig}",
            *([f"--kube-context={target.kubectl.context}"] if target.kubectl.context else []),
            f"--namespace={SYSTEM_NAMESPACE}",
            *("upgrade", "--install", "--wait", "--timeout=3m"),
            *(RELEASE, PROJECT / "charts/bertfinetune-operator"),
            *(f"--set-string={key}={value}" for key, value in values.items()),  # a hash may be all digits
            "--set=ascend.cardAddresses=false",  # a node of simulated cards has no /etc/hccn.conf
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        logs = target.kubectl.run(
            f"--namespace={SYSTEM_NAMESPACE}", "logs", f"deployment/{RELEASE}", "--tail=15", check=False
        ).stdout
        raise ClusterError(f"helm: {done.stderr.strip()}\n{logs}".rstrip())


def start_simulated_cards(target: Target) -> None:
    """Run the simulated device plugin and wait until a node offers cards; refused beside real ones."""
    nodes = target.kubectl.get("nodes")["items"]
    simulated = (
        target.kubectl.run("--namespace=kube-system", "get", f"daemonset/{DEVICE_PLUGIN}", check=False).returncode == 0
    )
    real = [node["metadata"]["name"] for node in nodes if int(node["status"].get("allocatable", {}).get(RESOURCE, 0))]
    if real and not simulated:
        raise ClusterError(
            f"node {real[0]} offers real {RESOURCE} cards and the demo would put simulated ones beside them: "
            "build trainer_image on Ascend Hub's base and use helm install with trainer.images.ascend910 instead"
        )
    if not [node for node in nodes if CARD_LABEL.items() <= node["metadata"]["labels"].items()]:
        # one node of somebody's cluster is enough for a demo, and the demo's clean-up lines take the label off again
        node = next(n["metadata"]["name"] for n in nodes if not n["spec"].get("taints"))
        target.kubectl.run("label", "node", node, *(f"{key}={value}" for key, value in CARD_LABEL.items()))
    manifest = (PROJECT / "tests/lab/ascend/device_plugin/daemonset.yaml").read_text()
    manifest = manifest.replace("bertfinetune/ascend-device-plugin-sim:dev", target.deliver(images.DEVICE_PLUGIN_SIM))
    print("==> starting 8 simulated Ascend 910 cards (a device plugin, no hardware)", flush=True)
    target.kubectl.apply(manifest)
    target.kubectl.run("--namespace=kube-system", "rollout", "status", f"daemonset/{DEVICE_PLUGIN}", "--timeout=120s")
    escaped = RESOURCE.replace(".", r"\.")
    target.kubectl.run(
        "wait",
        f"--for=jsonpath={{.status.allocatable.{escaped}}}=8",
        "node",
        "--selector=accelerator=huawei-Ascend910",
        "--timeout=60s",
    )
