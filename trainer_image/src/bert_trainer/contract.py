"""The contract with the operator, a textual twin of bertfinetune_operator/contract.py below this line."""

# The custom resource.
GROUP = "bertfinetune.dev"
VERSION = "v1alpha1"
KIND = "BertFinetune"
PLURAL = "bertfinetunes"
SHORT_NAME = "bft"

# The trainer's container: its name, its port and the paths mounted into it.
CONTAINER_NAME = "trainer"
METRICS_PORT_NAME = "metrics"
METRICS_PORT = 8080
METRICS_PATH = "/metrics"
PROGRESS_PATH = "/progress"
DATA_PATH = "/data"
MODEL_PATH = "/model"
OUTPUT_PATH = "/output"
TERMINATION_LOG = "/dev/termination-log"
RESULT_FILE = "result.json"
MAX_RESULT_BYTES = 4096

# Flags, passed as --flag=value. The first seven are those of the reference's train_full_1p.sh.
FLAGS = (
    "task_name",
    "data_path",
    "model_path",
    "train_batch_size",
    "learning_rate",
    "num_train_epochs",
    "output_dir",
    "model_name",
    "do_lower_case",
    "max_seq_length",
    "eval_batch_size",
    "gradient_accumulation_steps",
    "warmup_proportion",
    "seed",
    "optimizer",
    "reinit_layers",
    "precision_mode",
    "loss_scale",
    "save_checkpoints_steps",
    "keep_checkpoint_max",
    "resume_from",
    "export_saved_model",
    "device",
    "devices",
    "run_id",
    "metrics_port",
    "termination_log",
)

# Flags that older images lack, each with the value that an image without the flag works with. They are passed only with
# another value, so that a team's older image goes on working.
LATER_FLAGS = {"devices": 1, "gradient_accumulation_steps": 1, "do_lower_case": "", "resume_from": ""}

# The init containers that download what a URI names: a container for the model, one for the data, named after its role.
FETCH_MODULE = "bert_trainer.fetch"
FETCH_ROLES = ("model", "data")
FETCH_CONTAINER_NAMES = ("fetch-model", "fetch-data")
FETCH_FLAGS = ("url", "sha256", "output_dir", "endpoint_url", "ca_bundle", "role", "termination_log")

# Values a flag of that name takes.
TASKS = ("MRPC", "CoLA", "SST-2", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI")
MODEL_NAMES = ("custom", "bert-base-uncased", "bert-large-uncased")
OPTIMIZERS = ("AdamWeightDecay", "AdamW")
PRECISION_MODES = ("allow_mix_precision", "allow_fp32_to_fp16", "force_fp16", "must_keep_origin_dtype")
DEVICES = ("cpu", "npu")
DEVICE_COUNTS = (1, 2, 4, 8)  # what an Ascend server gives to one pod

# Exit codes of the trainer, after sysexits.h, and the failure classes they stand for.
EXIT_OK = 0
EXIT_BAD_CONFIG = 64
EXIT_BAD_DATA = 65
EXIT_BAD_MODEL = 66
EXIT_DEVICE_FAULT = 69
EXIT_UNKNOWN = 70
EXIT_STORAGE = 74
EXIT_INTERRUPTED = 75
EXIT_CLASSES = {
    EXIT_OK: "Succeeded",
    EXIT_BAD_CONFIG: "BadConfig",
    EXIT_BAD_DATA: "BadData",
    EXIT_BAD_MODEL: "BadModel",
    EXIT_DEVICE_FAULT: "DeviceFault",
    EXIT_UNKNOWN: "Unknown",
    EXIT_STORAGE: "Storage",
    EXIT_INTERRUPTED: "Interrupted",
}
# Another attempt meets the same input, so it is never made.
PERMANENT_EXIT_CODES = (EXIT_BAD_CONFIG, EXIT_BAD_DATA, EXIT_BAD_MODEL)

# The result: one line of JSON in the termination message; <output_dir>/result.json says more. Scores that the task does
# not have, or that are undefined, are null. The evaluations lose their oldest where the message would be too long.
OUTCOME_SUCCEEDED = "Succeeded"
OUTCOME_FAILED = "Failed"
RESULT_KEYS = (
    "outcome",
    "task",
    "accuracy",
    "f1",
    "matthews",
    "pearson",
    "spearman",
    "accuracyMismatched",
    "evalLoss",
    "evalExamples",
    "trainExamples",
    "steps",
    "msPerStep",
    "examplesPerSecond",
    "durationSeconds",
    "seed",
    "backend",
    "checkpoint",
    "collapsed",
    "collapseReason",
    "evaluations",
    "phases",
)
SCORE_KEYS = ("accuracy", "f1", "matthews", "pearson", "spearman", "accuracyMismatched")
FAILURE_KEYS = ("outcome", "class", "message")
BACKENDS = ("cpu", "npu", "npu-simulated")

# Progress: the JSON of GET /progress. loss, msPerStep, etaSeconds and collapsed are null until they are known; loss is
# known from the process's first step on. evalBatches counts the process's evaluation batches.
# peakMemoryBytes is that of the container, page cache included; outside of one it is that of the process.
PROGRESS_PHASES = ("Preparing", "Training", "Evaluating", "Finished")
PROGRESS_KEYS = (
    *("phase", "step", "totalSteps", "percent", "etaSeconds", "loss", "msPerStep", "epoch", "collapsed"),
    *("evalBatches", "peakMemoryBytes"),
)

# Prometheus series of the trainer; each carries the label backend.
METRIC_INFO = "bert_trainer_info"
METRIC_GLOBAL_STEP = "bert_trainer_global_step"
METRIC_STEPS = "bert_trainer_steps"
METRIC_STEP_DURATION = "bert_trainer_step_duration_seconds"
METRIC_LOSS = "bert_trainer_loss"
METRIC_EXAMPLES_PER_SECOND = "bert_trainer_examples_per_second"
METRIC_EVAL_ACCURACY = "bert_trainer_eval_accuracy"
METRIC_EVAL_F1 = "bert_trainer_eval_f1"
METRIC_EVAL_MATTHEWS = "bert_trainer_eval_matthews"
METRIC_LEARNING_RATE = "bert_trainer_learning_rate"
METRIC_EPOCH = "bert_trainer_epoch"
METRIC_COLLAPSED = "bert_trainer_collapsed"
METRIC_PHASE_SECONDS = "bert_trainer_phase_seconds"
