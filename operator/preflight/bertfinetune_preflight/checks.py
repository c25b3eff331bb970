"""One question about a cluster a function. Pure: from what was seen to a row of the table."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from bertfinetune_preflight.seen import Object, Seen, command_line, fields, labels, name_of, watched

Verdict = Literal["ok", "FAIL", "warn", "look"]
"""`FAIL`: no run goes without it. `warn`: something else does not. `look`: the API server cannot tell."""

OLDEST, NEWEST_OF_MINDCLUSTER = 31, 34
"""Minor versions of Kubernetes: the oldest that the chart takes, the newest that MindCluster 26.1.0 names."""
CRD = "bertfinetunes.bertfinetune.dev"
PROMETHEUS = tuple(f"{kind}.monitoring.coreos.com" for kind in ("podmonitors", "prometheusrules", "servicemonitors"))
CLAIMS = ("bert-weights", "mrpc-data", "bert-output")
"""Those of the first run, crds/samples/bertfinetune.yaml."""
MODELS = {"module", "half", "card"}
"""MindCluster's node label accelerator-type of servers with cards that CANN 20.2 knows."""
UPGRADE = "helm upgrade ... --reset-then-reuse-values"
PAGE = "operator/docs/ascend-cluster.md"


class Row(NamedTuple):
    """What was asked, what was seen, what is needed, and what to do about it."""

    check: str
    verdict: Verdict
    seen: str
    needed: str
    remedy: str = ""


def kubernetes(seen: Seen) -> Row:
    check, needed = "Kubernetes", f"1.{OLDEST} or later"
    found = re.match(r"v1\.(\d+)", seen.version)
    minor = int(found[1]) if found else 0
    if minor < OLDEST:
        return Row(check, "FAIL", seen.version, needed, "upgrade the cluster")
    if minor > NEWEST_OF_MINDCLUSTER and _plugins(seen):
        remedy = f"MindCluster 26.1.0 is for 1.17 to 1.{NEWEST_OF_MINDCLUSTER}: see the release notes of a newer one"
        return Row(check, "warn", seen.version, needed, remedy)
    return Row(check, "ok", seen.version, needed)


def cards(seen: Seen) -> Row:
    """Cards that a pod can get: the device plugin takes a faulty one out of a node's allocatable resources."""
    check, resource = "cards", seen.setting("ASCEND_RESOURCE")
    needed = f"{resource} on a node that is Ready"
    nodes = seen.nodes_with_cards
    if not nodes:
        remedy = f"install the device plugin, and label the nodes: {PAGE}; ascend.resource for cards of another name"
        return Row(check, "FAIL", "on no node", needed, remedy)
    usable = [node for node in nodes if _is_usable(node)]
    if not usable:
        told = f"on {_names(nodes)}, cordoned or not Ready"
        return Row(check, "FAIL", told, needed, "kubectl describe and uncordon the node")
    total = sum((Counter(seen.cards(node)) for node in usable), Counter[str]())
    told = f"{', '.join(f'{count} {name}' for name, count in total.items())} on {_names(usable)}"
    if ill := [node for node in usable if seen.cards(node) != seen.cards(node, "capacity")]:
        remedy = f"some of {_names(ill)} were taken out: kubectl -n kube-system get configmap mindx-dl-deviceinfo-NODE"
        return Row(check, "warn", told, needed, remedy)
    return Row(check, "ok", told, needed)


def model(seen: Seen) -> Row:
    """Whether CANN 20.2, the only one that the trainer's base image brings, knows the cards."""
    check, needed = "model of cards", "Ascend 910 of Atlas 800 (9000, 9010) or 300T; no Atlas A2 or A3"
    found = {labels(node)["accelerator-type"] for node in seen.nodes_with_cards if "accelerator-type" in labels(node)}
    told = f"accelerator-type {', '.join(sorted(found))}" if found else "no label accelerator-type"
    if not found:
        return Row(check, "look", told, needed, "on a node: npu-smi info -t board -i 0; 910B1 to 910B4 is Atlas A2")
    if not found & MODELS:
        return Row(check, "FAIL", told, needed, "none: CANN 20.2 is older than these cards")
    if found - MODELS:
        return Row(check, "warn", told, needed, "keep runs off the other nodes: trainer.nodeSelector.ascend910")
    return Row(check, "ok", told, needed)


def driver(seen: Seen) -> Row:
    check, needed, label = "driver", "20.2.x, that of CANN 20.2", "huawei.com/driver.version"
    found = sorted({labels(node)[label] for node in seen.nodes_with_cards if label in labels(node)})
    if found and all(version.startswith("20.2") for version in found):
        return Row(check, "ok", ", ".join(found), needed)
    remedy = f"on a node: npu-smi info -t board -i 0. Whether a later one will do, one run on one host tells: {PAGE}"
    return Row(check, "look", ", ".join(found) or f"no label {label}", needed, remedy)


def device_plugin(seen: Seen) -> Row:
    check, needed = "device plugin", "DaemonSet ascend-device-plugin..., ready on each node with cards"
    plugins = _plugins(seen)
    if not plugins:
        return Row(check, "warn", "none of this name", needed, "fine where another plugin offers the cards")
    told = ", ".join(f"{_state(p)}{', in Volcano mode' if in_volcano_mode(p) else ''}" for p in plugins)
    remedy = _what_makes_ready(plugins)
    return Row(check, "warn" if remedy else "ok", told, needed, remedy)


def in_volcano_mode(plugin: Object) -> bool:
    """Whether it gives cards only to pods that Volcano, with Ascend's plugin, has placed."""
    return any(word.lstrip("-") in ("volcanoType", "volcanoType=true") for word in command_line(plugin))


def scheduler(seen: Seen) -> Row:
    check, ours = "scheduler", seen.setting("DEFAULT_SCHEDULER_NAME")
    is_bound = any(map(in_volcano_mode, _plugins(seen)))
    told = f"scheduling.defaultSchedulerName {ours or 'is empty'}"
    needed = "volcano, for a device plugin in Volcano mode" if is_bound else "any that is there"
    if is_bound and ours != "volcano":
        remedy = f"{UPGRADE} --set scheduling.defaultSchedulerName=volcano, or a plugin with -volcanoType=false"
        return Row(check, "FAIL", told, needed, remedy)
    if ours == "volcano" and not any(map(_is_available, seen.named("Deployment", "volcano-scheduler"))):
        return Row(check, "FAIL", f"{told}, no volcano-scheduler", needed, "install MindCluster's Volcano, or mend it")
    return Row(check, "ok", told, needed)


def placement(seen: Seen) -> Row:
    """Whether a run that says nothing of nodes gets onto those with cards."""
    check, needed = "placement", "nodes with cards that trainer.nodeSelector and trainer.tolerations lead to"
    wanted: dict[str, str] = json.loads(seen.setting("TRAINER_NODE_SELECTOR_ASCEND910") or "{}")
    nodes = [node for node in seen.nodes_with_cards if wanted.items() <= labels(node).items()]
    if not seen.nodes_with_cards:
        return Row(check, "look", "no node with cards", needed, "as for the cards")
    if not nodes:
        told = f"no {', '.join('='.join(label) for label in wanted.items())} on {_names(seen.nodes_with_cards)}"
        return Row(check, "FAIL", told, needed, "kubectl label node, or change trainer.nodeSelector.ascend910")
    tolerations: list[Object] = json.loads(seen.setting("TRAINER_TOLERATIONS_ASCEND910") or "[]")
    closed = [(node, taint) for node in nodes if (taint := _keeps_off(node, tolerations))]
    if not closed:
        return Row(check, "ok", _names(nodes), needed)
    told = f"taint {closed[0][1]} on {_names([node for node, _ in closed])}"
    remedy = f"{UPGRADE}, with trainer.tolerations.ascend910; in claims.yaml, too"
    return Row(check, "FAIL" if len(closed) == len(nodes) else "warn", told, needed, remedy)


def driver_in_pods(seen: Seen) -> Row:
    check, needed = "driver in pods", "ascend-docker-runtime, or ascend.driver=hostPath"
    name = seen.setting("ASCEND_RUNTIME_CLASS_NAME")
    if seen.setting("ASCEND_DRIVER") == "hostPath":
        return Row(check, "ok", "ascend.driver hostPath", needed)
    if not name:
        remedy = "on a node: grep ascend /etc/containerd/config.toml /etc/docker/daemon.json"
        return Row(check, "look", "the nodes' default runtime", needed, remedy)
    if name not in map(name_of, seen.runtime_classes):
        return Row(check, "FAIL", f"no RuntimeClass {name}", needed, "create it, or change ascend.runtimeClassName")
    return Row(check, "ok", f"RuntimeClass {name}", needed)


def device_files(seen: Seen) -> Row:
    told, remedy = f"ascend.deviceGroups {seen.setting('ASCEND_DEVICE_GROUPS')}", "on a node: stat -c %g /dev/davinci0"
    return Row("device files", "look", told, "the group that may open /dev/davinci0", remedy)


def crd(seen: Seen) -> Row:
    """Whether the API server knows each field that this checkout's does."""
    check, needed = "CRD", "every field of this version"
    (ours,) = seen.own_crd["spec"]["versions"]
    served = [v for c in seen.crds if name_of(c) == CRD for v in c["spec"]["versions"] if v["name"] == ours["name"]]
    if not served:
        return Row(check, "FAIL", f"no {CRD}", needed, "helm install, with crds.install=true")
    wanted, there = ({*fields(version["schema"]["openAPIV3Schema"])} for version in (ours, served[0]))
    if missing := sorted(wanted - there):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return Row(check, "FAIL", f"it lacks {missing[0]}{more}", needed, f"{UPGRADE}, with crds.install=true")
    return Row(check, "ok", f"{len(there)} fields", needed)


def operator(seen: Seen) -> Row:
    check, needed, found = "operator", "a replica that is available", seen.operator
    if not found:
        return Row(check, "FAIL", "not installed", needed, "helm install: operator/README.md")
    told = f"{_state(found)}, version {labels(found).get('app.kubernetes.io/version', 'unknown')}"
    if _is_available(found):
        return Row(check, "ok", told, needed)
    remedy = f"kubectl -n {found['metadata']['namespace']} logs deployment/{name_of(found)}"
    return Row(check, "FAIL", told, needed, remedy)


def image(seen: Seen) -> Row:
    """Only a pod shows whether the image can be pulled, and nothing is started here."""
    told = seen.setting("TRAINER_IMAGE_ASCEND910") or "not set yet"
    remedy = "the first run shows it: ErrImagePull, or exec format error on nodes of another architecture"
    return Row("trainer's image", "look", told, "pullable in each namespace with runs", remedy)


def namespace(seen: Seen) -> Row:
    check, needed = "namespace", "there, and served by the operator"
    if not seen.namespace:
        return Row(check, "look", "none was named", needed, "name the one for runs: NAMESPACE=...")
    if not seen.namespaces:
        return Row(check, "FAIL", f"no {seen.namespace}", needed, f"kubectl create namespace {seen.namespace}")
    served = watched(seen.operator) if seen.operator else []
    if served and seen.namespace not in served:
        remedy = f"{UPGRADE}, with {seen.namespace} in watchNamespaces"
        return Row(check, "FAIL", f"the operator serves {', '.join(served)} only", needed, remedy)
    return Row(check, "ok", seen.namespace, needed)


def pod_security(seen: Seen) -> Row:
    """Whether pods may mount the parts of their node that the chart's values ask for."""
    check, needed = "Pod Security", "any"
    mounts_driver = seen.setting("ASCEND_DRIVER") == "hostPath"
    if mounts_driver:
        needed = "privileged, for ascend.driver=hostPath"
    elif seen.setting("ASCEND_CARD_ADDRESSES") == "true":
        needed = "privileged, for several cards"
    if not seen.namespaces:
        return Row(check, "look", "no namespace", needed, "as for the namespace")
    level = labels(seen.namespaces[0]).get("pod-security.kubernetes.io/enforce", "the cluster's default")
    if level not in ("baseline", "restricted") or needed == "any":
        return Row(check, "ok", level, needed)
    remedy = f"kubectl label --overwrite namespace {seen.namespace} pod-security.kubernetes.io/enforce=privileged"
    if mounts_driver:
        return Row(check, "FAIL", level, needed, remedy)
    return Row(check, "warn", level, needed, f"{remedy}, or ascend.cardAddresses=false; one card needs neither")


def storage(seen: Seen) -> Row:
    check, needed = "claims", "bound; ReadWriteMany for runs on several nodes"
    if not seen.namespaces:
        classes = ", ".join(f"{name_of(found)} ({found['provisioner']})" for found in seen.storage_classes)
        return Row(check, "look", f"StorageClasses: {classes or 'none'}", needed, "as for the namespace")
    found = {name_of(claim): claim for claim in seen.claims if name_of(claim) in CLAIMS}
    if missing := [name for name in CLAIMS if name not in found]:
        remedy = f"charts/bertfinetune-operator/files/claims/claims.yaml makes them: {PAGE}"
        return Row(check, "FAIL", f"no {', '.join(missing)}", needed, remedy)
    late = {name_of(kind) for kind in seen.storage_classes if kind.get("volumeBindingMode") == "WaitForFirstConsumer"}
    if unbound := [name for name, claim in found.items() if not _is_bound(claim, late)]:
        remedy = f"kubectl -n {seen.namespace} describe persistentvolumeclaim {unbound[0]}"
        return Row(check, "FAIL", f"not bound: {', '.join(unbound)}", needed, remedy)
    if single := [name for name, claim in found.items() if "ReadWriteMany" not in claim["spec"]["accessModes"]]:
        told = f"not ReadWriteMany: {', '.join(single)}"
        return Row(check, "warn", told, needed, "fine while all runs are on one node")
    return Row(check, "ok", ", ".join(found), needed)


def exporter(seen: Seen) -> Row:
    check, needed = "npu-exporter", "for dashboards and alerts about cards"
    found = seen.named("DaemonSet", "npu-exporter")
    if not found:
        remedy = "install MindCluster's, or set monitoring.rules.disabled.BertFinetuneCardsNotScraped=true"
        return Row(check, "warn", "no DaemonSet npu-exporter", needed, remedy)
    remedy = _what_makes_ready(found)
    return Row(check, "warn" if remedy else "ok", ", ".join(map(_state, found)), needed, remedy)


def prometheus(seen: Seen) -> Row:
    check, needed = "Prometheus", "for the chart's monitors and rules"
    if missing := [name for name in PROMETHEUS if name not in map(name_of, seen.crds)]:
        remedy = "without a Prometheus Operator: charts/bertfinetune-operator/files/prometheus/scrape-configs.yaml"
        return Row(check, "warn", f"no CRD {missing[0]}", needed, remedy)
    return Row(check, "ok", "the Prometheus Operator's CRDs", needed)


CHECKS: tuple[Callable[[Seen], Row], ...] = (
    *(kubernetes, cards, model, driver, device_plugin, scheduler, placement, driver_in_pods, device_files),
    *(crd, operator, image, namespace, pod_security, storage, exporter, prometheus),
)


def _plugins(seen: Seen) -> list[Object]:
    return seen.named("DaemonSet", "ascend-device-plugin")


def _names(things: Sequence[Object]) -> str:
    """Those of the first, and how many more there are: a cluster may have hundreds."""
    more = [f"{len(things) - 3} more"] if len(things) > 3 else []
    return ", ".join([*map(name_of, things[:3]), *more])


def _state(workload: Object) -> str:
    """Its name, and how many of its pods are ready."""
    status = workload["status"]
    ready = status.get("numberReady", status.get("readyReplicas", 0))
    wanted = status.get("desiredNumberScheduled", workload["spec"].get("replicas", 0))
    return f"{name_of(workload)} {ready}/{wanted}"


def _what_makes_ready(daemons: Sequence[Object]) -> str:
    """What to do where a pod is not ready or none is wanted anywhere; one of several may be for other cards."""
    counts = [(found["status"]["numberReady"], found["status"]["desiredNumberScheduled"]) for found in daemons]
    if not any(wanted for _, wanted in counts):
        return "it is on no node: kubectl label node NODE workerselector=dls-worker-node, which MindCluster's asks for"
    ill = [found["metadata"] for found, (ready, wanted) in zip(daemons, counts, strict=True) if ready != wanted]
    return f"kubectl -n {ill[0]['namespace']} describe daemonset {ill[0]['name']}, and its pods' logs" if ill else ""


def _is_available(deployment: Object) -> bool:
    return bool(deployment["status"].get("availableReplicas"))


def _is_usable(node: Object) -> bool:
    conditions = {condition["type"]: condition["status"] for condition in node["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and not node["spec"].get("unschedulable")


def _keeps_off(node: Object, tolerations: Sequence[Object]) -> str:
    """The first taint that no toleration fits, but for those by which Kubernetes tells of a node's condition."""
    for taint in node["spec"].get("taints", ()):
        binds = taint["effect"] != "PreferNoSchedule" and not taint["key"].startswith("node.kubernetes.io/")
        if binds and not any(_tolerates(toleration, taint) for toleration in tolerations):
            return f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"
    return ""


def _tolerates(toleration: Object, taint: Object) -> bool:
    value = taint.get("value", "") if toleration.get("operator") == "Exists" else toleration.get("value", "")
    return (
        toleration.get("key", "") in ("", taint["key"])
        and toleration.get("effect", "") in ("", taint["effect"])
        and value == taint.get("value", "")
    )


def _is_bound(claim: Object, late: set[str]) -> bool:
    """Whether its volume is there, or comes with the first pod."""
    phase = claim["status"].get("phase")
    return phase == "Bound" or (phase == "Pending" and claim["spec"].get("storageClassName") in late)
