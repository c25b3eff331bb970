"""The custom resource as its users write it: the source of the CRD, of `kubectl explain` and of the operator's types.

A field is here only with the code that honours it. Ranges and cross-field rules become OpenAPI bounds and CEL, so that
the API server refuses a bad object by itself.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from bertfinetune_operator import contract
from bertfinetune_operator.api.accelerator import VIRTUAL_DEVICES
from bertfinetune_operator.api.base import DnsName, Model, cel, rules
from bertfinetune_operator.api.pods import Scheduling, Trainer
from bertfinetune_operator.naming import MAX_NAME

SUB_PATH_RULE = "self.split('/').all(part, part != '..')"


MAX_SECONDS = 2**31 - 1
Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]


def exactly_one(*fields: str) -> ConfigDict:
    """The rule that a place is given in one way only."""
    rule = f"[{', '.join(f'has(self.{field})' for field in fields)}].filter(given, given).size() == 1"
    return ConfigDict(json_schema_extra=rules(cel(rule, f"set exactly one of {', '.join(fields)}")))


class Claim(Model):
    """A folder of a PersistentVolumeClaim in the object's own namespace."""

    claim_name: DnsName
    """Name of the PersistentVolumeClaim. Required."""
    sub_path: Annotated[
        str | None,
        Field(
            pattern=r"^[^/]",
            max_length=512,
            json_schema_extra=rules(cel(SUB_PATH_RULE, "must not contain '..': name a folder inside the claim")),
        ),
    ] = None
    """Folder inside the claim, relative to its root. Default: the root."""


class HostPath(Model):
    """A folder of the node itself; the namespace's pod security level must allow hostPath volumes."""

    path: Annotated[
        str,
        Field(
            pattern="^/",
            max_length=512,
            json_schema_extra=rules(cel(SUB_PATH_RULE, "must not contain '..': name the folder itself")),
        ),
    ]
    """Absolute path of an existing folder on the node. Required."""


class Volume(Model):
    """A folder: exactly one of claim, hostPath."""

    PLACES: ClassVar[tuple[str, ...]] = ("claim", "hostPath")

    model_config = exactly_one(*PLACES)

    claim: Claim | None = None
    """A PersistentVolumeClaim. Default: none."""
    host_path: HostPath | None = None
    """A folder of the node. Default: none."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = {field.alias for name, field in type(self).model_fields.items() if getattr(self, name) is not None}
        if len(given.intersection(self.PLACES)) != 1:
            raise ValueError(f"set exactly one of {', '.join(self.PLACES)}")
        return self


class CaBundle(Model):
    """Certificates in PEM form, in a ConfigMap or Secret of the object's own namespace."""

    kind: Literal["ConfigMap", "Secret"] = "ConfigMap"
    """What holds them. Default: ConfigMap."""
    name: DnsName
    """Name of the ConfigMap or Secret. Required."""
    key: Annotated[str, Field(pattern=r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$", max_length=253)] = "ca.crt"
    """Key whose value they are. Default: ca.crt."""


class Uri(Model):
    """One object that an init container downloads, verifies and unpacks: a tar or zip archive, or a single file."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.url.startsWith('s3://') || !has(self.secretName) && !has(self.endpointUrl)",
                "secretName and endpointUrl belong to s3:// URLs: remove them or give an s3:// URL",
            ),
            cel(
                "!has(self.caBundle) || self.url.startsWith('https://') ||"
                " self.url.startsWith('s3://') && (!has(self.endpointUrl) || self.endpointUrl.startsWith('https://'))",
                "caBundle is for https://: remove it or give a url, or the endpointUrl of an s3:// url, with https://",
            ),
        )
    )

    url: Annotated[str, Field(pattern=r"^(https?|s3)://[^\s@]+$", max_length=2048)]
    """Address: http://, https:// or s3://bucket/key, without credentials in it. Required."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Checksum of the object, 64 hexadecimal digits; anything else is refused. Required."""
    endpoint_url: Annotated[str | None, Field(pattern=r"^https?://[^\s@]+$", max_length=2048)] = None
    """Address of the S3 server. Default: Amazon's."""
    secret_name: DnsName | None = None
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for s3://. Default: none, anonymous."""
    ca_bundle: CaBundle | None = None
    """Certificate authorities to trust in this download, in place of the image's. Default: none."""


class Source(Volume):
    """Where a folder comes from: exactly one of claim, hostPath, uri."""

    PLACES = (*Volume.PLACES, "uri")

    model_config = exactly_one(*PLACES)

    uri: Uri | None = None
    """An object to download. Default: none."""


class PretrainedModel(Model):
    """The pre-trained BERT to start from."""

    name: Literal[contract.MODEL_NAMES] = "custom"  # type: ignore[valid-type]  # a tuple of literals, known at run time
    """Size the weights must have; the trainer refuses others. `custom` takes any bert_config.json. Default: custom."""
    do_lower_case: bool | None = None
    """Whether the text is lower-cased before it is tokenized, as uncased weights want it; the trainer refuses what
    contradicts the vocabulary. Default: what vocab.txt tells; that of cased weights has tokens with capital letters."""
    source: Source
    """Folder with vocab.txt, bert_config.json and bert_model.ckpt.*, mounted read-only at /model. Required."""


class Data(Model):
    """The examples to train and evaluate on."""

    source: Source
    """Folder with the files of the task as GLUE publishes them, mounted read-only at /data. Required."""


class Training(Model):
    """Hyper-parameters. The defaults are those of the reference run: BERT-Base on MRPC."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(  # the API server also holds the default {} to it, before it fills in the defaults inside
                "!has(self.trainBatchSize) || self.trainBatchSize % self.gradientAccumulationSteps == 0",
                "gradientAccumulationSteps must divide trainBatchSize: choose one of its divisors",
            )
        )
    )

    train_batch_size: Annotated[int, Field(ge=1, le=1024)] = 32
    """Sentence pairs in one training step on each card: with more cards a step has more of them, and there are fewer
    steps. Default: 32."""
    gradient_accumulation_steps: Annotated[int, Field(ge=1, le=1024)] = 1
    """Equal lots into which a training step divides trainBatchSize, which it must divide. With more lots a step takes
    less memory and more time, and computes the same update; steps, epochs and learning rate stay. Default: 1."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-5
    """Peak of the learning-rate schedule (linear warm-up, then linear decay to 0), per step. Default: 2e-5."""
    num_train_epochs: Annotated[float, Field(gt=0, le=100)] = 3.0
    """Passes over the training set; fractions are allowed. Default: 3.0."""
    max_seq_length: Annotated[int, Field(ge=8, le=512)] = 128
    """Longest sentence pair, in WordPiece tokens with [CLS] and [SEP]; longer pairs are truncated. Default: 128."""
    warmup_proportion: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps in which the learning rate rises to its peak, 0 up to but not including 1. Default: 0.1."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    """Seed of shuffling, dropout and the new output layer; the same seed gives the same numbers. Default: 1."""
    precision_mode: Literal[contract.PRECISION_MODES] = "allow_mix_precision"  # type: ignore[valid-type]
    """Precision mode of the NPU's graph compiler; a CPU always computes in float32. Default: allow_mix_precision."""
    loss_scale: Annotated[int, Field(ge=-1, le=2**24)] = -1
    """Factor on the loss, so that half precision loses no gradient: 0 to find it, -1 for none. Default: -1."""
    optimizer: Literal[contract.OPTIMIZERS] = "AdamWeightDecay"  # type: ignore[valid-type]
    """AdamWeightDecay as published with BERT, without bias correction, or AdamW with it. Default: AdamWeightDecay."""
    reinit_layers: Annotated[int, Field(ge=0, le=48)] = 0
    """Top layers that start from random weights, as does the pooler with them: steadier on small tasks. Default: 0."""
    eval_batch_size: Annotated[int, Field(ge=1, le=1024)] = 32
    """Sentence pairs in one evaluation step. Default: 32."""
    save_checkpoints_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Training steps between two checkpoints: what an interrupted run repeats at most. Default: 100."""


class Accelerator(Model):
    """What the training runs on."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.type == 'Ascend910' || !has(self.virtualDevice)",
                "virtualDevice is a share of a card: remove it or set type: Ascend910",
            ),
            cel(
                "self.type == 'Ascend910' || !has(self.devicesPerWorker) || self.devicesPerWorker == 1",
                "devicesPerWorker counts cards: remove it or set type: Ascend910",
            ),
            cel(
                "!has(self.virtualDevice) || self.devicesPerWorker == 1",
                "several cards are whole ones: remove virtualDevice or devicesPerWorker",
            ),
        )
    )

    type: Literal["Ascend910", "CPU"] = "Ascend910"
    """Ascend910: cards, resource huawei.com/Ascend910 or the operator's setting. CPU: none. Default: Ascend910."""
    devices_per_worker: Literal[contract.DEVICE_COUNTS] = 1  # type: ignore[valid-type]
    """Cards of one node that train together, in one pod with a process on each; every process takes memory and CPU of
    its own, of which spec.trainer.resources must have enough. Default: 1."""
    virtual_device: Literal[VIRTUAL_DEVICES] | None = None  # type: ignore[valid-type]
    """One vNPU in place of the card, by its AI cores, resource huawei.com/Ascend910-2c and so on, or the operator's
    setting. Default: none."""


class Quality(Model):
    """What the result must be worth."""

    min_accuracy: Annotated[float | None, Field(gt=0, le=1)] = None
    """Accuracy that condition AccuracyReached asks for, 0 to 1; a lower one is kept, too. Default: none."""
    on_collapse: Literal["Retry", "Fail", "Accept"] = "Retry"
    """What a run that learned nothing leads to: another trial with a new seed and a steadier recipe, or its end as
    Failed or as Succeeded. Default: Retry."""
    max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    """Further trials after a collapse; when they collapse, too, the run has failed. Default: 2."""


class Output(Volume):
    """Where checkpoints and the result are kept: exactly one of claim, hostPath. Each object gets a folder in it."""

    keep_checkpoint_max: Annotated[int, Field(ge=1, le=1000)] = 5
    """Checkpoints kept, the newest ones. Default: 5."""
    export_saved_model: bool = False
    """Whether to export the result for TensorFlow Serving, too, to saved_model in the output. Default: false."""
    resume_from: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][-A-Za-z0-9._/]*$",
            max_length=512,
            json_schema_extra=rules(cel(SUB_PATH_RULE, "must not contain '..': give an earlier run's outputFolder")),
        ),
    ] = None
    """Folder of an earlier run in the same output, as status.outputFolder names it: this run copies its newest whole
    checkpoint and goes on from there. Model, task, data and pairs in a step must be the same. Default: none."""


class BertFinetuneSpec(Model):
    """What to train, on what, and how."""

    MUTABLE: ClassVar[frozenset[str]] = frozenset(
        {
            *("quality", "suspend", "backoff_limit", "on_oom"),
            *("active_deadline_seconds", "pending_deadline_seconds", "stalled_deadline_seconds"),
            "ttl_seconds_after_finished",
        }
    )
    """Fields that only the operator reads. The others make the Job, whose pod template cannot change."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "self.task != 'STS-B' || !has(self.quality) || !has(self.quality.minAccuracy)",
                "STS-B has no accuracy: remove quality.minAccuracy",
            )
        )
    )

    task: Literal[contract.TASKS]  # type: ignore[valid-type]
    """GLUE task to fine-tune for. Required."""
    model: PretrainedModel
    """The pre-trained model. Required."""
    data: Data
    """The data set. Required."""
    training: Training = Training()
    """Hyper-parameters. Default: those of the reference run."""
    accelerator: Accelerator = Accelerator()
    """What the training runs on. Default: one Ascend 910 card."""
    output: Output
    """Where checkpoints and the result are kept. Required, so that a trained model is never lost."""
    quality: Quality = Quality()
    """What the result must be worth. Default: a collapsed run is tried again."""
    suspend: bool = False
    """Whether to stop the run, after a checkpoint, until this is false again; it then goes on. Default: false."""
    backoff_limit: Annotated[int, Field(ge=0, le=100)] = 3
    """Attempts after the first one; a failure that the same input would repeat is not tried again. Default: 3."""
    on_oom: Annotated[Literal["Retry", "Fail", "Accumulate"], Field(alias="onOOM")] = "Retry"
    """What follows when the trainer is killed for its memory: another attempt, the run's end, or another attempt with
    twice as many gradientAccumulationSteps while they divide trainBatchSize, and then the end. Default: Retry."""
    active_deadline_seconds: Seconds | None = None
    """Longest time of training in all attempts together, in seconds; time in a queue, waiting or suspended does not
    count. Default: none."""
    pending_deadline_seconds: Seconds | None = None
    """Longest time an attempt may hold cards or wait for them without starting, in seconds; time in Kueue's queue does
    not count. Default: none."""
    stalled_deadline_seconds: Annotated[int | None, Field(ge=60, le=MAX_SECONDS)] = None
    """Longest time without a training step or an evaluation batch, in seconds: more than the longest step, checkpoint
    or compilation of the evaluation takes. A run that stalls for longer is stopped and goes on from its checkpoint; the
    first three times do not count as retries. It rules from the first step on; until then pendingDeadlineSeconds does.
    Default: none."""
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=0, le=MAX_SECONDS)] = None
    """Seconds after the end until Jobs and pods are deleted; the object stays. Default: the operator's setting, else
    none, they are kept."""
    scheduling: Scheduling | None = None
    """How the pods are placed. Default: the operator's settings, else the cluster's ways."""
    trainer: Trainer | None = None
    """The trainer's container. Default: the operator's settings."""


class ObjectMeta(Model):
    """The parts of an object's metadata that the operator reads."""

    name: str
    namespace: str
    uid: str
    generation: int = 1


class BertFinetune(Model):
    """One fine-tuning run of BERT on a GLUE task."""

    NAME_RULE: ClassVar[dict[str, str]] = cel(
        f"size(self.metadata.name) <= {MAX_NAME}",
        f"metadata.name: at most {MAX_NAME} characters, choose a shorter name",
    )

    metadata: ObjectMeta
    spec: BertFinetuneSpec
