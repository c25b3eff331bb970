"""What the API server must admit and refuse: (name, change of the minimal object, words of the refusal or None)."""

from collections.abc import Callable
from typing import Any, NamedTuple

Raw = dict[str, Any]
REMOVE = object()


class Case(NamedTuple):
    """One object: the minimal one, mutated; `expected` is part of the server's message, or None if it is admitted."""

    name: str
    mutate: Callable[[Raw], Raw]
    expected: str | None


def put(path: str, value: Any) -> Callable[[Raw], Raw]:
    """The change that sets the field at a dotted path, or takes it away."""

    def mutate(raw: Raw) -> Raw:
        *parents, last = path.split(".")
        node = raw
        for parent in parents:
            node = node.setdefault(parent, {})
        if value is REMOVE:
            node.pop(last)
        else:
            node[last] = value
        return raw

    return mutate


def training(field: str, value: Any) -> Callable[[Raw], Raw]:
    return put(f"spec.training.{field}", value)


def label(**labels: Any) -> Callable[[Raw], Raw]:
    return put("spec.trainer.metadata", {"labels": labels})


def annotation(key: str) -> Callable[[Raw], Raw]:
    return put("spec.trainer.metadata", {"annotations": {key: "a"}})


FOR_POLICIES = {
    "app.kubernetes.io/part-of": "search",
    "cost-center": "nlp",
    "kueue.x-k8s.io/priority-class": "overnight",
    "sidecar.istio.io/inject": "false",
}
FOR_ADD_ONS = {
    "karpenter.sh/do-not-disrupt": "true",
    "linkerd.io/inject": "disabled",
    "example.com/why": "text, as\nlong",
}
CLAIM = {"claimName": "c"}
HOST_PATH = {"path": "/srv"}
BOTH = {"claim": CLAIM, "hostPath": HOST_PATH}
ONE_SOURCE = "source: Invalid value: set exactly one of claim, hostPath, uri"
ONE_OUTPUT = "spec.output: Invalid value: set exactly one of claim, hostPath"
SHA256 = "0123456789abcdef" * 4
CA = {"name": "corporate-ca"}


def uri(url: str, **more: Any) -> Callable[[Raw], Raw]:
    """The change that downloads the data from a URL."""
    return put("spec.data.source", {"uri": {"url": url, "sha256": SHA256} | more})


CASES = [
    Case("minimal", lambda raw: raw, None),
    Case("no spec", put("spec", REMOVE), "spec: Required value"),
    Case("longest name", put("metadata.name", "n" * 63), None),
    Case("name too long", put("metadata.name", "n" * 64), "metadata.name: at most 63 characters"),
    Case("no task", put("spec.task", REMOVE), "spec.task: Required value"),
    Case("unknown task", put("spec.task", "SQuAD"), 'spec.task: Unsupported value: "SQuAD": supported values: '),
    Case("another task", put("spec.task", "STS-B"), None),
    Case("no model", put("spec.model", REMOVE), "spec.model: Required value"),
    Case("model by name", put("spec.model.name", "bert-large-uncased"), None),
    Case("unknown model", put("spec.model.name", "gpt"), "spec.model.name: Unsupported value"),
    Case("no model source", put("spec.model.source", REMOVE), "spec.model.source: Required value"),
    Case("empty model source", put("spec.model.source", {}), f"spec.model.{ONE_SOURCE}"),
    Case("two model sources", put("spec.model.source", BOTH), f"spec.model.{ONE_SOURCE}"),
    Case("two data sources", put("spec.data.source", BOTH), f"spec.data.{ONE_SOURCE}"),
    Case("data on the host", put("spec.data.source", {"hostPath": HOST_PATH}), None),
    Case("data by https", uri("https://data.example.org/MRPC.tar.gz"), None),
    Case("data by http", uri("http://data.example.org:8080/MRPC.zip?version=2"), None),
    Case("data from S3", uri("s3://glue/MRPC.tar", secretName="s3", endpointUrl="http://minio:9000"), None),
    Case("data from S3, anonymously", uri("s3://glue/MRPC.tar"), None),
    Case("data by ftp", uri("ftp://data.example.org/MRPC.zip"), "spec.data.source.uri.url"),
    Case("data from a file", uri("file:///etc/passwd"), "spec.data.source.uri.url"),
    Case("credentials in a URL", uri("https://me:secret@example.org/MRPC.zip"), "spec.data.source.uri.url"),
    Case("checksum too short", uri("https://e.org/a.zip", sha256="abc"), "spec.data.source.uri.sha256"),
    Case("checksum in capitals", uri("https://e.org/a.zip", sha256="A" * 64), "spec.data.source.uri.sha256"),
    Case(
        "no checksum",
        put("spec.data.source", {"uri": {"url": "https://e.org/a.zip"}}),
        "spec.data.source.uri.sha256: Required value",
    ),
    Case("secret for https", uri("https://e.org/a.zip", secretName="s3"), "secretName and endpointUrl belong to s3://"),
    Case("endpoint for https", uri("https://e.org/a", endpointUrl="http://m"), "secretName and endpointUrl belong to"),
    Case("a private authority by https", uri("https://e.org/a.zip", caBundle=CA), None),
    Case(
        "a private authority of S3",
        uri("s3://b/k", endpointUrl="https://minio", caBundle=CA | {"kind": "Secret", "key": "bundle.pem"}),
        None,
    ),
    Case("a private authority of Amazon", uri("s3://b/k", caBundle=CA), None),
    Case("authority for http", uri("http://e.org/a.zip", caBundle=CA), "caBundle is for https://: remove it or"),
    Case(
        "authority for an endpoint by http",
        uri("s3://b/k", endpointUrl="http://minio:9000", caBundle=CA),
        "caBundle is for https://: remove it or give a url, or the endpointUrl of an s3:// url, with https://",
    ),
    Case("authority without a name", uri("https://e.org/a", caBundle={}), "caBundle.name: Required value"),
    Case("authority of a kind", uri("https://e.org/a", caBundle=CA | {"kind": "File"}), '"ConfigMap", "Secret"'),
    Case("authority in a folder", uri("https://e.org/a", caBundle=CA | {"key": "../ca"}), "uri.caBundle.key"),
    Case("authority under no file's name", uri("https://e.org/a", caBundle=CA | {"key": ".."}), "uri.caBundle.key"),
    Case("authority in a hidden file", uri("https://e.org/a", caBundle=CA | {"key": ".ca.crt"}), None),
    Case("endpoint without scheme", uri("s3://b/k", endpointUrl="minio:9000"), "spec.data.source.uri.endpointUrl"),
    Case(
        "claim and download",
        put("spec.data.source", {"claim": CLAIM, "uri": {"url": "s3://b/k", "sha256": SHA256}}),
        f"spec.data.{ONE_SOURCE}",
    ),
    Case("output to a URL", put("spec.output", {"uri": {"url": "s3://b/k", "sha256": SHA256}}), "unknown field"),
    Case("no data", put("spec.data", REMOVE), "spec.data: Required value"),
    Case("no output", put("spec.output", REMOVE), "spec.output: Required value"),
    Case("empty output", put("spec.output", {}), ONE_OUTPUT),
    Case("two outputs", put("spec.output", BOTH), ONE_OUTPUT),
    Case("keep no checkpoint", put("spec.output.keepCheckpointMax", 0), "spec.output.keepCheckpointMax"),
    Case("resumed", put("spec.output.resumeFrom", "research-mrpc-1a2b3c4d-trial-1"), None),
    Case("resumed from a folder in a folder", put("spec.output.resumeFrom", "2026/bert_base.1"), None),
    Case("resumed from an absolute path", put("spec.output.resumeFrom", "/output/a"), "spec.output.resumeFrom"),
    Case("resumed from above", put("spec.output.resumeFrom", "a/../../b"), "must not contain '..'"),
    Case("resumed from nothing", put("spec.output.resumeFrom", ""), "spec.output.resumeFrom"),
    Case("resumed from a long name", put("spec.output.resumeFrom", "a" * 513), "spec.output.resumeFrom: Too long"),
    Case("claim without name", put("spec.data.source.claim", {}), "spec.data.source.claim.claimName: Required value"),
    Case("claim name in capitals", put("spec.data.source.claim.claimName", "Data"), "spec.data.source.claim.claimName"),
    Case("folder in a claim", put("spec.data.source.claim.subPath", "glue/MRPC..old"), None),
    Case("absolute subPath", put("spec.data.source.claim.subPath", "/glue"), "spec.data.source.claim.subPath"),
    Case("climbing subPath", put("spec.data.source.claim.subPath", "a/../../b"), "must not contain '..'"),
    Case("relative hostPath", put("spec.output", {"hostPath": {"path": "srv"}}), "spec.output.hostPath.path"),
    Case("climbing hostPath", put("spec.output", {"hostPath": {"path": "/srv/../etc"}}), "must not contain '..'"),
    Case("largest batch", training("trainBatchSize", 1024), None),
    Case("batch too large", training("trainBatchSize", 1025), "should be less than or equal to 1024"),
    Case("empty batch", training("trainBatchSize", 0), "should be greater than or equal to 1"),
    Case("batch in words", training("trainBatchSize", "32"), 'spec.training.trainBatchSize: Invalid value: "string"'),
    Case("no learning", training("learningRate", 0), "spec.training.learningRate in body should be greater than 0"),
    Case("backward learning", training("learningRate", -1e-5), "should be greater than 0"),
    Case("largest learning rate", training("learningRate", 1), None),
    Case("learning rate in percent", training("learningRate", 2), "should be less than or equal to 1"),
    Case("part of an epoch", training("numTrainEpochs", 0.01), None),
    Case("no epoch", training("numTrainEpochs", 0), "should be greater than 0"),
    Case("too many epochs", training("numTrainEpochs", 101), "should be less than or equal to 100"),
    Case("sequence too short", training("maxSeqLength", 7), "should be greater than or equal to 8"),
    Case("sequence longer than BERT's", training("maxSeqLength", 513), "should be less than or equal to 512"),
    Case("no warm-up", training("warmupProportion", 0), None),
    Case("nothing but warm-up", training("warmupProportion", 1), "should be less than 1"),
    Case("negative seed", training("seed", -1), "should be greater than or equal to 0"),
    Case("unknown precision", training("precisionMode", "fp8"), "spec.training.precisionMode: Unsupported value"),
    Case("unknown optimizer", training("optimizer", "LAMB"), "spec.training.optimizer: Unsupported value"),
    Case("bias correction", training("optimizer", "AdamW"), None),
    Case("empty evaluation batch", training("evalBatchSize", 0), "should be greater than or equal to 1"),
    Case("checkpoint every 0 steps", training("saveCheckpointsSteps", 0), "should be greater than or equal to 1"),
    Case("lots of a batch", training("gradientAccumulationSteps", 8), None),
    Case(
        "lots that are not equal",
        training("gradientAccumulationSteps", 5),
        "gradientAccumulationSteps must divide trainBatchSize: choose one of its divisors",
    ),
    Case(
        "more lots than pairs",
        training("gradientAccumulationSteps", 64),
        "gradientAccumulationSteps must divide trainBatchSize",
    ),
    Case("no lots", training("gradientAccumulationSteps", 0), "should be greater than or equal to 1"),
    Case("cased weights", put("spec.model.doLowerCase", False), None),
    Case("case in words", put("spec.model.doLowerCase", "false"), "spec.model.doLowerCase: Invalid value"),
    Case("misspelt field", training("learningrate", 1e-5), 'unknown field "spec.training.learningrate"'),
    Case("CPU", put("spec.accelerator.type", "CPU"), None),
    Case("unknown accelerator", put("spec.accelerator.type", "H100"), 'supported values: "Ascend910", "CPU"'),
    Case("share of a card", put("spec.accelerator.virtualDevice", "4c"), None),
    Case(
        "share of no size", put("spec.accelerator.virtualDevice", "3c"), "spec.accelerator.virtualDevice: Unsupported"
    ),
    Case(
        "share of a CPU",
        put("spec.accelerator", {"type": "CPU", "virtualDevice": "2c"}),
        "virtualDevice is a share of a card: remove it or set type: Ascend910",
    ),
    Case("two cards", put("spec.accelerator.devicesPerWorker", 2), None),
    Case("eight cards", put("spec.accelerator", {"type": "Ascend910", "devicesPerWorker": 8}), None),
    Case("three cards", put("spec.accelerator.devicesPerWorker", 3), 'supported values: "1", "2", "4", "8"'),
    Case("no card", put("spec.accelerator.devicesPerWorker", 0), 'supported values: "1", "2", "4", "8"'),
    Case("cards in words", put("spec.accelerator.devicesPerWorker", "2"), "spec.accelerator.devicesPerWorker: Invalid"),
    Case("one card of a CPU", put("spec.accelerator", {"type": "CPU", "devicesPerWorker": 1}), None),
    Case(
        "several CPUs",
        put("spec.accelerator", {"type": "CPU", "devicesPerWorker": 2}),
        "devicesPerWorker counts cards: remove it or set type: Ascend910",
    ),
    Case("one share of a card", put("spec.accelerator", {"virtualDevice": "4c", "devicesPerWorker": 1}), None),
    Case(
        "several shares of a card",
        put("spec.accelerator", {"virtualDevice": "4c", "devicesPerWorker": 2}),
        "several cards are whole ones: remove virtualDevice or devicesPerWorker",
    ),
    Case("target", put("spec.quality", {"minAccuracy": 0.84}), None),
    Case("target in percent", put("spec.quality", {"minAccuracy": 84}), "should be less than or equal to 1"),
    Case("no target", put("spec.quality", {"minAccuracy": 0}), "should be greater than 0"),
    Case("collapse ignored", put("spec.quality.onCollapse", "Ignore"), '"Retry", "Fail", "Accept"'),
    Case("no trial after a collapse", put("spec.quality.maxRetries", 0), None),
    Case("trials without end", put("spec.quality.maxRetries", 11), "should be less than or equal to 10"),
    Case(
        "accuracy of a regression",
        lambda raw: put("spec.quality.minAccuracy", 0.8)(put("spec.task", "STS-B")(raw)),
        "STS-B has no accuracy: remove quality.minAccuracy",
    ),
    Case("suspended", put("spec.suspend", True), None),
    Case("suspended in words", put("spec.suspend", "yes"), 'spec.suspend: Invalid value: "string"'),
    Case("deadline for the training", put("spec.activeDeadlineSeconds", 3600), None),
    Case("no time to train", put("spec.activeDeadlineSeconds", 0), "should be greater than or equal to 1"),
    Case("deadline for the start", put("spec.pendingDeadlineSeconds", 600), None),
    Case("no time to start", put("spec.pendingDeadlineSeconds", 0), "should be greater than or equal to 1"),
    Case("deadline for a step", put("spec.stalledDeadlineSeconds", 600), None),
    Case("no time for a step", put("spec.stalledDeadlineSeconds", 59), "should be greater than or equal to 60"),
    Case("cleaned up at once", put("spec.ttlSecondsAfterFinished", 0), None),
    Case("cleaned up before the end", put("spec.ttlSecondsAfterFinished", -1), "should be greater than or equal to 0"),
    Case("deadline in words", put("spec.activeDeadlineSeconds", "1h"), "spec.activeDeadlineSeconds: Invalid value"),
    Case("queue", put("spec.scheduling", {"queue": "team-a"}), None),
    Case("queue in capitals", put("spec.scheduling", {"queue": "Team A"}), "spec.scheduling.queue"),
    Case("attempts without end", put("spec.backoffLimit", 101), "should be less than or equal to 100"),
    Case("no second attempt", put("spec.backoffLimit", 0), None),
    Case("out of memory, half as much", put("spec.onOOM", "Accumulate"), None),
    Case("out of memory, ignored", put("spec.onOOM", "Ignore"), '"Retry", "Fail", "Accumulate"'),
    Case("negative attempts", put("spec.backoffLimit", -1), "should be greater than or equal to 0"),
    Case("scheduler", put("spec.scheduling", {"schedulerName": "volcano", "nodeSelector": {"a": "b"}}), None),
    Case("toleration of everything", put("spec.scheduling.tolerations", [{"operator": "Exists"}]), None),
    Case("toleration without key", put("spec.scheduling.tolerations", [{"value": "x"}]), "without a key"),
    Case(
        "toleration with useless value",
        put("spec.scheduling.tolerations", [{"key": "k", "operator": "Exists", "value": "x"}]),
        "operator Exists takes no value",
    ),
    Case(
        "toleration with useless seconds",
        put("spec.scheduling.tolerations", [{"key": "k", "tolerationSeconds": 5}]),
        "tolerationSeconds works with effect NoExecute only",
    ),
    Case("image with a space", put("spec.trainer.image", "a b"), "spec.trainer.image"),
    Case("pull policy", put("spec.trainer.imagePullPolicy", "Sometimes"), "spec.trainer.imagePullPolicy"),
    Case(
        "resources",
        put("spec.trainer.resources", {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"cpu": "2500m"}}),
        None,
    ),
    Case("odd quantity", put("spec.trainer.resources.limits", {"cpu": "two"}), "spec.trainer.resources.limits.cpu"),
    Case(
        "request above limit",
        put("spec.trainer.resources", {"requests": {"memory": "8Gi"}, "limits": {"memory": "4096Mi"}}),
        "a request is greater than its limit",
    ),
    Case(
        "cards by hand",
        put("spec.trainer.resources.limits", {"huawei.com/Ascend910": 8}),
        "cards are set by spec.accelerator.type: remove what begins with huawei.com/",
    ),
    Case(
        "share of a card by hand",
        put("spec.trainer.resources.requests", {"huawei.com/Ascend910-5c.1cpu.8g": 1}),
        "cards are set by spec.accelerator.type: remove what begins with huawei.com/",
    ),
    Case("resource of another vendor", put("spec.trainer.resources.limits", {"example.com/huawei.com": 1}), None),
    Case("environment", put("spec.trainer.env", [{"name": "OMP_NUM_THREADS", "value": "2"}]), None),
    Case(
        "environment of the card", put("spec.trainer.env", [{"name": "DEVICE_ID", "value": "3"}]), "set by the operator"
    ),
    Case(
        "variable twice",
        put("spec.trainer.env", [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        "spec.trainer.env[1]: Duplicate value",
    ),
    Case("runtime class", put("spec.scheduling", {"runtimeClassName": "ascend"}), None),
    Case(
        "runtime class in capitals", put("spec.scheduling", {"runtimeClassName": "A"}), "spec.scheduling.runtimeClass"
    ),
    Case(
        "what policies and add-ons ask for",
        put("spec.trainer.metadata", {"labels": FOR_POLICIES, "annotations": FOR_ADD_ONS}),
        None,
    ),
    Case(
        "as many labels as there may be", label(**{f"example.com/{i}{'k' * 60}": "v" * 63 for i in range(10, 42)}), None
    ),
    Case("too many labels", label(**{f"label-{i}": "" for i in range(33)}), "must have at most 32 items"),
    Case("a label's value too long", label(team="t" * 64), "labels.team: Too long"),
    Case("a label's value with a space", label(team="a b"), "labels.team in body should match"),
    Case("a label's value that is a number", label(team=1), 'labels.team: Invalid value: "integer"'),
    Case("a label's key with a space", label(**{"my team": "a"}), "a key is [domain/]name"),
    Case("a label's key too long", label(**{"k" * 64: "a"}), "a key is [domain/]name"),
    Case(
        "the queue of Kueue",
        label(**{"kueue.x-k8s.io/queue-name": "a"}),
        "use that and remove kueue.x-k8s.io/queue-name",
    ),
    Case(
        "the queue of Volcano", annotation("scheduling.volcano.sh/queue-name"), "set by spec.scheduling.queue: use that"
    ),
    Case(
        "the operator's label",
        label(**{"bertfinetune.dev/uid": "a"}),
        "what begins with bertfinetune.dev/ or batch.kub",
    ),
    Case(
        "the operator's name", label(**{"app.kubernetes.io/managed-by": "a"}), "remove app.kubernetes.io/name, app.kube"
    ),
    Case(
        "the Job controller's label",
        label(**{"batch.kubernetes.io/job-name": "a"}),
        "set by the operator, by Kubern",
    ),
    Case("the Job controller's old label", label(**{"controller-uid": "a"}), "set by the operator, by Kubernetes"),
    Case(
        "Volcano's group", annotation("scheduling.k8s.io/group-name"), "set by the operator, by Kubernetes and by sched"
    ),
    Case("the cards of another", annotation("huawei.com/Ascend910"), "or huawei.com/"),
    Case("before all others at the device plugin", annotation("predicate-time"), "predicate-time and what begins with"),
    Case("an annotation with an odd key", annotation("a/b/c"), "a key is [domain/]name"),
    Case("variable with a space", put("spec.trainer.env", [{"name": "A B"}]), "spec.trainer.env[0].name"),
]

IMMUTABLE = [
    ("spec.model.name", "bert-base-uncased", "model"),
    ("spec.data.source.claim.claimName", "other", "data"),
    ("spec.training.learningRate", 0.01, "training"),
    ("spec.accelerator.type", "CPU", "accelerator"),
    ("spec.accelerator.devicesPerWorker", 2, "accelerator"),
    ("spec.output.keepCheckpointMax", 9, "output"),
    ("spec.output.resumeFrom", "another", "output"),
    ("spec.scheduling", {"schedulerName": "volcano"}, "scheduling"),
    ("spec.trainer", {"image": "x"}, "trainer"),
]
"""(field, value, name in the refusal): what cannot change once the object exists."""

MUTABLE = {
    "backoffLimit": 9,
    "onOOM": "Accumulate",
    "suspend": True,
    "activeDeadlineSeconds": 60,
    "pendingDeadlineSeconds": 60,
    "stalledDeadlineSeconds": 60,
    "ttlSecondsAfterFinished": 60,
    "quality": {"minAccuracy": 0.9},
}
"""What can: only the operator reads it."""
