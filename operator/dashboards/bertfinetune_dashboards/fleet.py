"""All runs: which are slow, wrong or stuck, and what the cards are doing."""

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import common

from bertfinetune_dashboards import panels
from bertfinetune_dashboards.dashboard import Band, Dashboard
from bertfinetune_dashboards.panels import Panel, Property, Query, now, over_time
from bertfinetune_dashboards.promql import (
    CLUSTER,
    KIND,
    MODEL,
    OBJECT,
    by_model,
    by_phase,
    in_phase,
    of_object,
    with_model,
)

PATIENCE = "10m"
"""A run that trains and takes no step for so long is stuck."""
LONG_WAIT = 30 * 60
"""Seconds: a run that waits for its cards longer waits long."""
BARS_APART = "5m"
"""Bars of events are no closer. Closer than three scrapes, the windows of `$__rate_interval` overlap by more than the
one scrape that they need to, and an event is in several bars."""
SLOW = 1.5
"""Times the median of its like."""

MILLISECONDS = [Property("unit", "suffix:ms"), Property("decimals", 1)]
"""For a column of step times: in one unit, so that the eye can compare them."""

WAITING = in_phase("Pending", "Queued")
HOLDING_CARDS = in_phase("Preparing", "Running")
DEVICES = of_object("bertfinetune_devices")
ACCURACY = of_object("bertfinetune_accuracy")
MARGIN = f"{ACCURACY} - {of_object('bertfinetune_min_accuracy')}"
COLLAPSED = of_object("bertfinetune_collapsed")
MS_PER_STEP = of_object("bertfinetune_ms_per_step")
CREATED = of_object("bertfinetune_created_timestamp_seconds")
ENDED = of_object("bertfinetune_completion_timestamp_seconds")
WAITED = f"{of_object('bertfinetune_start_timestamp_seconds')} - {CREATED}"
WAITS = f"time() - ({of_object('bertfinetune_waiting_since_timestamp_seconds')} and {WAITING})"

_progress = "bertfinetune_progress_ratio"
_trains = 'bertfinetune_status_phase{reason="Training"}'
STUCK = (
    f"({of_object(_progress)} < 1) == {of_object(_progress, offset=f' offset {PATIENCE}')}"
    f" and {of_object(_trains)} and {of_object(_trains, offset=f' offset {PATIENCE}')}"
)
_all_speeds = with_model(of_object("bertfinetune_ms_per_step", CLUSTER), CLUSTER, KIND)
SLOWNESS = (
    f"max by ({OBJECT}) ({with_model(MS_PER_STEP, labels=KIND)}"
    f" / on (cluster, {KIND}) group_left quantile by (cluster, {KIND}) (0.5, {_all_speeds}))"
)

VERDICTS = (
    (STUCK, "stuck", "dark-red"),
    (in_phase("Failed"), "failed", "red"),
    (f"{COLLAPSED} == 1", "learned nothing", "dark-orange"),
    (f"{MARGIN} < 0", "below target", "orange"),
    (f"{SLOWNESS} > {SLOW}", "slow", "yellow"),
    (f"{WAITS} > {LONG_WAIT}", "waits long", "light-yellow"),
    (of_object("bertfinetune_status_phase"), "fine", "transparent"),
)
"""What a person should look at, the worst first: the runs it is true of, the word and its colour."""


def verdict() -> str:
    """For each run the number of its first verdict, counted from the end, so that the worst sorts first."""
    worst = len(VERDICTS) - 1
    return " or ".join(f"({runs}) * 0 + {worst - position}" for position, (runs, _, _) in enumerate(VERDICTS))


def phases_now() -> Panel:
    query = now(f"sum by (phase) ({by_phase()})", "{{phase}}")
    panel = panels.number("Runs by phase", "How many runs are in each phase now. Red needs somebody.", "short", query)
    return panels.in_colours_of_phases(panel).text_mode(common.BigValueTextMode.VALUE_AND_NAME)


def phases_over_time() -> Panel:
    query = over_time(f"sum by (phase) ({by_phase()})", "{{phase}}")
    panel = panels.stacked(
        "Runs by phase over time",
        "A growing yellow band: runs arrive faster than cards become free. A growing red one: something is broken.",
        "short",
        query,
    )
    return panels.in_colours_of_phases(panel)


_succeeded, _finished = by_phase(matchers='phase="Succeeded"'), by_phase(matchers='phase=~"Succeeded|Failed"')
SUCCESS = f"sum({_succeeded}) / sum({_finished})"


def success() -> Panel:
    panel = panels.number(
        "Success ratio",
        "Share of the finished runs that succeeded. Below 80 % look at the failures by class further down.",
        "percentunit",
        now(SUCCESS),
    )
    return (
        panel.min(0)
        .max(1)
        .decimals(0)
        .thresholds(panels.steps("red", (0.8, "yellow"), (0.95, "green")))
        .no_value("none")
    )


def learned_nothing() -> Panel:
    return panels.number(
        "Learned nothing",
        "Runs whose newest trial answers the same for every pair. Their accuracy is the share of the larger class and"
        " means nothing.",
        "short",
        now(f"sum({COLLAPSED}) or vector(0)"),
    ).thresholds(panels.steps("green", (1, "red")))


def stuck() -> Panel:
    return panels.number(
        "Stuck",
        f"Runs that train and took no step in the last {PATIENCE}; one that evaluates is not stuck. Ask the trainer, as"
        " the runbook of BertFinetuneStalled says.",
        "short",
        now(f"count({STUCK}) or vector(0)"),
    ).thresholds(panels.steps("green", (1, "red")))


def cards_now() -> Panel:
    return panels.number(
        "Cards in use",
        "Ascend cards that preparing and running runs hold.",
        "short",
        now(f"sum({DEVICES} and {HOLDING_CARDS}) or vector(0)"),
    ).thresholds(panels.steps("blue"))


def longest_wait() -> Panel:
    return panels.number(
        "Longest wait now",
        "How long the run that waits longest has waited for its pod, since its creation, its resumption or the end of"
        " the attempt before; 0 when none waits.",
        "s",
        now(f"max({WAITS}) or vector(0)"),
    ).thresholds(panels.steps("green", (LONG_WAIT / 3, "yellow"), (LONG_WAIT, "red")))


def runs() -> Panel:
    return styled(
        panels.rows(
            "Runs",
            "One line a run, those that need a look first; a click on a name opens the run at its time. vs. target is"
            " accuracy minus minAccuracy; vs. median compares step times of runs whose steps do the same work on the"
            " same hardware.",
            {
                "Verdict": now(verdict()),
                "Run": "name",
                "Namespace": "namespace",
                "Phase": "phase",
                "Reason": "reason",
                "Progress": now(of_object("bertfinetune_progress_ratio")),
                "Accuracy": now(ACCURACY),
                "vs. target": now(MARGIN),
                "Step time": now(MS_PER_STEP),
                "vs. median": now(SLOWNESS),
                "Retries": now(of_object("bertfinetune_retries")),
                "Age": now(f"time() - {CREATED}"),
                "Task": "task",
                "Model": "model",
                "Accelerator": "accelerator",
                "Cluster": "cluster",
                "From": now(f"({CREATED} - 60) * 1000"),
                "To": now(f"(({ENDED} or 0 * {CREATED} + time()) + 60) * 1000"),
            },
            labels=[
                now(of_object("bertfinetune_status_phase", labels=f"{OBJECT}, phase, reason")),
                now(of_object("bertfinetune_info", labels=f"{OBJECT}, {MODEL}")),
            ],
        )
    )


def styled(panel: table.Panel) -> table.Panel:
    """The table of runs with units, colours, widths, and the link that opens a run."""
    filled = Property(
        "custom.cellOptions", common.TableColoredBackgroundCellOptions(mode=common.TableCellBackgroundDisplayMode.BASIC)
    )
    gauge = Property("custom.cellOptions", common.TableBarGaugeCellOptions(mode=common.BarGaugeDisplayMode.BASIC))
    coloured = Property("custom.cellOptions", common.TableColorTextCellOptions())
    worst = len(VERDICTS) - 1
    verdicts = panels.words((worst - position, text, shade) for position, (_, text, shade) in enumerate(VERDICTS))
    open_run = {
        "title": "Open the run",
        "url": "/d/bertfinetune-run?${datasource:queryparam}&${cluster:queryparam}"
        "&var-run_namespace=${__data.fields.Namespace}&var-run=${__value.raw}"
        "&from=${__data.fields.From.numeric}&to=${__data.fields.To.numeric}",
    }

    percent = [Property("unit", "percentunit"), Property("decimals", 1)]
    full = [Property("unit", "percentunit"), Property("min", 0), Property("max", 1), panels.limits("blue")]
    times_median = [Property("unit", "suffix:x"), Property("decimals", 2)]
    left, filterable = Property("custom.align", "left"), Property("custom.filterable", True)
    for name, width, properties in (
        ("Verdict", 120, [Property("mappings", [verdicts]), filled, left, filterable]),
        ("Run", None, [Property("links", [open_run]), filterable]),
        ("Namespace", 100, []),
        ("Phase", 95, [Property("mappings", [panels.COLOURS_OF_PHASES]), coloured, filterable]),
        ("Reason", 125, [filterable]),
        ("Progress", 105, [*full, gauge]),
        ("Accuracy", 80, percent),
        ("vs. target", 80, [*percent, coloured, panels.limits("red", (0, "green"))]),
        ("Step time", 90, MILLISECONDS),
        ("vs. median", 90, [*times_median, coloured, panels.limits("green", (1.2, "yellow"), (SLOW, "red"))]),
        ("Retries", 70, [coloured, panels.limits("text", (1, "orange"))]),
        ("Age", 80, [Property("unit", "s"), Property("decimals", 1)]),
        ("Task", 65, []),
        ("Model", 145, [filterable]),
        ("Accelerator", 95, []),
        ("Cluster", 75, []),
        ("From", None, panels.INVISIBLE),
        ("To", None, panels.INVISIBLE),
    ):
        panel.override_by_name(name, [*([panels.width(width)] if width else []), *properties])
    return panel.sort_by([TableSortByFieldState().display_name("Verdict").desc(True)])


def cards() -> Panel:
    return panels.stacked(
        "Cards",
        "Ascend cards that runs hold, and on top those that waiting runs ask for. Waiting for long beside few in use"
        " means that the cards cannot be scheduled, not that they are busy.",
        "short",
        over_time(f"sum({DEVICES} and {HOLDING_CARDS}) or vector(0)", "in use"),
        over_time(f"sum({DEVICES} and {WAITING}) or vector(0)", "waited for"),
    ).override_by_name("waited for", [panels.color("yellow")])


def wait() -> Panel:
    recent = f"({WAITED}) and {of_object('bertfinetune_start_timestamp_seconds')} > time() - 6 * 3600"
    return panels.graph(
        "Queue wait",
        "From a run's creation to its first container's start, of the runs that started in the last six hours. The"
        " dashed line is the longest wait of those whose pod has not started.",
        "s",
        over_time(f"quantile(0.5, {recent})", "p50"),
        over_time(f"quantile(0.9, {recent})", "p90"),
        over_time(f"max({WAITS})", "waiting now"),
    ).override_by_name("waiting now", [*panels.DASHED, panels.color("orange")])


def models() -> Panel:
    columns: dict[str, Query | str] = {
        "Task": "task",
        "Model": "model",
        "Accelerator": "accelerator",
        "Runs": now(f"count by ({MODEL}) ({of_object('bertfinetune_info', labels=f'{OBJECT}, {MODEL}')})"),
        "Worst accuracy": now(by_model("min", ACCURACY)),
        "Median accuracy": now(by_model("quantile 0.5", ACCURACY)),
        "Best accuracy": now(by_model("max", ACCURACY)),
        "Step time": now(by_model("quantile 0.5", MS_PER_STEP)),
        "Step time p90": now(by_model("quantile 0.9", MS_PER_STEP)),
        "Learned nothing": now(by_model("avg", COLLAPSED)),
    }
    panel = panels.rows(
        "Models",
        "Accuracy (worst, median, best), step time (median and p90) and the share of runs that learned"
        " nothing, for each task, model and accelerator.",
        columns,
        labels=[],
    )
    for name in ("Worst accuracy", "Median accuracy", "Best accuracy", "Learned nothing"):
        panel.override_by_name(name, [Property("unit", "percentunit"), Property("decimals", 1)])
    for name in ("Step time", "Step time p90"):
        panel.override_by_name(name, MILLISECONDS)
    return panel


def accuracy() -> Panel:
    return panels.graph(
        "Accuracy by model",
        "Median accuracy of the finished runs. A drop after a change of data, image or settings is a change in"
        " quality.",
        "percentunit",
        over_time(by_model("quantile 0.5", ACCURACY), "{{task}} {{model}} {{accelerator}}"),
    ).max(1)


def speed() -> Panel:
    return panels.graph(
        "Step time by model",
        "Median milliseconds a step. A rise on one accelerator only points at its cards, a rise of all at the image.",
        "ms",
        over_time(by_model("quantile 0.5", MS_PER_STEP), "{{task}} {{model}} {{accelerator}}"),
    )


def failures() -> Panel:
    failed = of_object('bertfinetune_status_phase{phase="Failed"}', labels=f"{OBJECT}, reason")
    retried = f"sum by (reason) (increase(bertfinetune_operator_retries_total{{{CLUSTER}}}[$__range]))"
    return (
        panels.ranking(
            "Failures by class",
            "Why runs have failed for good (now), and why attempts were tried again in the time range. The latter are"
            " counted in all namespaces.",
            "short",
            now(f"sort_desc(count by (reason) ({failed}))", "{{reason}}, failed"),
            now(f"sort_desc({retried} > 0)", "{{reason}}, tried again"),
        )
        .decimals(0)
        .override_by_regexp("/failed$/", [panels.color("red")])
        .override_by_regexp("/tried again$/", [panels.color("orange")])
    )


def failures_over_time() -> Panel:
    def events(counter: str, by: str = "") -> str:
        """Whole ones; `increase` extrapolates to the window's ends, and makes of one event 1.2."""
        return f"sum{by} (floor(increase(bertfinetune_operator_{counter}[$__rate_interval])))"

    failed, retried = f'finished_total{{{CLUSTER},phase="Failed"}}', f"retries_total{{{CLUSTER}}}"
    return (
        panels.bars(
            "Failures and collapses",
            "When runs failed, when attempts were tried again, and when a trial learned nothing; in all namespaces."
            " Many at one moment have one cause: a node, a volume, an image.",
            "short",
            over_time(f"{events(failed, ' by (reason)')} > 0", "{{reason}}, failed"),
            over_time(f"{events(retried, ' by (reason)')} > 0", "{{reason}}, tried again"),
            over_time(events(f"collapses_total{{{CLUSTER}}}"), "learned nothing"),
        )
        .override_by_name("learned nothing", [panels.color("purple")])
        .decimals(0)
        .interval(BARS_APART)
        .bar_alignment(common.BarAlignment.BEFORE)
    )


def success_over_time() -> Panel:
    return panels.graph(
        "Success ratio over time",
        "Share of the finished runs that succeeded, of those that exist at the time.",
        "percentunit",
        over_time(SUCCESS, "succeeded"),
    ).max(1)


DASHBOARD = Dashboard(
    uid="bertfinetune-fleet",
    title="Fleet",
    description="All runs: which are slow, wrong or stuck, how good and fast models are, what the cards do.",
    variables=("datasource", "cluster", "namespace"),
    since="now-24h",
    refresh="1m",
    bands=[
        Band(
            "",
            4,
            [
                (9, phases_now()),
                (3, success()),
                (3, learned_nothing()),
                (3, stuck()),
                (3, cards_now()),
                (3, longest_wait()),
            ],
        ),
        Band("", 12, [(24, runs())]),
        Band("Cards and queue", 8, [(8, phases_over_time()), (8, cards()), (8, wait())]),
        Band("Models", 6, [(24, models())]),
        Band("", 8, [(12, accuracy()), (12, speed())]),
        Band("Failures", 8, [(8, failures()), (8, failures_over_time()), (8, success_over_time())]),
    ],
)
