"""One run: how far it is, how well it learns, where its time goes, what happened to it."""

from grafana_foundation_sdk.models import common

from bertfinetune_dashboards import panels
from bertfinetune_dashboards.dashboard import Band, Dashboard
from bertfinetune_dashboards.panels import Panel, Property, now, over_time
from bertfinetune_dashboards.promql import MODEL, OBJECT, RUN, in_phase, of_object, quantile

STEPS = "bert_trainer_step_duration_seconds"


def of_run(series: str, labels: str = OBJECT) -> str:
    """The operator's number of the chosen run."""
    return of_object(series, RUN, labels)


def of_pods(metric: str) -> str:
    """The trainers' numbers of the chosen run, one series for each attempt."""
    return f"max by (pod) ({metric}{{{RUN}}})"


def phase() -> Panel:
    panel = panels.word(
        "Phase", "Where the run is now.", now(of_run("bertfinetune_status_phase", f"{OBJECT}, phase"), "{{phase}}")
    )
    return panels.in_colours_of_phases(panel)


def reason() -> Panel:
    query = now(of_run("bertfinetune_status_phase", f"{OBJECT}, reason"), "{{reason}}")
    return panels.word("Reason", "One word why it is in that phase; `kubectl describe` has the sentence.", query)


def progress() -> Panel:
    return (
        panels.number(
            "Progress",
            "Training steps done, of those planned. A flat line while the phase is Running is a stuck run.",
            "percentunit",
            over_time(of_run("bertfinetune_progress_ratio")),
        )
        .min(0)
        .max(1)
        .decimals(0)
        .graph_mode(common.BigValueGraphMode.AREA)
        .thresholds(panels.steps("blue", (1, "green")))
    )


def time_left() -> Panel:
    finished = f"0 * {in_phase('Succeeded', selector=RUN)}"
    return panels.number(
        "Time left",
        "Until the training steps end at the present speed; 0 once the run has succeeded.",
        "s",
        now(f"{of_run('bertfinetune_eta_seconds')} or {finished}"),
    ).no_value("not running")


def accuracy() -> Panel:
    measured = f"{of_run('bertfinetune_accuracy')} or max by ({OBJECT}) (bert_trainer_eval_accuracy{{{RUN}}})"
    return (
        panels.number(
            "Accuracy",
            "On the evaluation set: the result, or the last evaluation while it runs. Beside it what minAccuracy asks"
            " for, if it does.",
            "percentunit",
            now(measured, "measured"),
            now(of_run("bertfinetune_min_accuracy"), "target"),
        )
        .decimals(1)
        .no_value("not evaluated")
    )


def learned() -> Panel:
    return (
        panels.number(
            "Newest trial",
            "Whether the newest trial learned anything. A run that learned nothing gives the same answer for every"
            " pair.",
            "none",
            now(f"{of_run('bertfinetune_collapsed')} or max by ({OBJECT}) (bert_trainer_collapsed{{{RUN}}})"),
        )
        .mappings([panels.words([(0, "learned", "green"), (1, "learned nothing", "red")])])
        .no_value("not judged")
    )


def speed() -> Panel:
    return panels.number(
        "Step time",
        "Mean milliseconds a step, the first steps left out: the number in the run's status.",
        "ms",
        now(of_run("bertfinetune_ms_per_step")),
    ).no_value("no steps")


def retries() -> Panel:
    return panels.number(
        "Retries",
        "Failures that were tried again, and while it is not finished how many may be (backoffLimit).",
        "short",
        now(of_run("bertfinetune_retries"), "used"),
        now(of_run("bertfinetune_backoff_limit"), "allowed"),
    ).override_by_name("used", [panels.limits("green", (1, "orange"))])


def loss() -> Panel:
    return panels.graph(
        "Loss",
        "Training loss of the last step, a line for each attempt. It should fall in the first epoch; a flat line near"
        " 0.6 on two classes is a run that learns nothing.",
        "short",
        over_time(of_pods("bert_trainer_loss"), "{{pod}}"),
    )


def evaluations() -> Panel:
    scores = {"accuracy": "accuracy", "f1": "F1", "matthews": "Matthews correlation"}
    panel = (
        panels.graph(
            "Evaluation",
            "Scores on the evaluation set after each evaluation, and on the right the epoch. The Matthews correlation"
            " shares the axis, where 100 % is 1; at 0 the answers have nothing to do with the questions.",
            "percentunit",
            *(
                over_time(f"max by ({OBJECT}) (bert_trainer_eval_{score}{{{RUN}}})", legend)
                for score, legend in scores.items()
            ),
            over_time(f"max by ({OBJECT}) (bert_trainer_epoch{{{RUN}}})", "epoch"),
        )
        .fill_opacity(0)
        .axis_soft_max(1)
    )
    epoch = [
        Property("unit", "short"),
        Property("custom.axisPlacement", "right"),
        *panels.DASHED,
        panels.color("text"),
    ]
    return panel.override_by_name("epoch", epoch)


def trials() -> Panel:
    only = f'label_replace({of_run("bertfinetune_accuracy")}, "trial", "0", "", "")'
    only = f'label_replace({only}, "seed", "as asked", "", "")'
    several = of_run("bertfinetune_trial_accuracy", f"{OBJECT}, trial, seed")
    return (
        panels.ranking(
            "Trials",
            "Accuracy of each trial. Trials that end at the share of the larger class (0.684 on MRPC) learned nothing"
            " and were tried again with another seed.",
            "percentunit",
            now(f"{several} or on ({OBJECT}) {only}", "trial {{trial}}, seed {{seed}}"),
        )
        .max(1)
        .decimals(1)
        .no_value("no trial has ended")
    )


def step_time() -> Panel:
    return panels.graph(
        "Step time quantiles",
        "How long a step takes. p99 far above p50 means that some steps wait: for data, for a checkpoint, for a"
        " neighbour.",
        "s",
        *(over_time(quantile(share, STEPS, RUN), f"p{share * 100:g}") for share in (0.5, 0.9, 0.99)),
    )


def step_times() -> Panel:
    query = over_time(f"sum by (le) (increase({STEPS}_bucket{{{RUN}}}[$__rate_interval]))", "{{le}}")
    return panels.distribution(
        "Step time distribution",
        "How many steps took how long. One narrow band is healthy; a second band above it is a second speed.",
        "s",
        query,
    )


def throughput() -> Panel:
    return panels.graph(
        "Throughput",
        "Sentence pairs trained per second, all attempts' pods. A step down is a slower card or a busier node.",
        "suffix:pairs/s",
        over_time(of_pods("bert_trainer_examples_per_second"), "{{pod}}"),
    )


def learning_rate() -> Panel:
    return panels.graph(
        "Learning rate",
        "It rises during the warm-up and falls to 0 at the end. A second ramp is a second trial.",
        "sci",
        over_time(of_pods("bert_trainer_learning_rate"), "{{pod}}"),
    ).decimals(1)


def phases_of_time() -> Panel:
    seconds = f"max by (phase) (last_over_time(bert_trainer_phase_seconds{{{RUN}}}[$__range]))"
    return panels.ranking(
        "Where the time goes",
        "Seconds of the trainer in each phase, up to now or its end. Anything beside steps and evaluation is overhead.",
        "s",
        now(f"sort_desc({seconds} > 0)", "{{phase}}"),
    )


def events() -> Panel:
    names = list(panels.PHASES)
    code = " or ".join(f"{in_phase(name, selector=RUN)} * {number}" for number, name in enumerate(names, 1))
    reasons = of_run('bertfinetune_status_phase{phase=~"Pending|Queued|Retrying|Failed"}', f"{OBJECT}, reason")
    pods = of_run("bertfinetune_pod_info", f"{OBJECT}, pod, node")
    words = [(number, name, panels.PHASES[name]) for number, name in enumerate(names, 1)]
    return panels.states(
        "Events",
        "What happened: the phase, why it waited or failed, and which pod on which node worked for it.",
        over_time(code, "phase"),
        over_time(f"0 * {reasons}", "{{reason}}"),
        over_time(f"-1 * {pods}", "{{pod}} on {{node}}"),
    ).mappings([panels.words([(-1, "pod", "dark-blue"), (0, "reason", "dark-orange"), *words])])


def details() -> Panel:
    def moment(name: str) -> panels.Query:
        return now(f"{of_run(f'bertfinetune_{name}_timestamp_seconds')} * 1000")

    panel = panels.rows(
        "Details",
        "What is trained on what, and when.",
        {
            "Namespace": "namespace",
            "Task": "task",
            "Model": "model",
            "Accelerator": "accelerator",
            "Cards": now(of_run("bertfinetune_devices")),
            "Pod": "pod",
            "Node": "node",
            "Created": moment("created"),
            "Started": moment("start"),
            "Finished": moment("completion"),
            "Training": now(of_run("bertfinetune_training_duration_seconds")),
        },
        labels=[
            now(of_run("bertfinetune_info", f"{OBJECT}, {MODEL}")),
            now(of_run("bertfinetune_pod_info", f"{OBJECT}, pod, node")),
        ],
    )
    for name in ("Created", "Started", "Finished"):
        panel.override_by_name(name, [Property("unit", "dateTimeAsIso"), panels.width(170)])
    for name, width in (
        ("Namespace", 120),
        ("Task", 80),
        ("Model", 170),
        ("Accelerator", 110),
        ("Cards", 70),
        ("Node", 120),
    ):
        panel.override_by_name(name, [panels.width(width)])
    return panel.override_by_name("Training", [Property("unit", "s"), panels.width(100)])


DASHBOARD = Dashboard(
    uid="bertfinetune-run",
    title="One run",
    description="One fine-tuning run: how far it is, how well it learns, where its time goes and what happened to it.",
    variables=("datasource", "cluster", "run_namespace", "run"),
    since="now-1h",
    refresh="30s",
    bands=[
        Band(
            "",
            4,
            [
                (3, phase()),
                (3, reason()),
                (3, progress()),
                (3, time_left()),
                (3, accuracy()),
                (3, learned()),
                (3, speed()),
                (3, retries()),
            ],
        ),
        Band("", 9, [(8, loss()), (8, evaluations()), (8, trials())]),
        Band("Speed", 8, [(8, step_time()), (8, step_times()), (8, throughput())]),
        Band("History", 8, [(10, events()), (7, phases_of_time()), (7, learning_rate())]),
        Band("", 4, [(24, details())]),
    ],
)
