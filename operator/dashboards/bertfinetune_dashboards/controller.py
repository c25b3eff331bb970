"""The operator itself: does it keep up, is the API server well, who leads."""

from grafana_foundation_sdk.builders.common import VizTextDisplayOptions

from bertfinetune_dashboards import panels
from bertfinetune_dashboards.dashboard import Band, Dashboard
from bertfinetune_dashboards.panels import Panel, now, over_time
from bertfinetune_dashboards.promql import CLUSTER, by_phase, quantile

OPERATOR = "bertfinetune_operator_"


def rate(counter: str, by: str) -> str:
    """A counter's growth per second, of all replicas."""
    return f"sum by ({by}) (rate({OPERATOR}{counter}_total{{{CLUSTER}}}[$__rate_interval]))"


def of_process(expression: str) -> str:
    """What a process exports, of the targets that are operators."""
    return f"{expression} and on (cluster, job, instance) {OPERATOR}info{{{CLUSTER}}}"


def leader() -> Panel:
    return (
        panels.word(
            "Leader",
            "The replica that leads. None means that no run is looked after; two for longer than a moment is a fault.",
            now(f"max by (pod) ({OPERATOR}leader{{{CLUSTER}}}) == 1", "{{pod}}"),
        )
        .text(VizTextDisplayOptions().value_size(20))
        .no_value("none")
    )


def replicas() -> Panel:
    return panels.word(
        "Versions",
        "The version that the replicas run; two at once only while they are rolled out.",
        now(f"max by (version) ({OPERATOR}info{{{CLUSTER}}})", "{{version}}"),
    )


def depth_now() -> Panel:
    return panels.number(
        "Queue",
        "Objects that wait for a pass. It returns to 0 within seconds; what stays up is more than the operator can do.",
        "short",
        now(f"sum({OPERATOR}queue_depth{{{CLUSTER}}})"),
    ).thresholds(panels.steps("green", (50, "yellow"), (500, "red")))


def stale() -> Panel:
    return panels.number(
        "Oldest watch",
        "Time since a watch last brought something. The API server sends a bookmark about once a minute: beyond some"
        " minutes the operator is blind.",
        "s",
        now(f"max({OPERATOR}watch_age_seconds{{{CLUSTER}}})"),
    ).thresholds(panels.steps("green", (120, "yellow"), (300, "red")))


def failing() -> Panel:
    def passes_in_range(matchers: str) -> str:
        return f"sum(increase({OPERATOR}reconciles_total{{{matchers}}}[$__range]))"

    failed, every = passes_in_range(f'{CLUSTER},result="error"'), passes_in_range(CLUSTER)
    return (
        panels.number(
            "Failed passes",
            "Share of the passes in the time range that ended in an error. Each is tried again after a growing pause;"
            " the log names the object.",
            "percentunit",
            now(f"({failed} or vector(0)) / ({every} > 0)"),
        )
        .decimals(1)
        .thresholds(panels.steps("green", (0.01, "yellow"), (0.1, "red")))
        .no_value("no passes")
    )


def dropped() -> Panel:
    return panels.number(
        "Objects without series",
        "Runs beyond the 1000 that have series of their own. They are counted by phase but missing in the other"
        " dashboards.",
        "short",
        now(f"sum(bertfinetune_series_dropped{{{CLUSTER}}})"),
    ).thresholds(panels.steps("green", (1, "yellow")))


def passes() -> Panel:
    return (
        panels.stacked(
            "Passes by result",
            "Passes over one object, per second. Errors that do not end are one object that cannot be served.",
            "ops",
            over_time(rate("reconciles", "result"), "{{result}}"),
        )
        .override_by_name("success", [panels.color("green")])
        .override_by_name("error", [panels.color("red")])
    )


def pass_duration() -> Panel:
    histogram = f"{OPERATOR}reconcile_duration_seconds"
    return panels.graph(
        "Duration of a pass",
        "Most of it is waiting for the API server. The points are examples: they name the object.",
        "s",
        *(
            over_time(quantile(share, histogram, CLUSTER), f"p{share * 100:g}").exemplar(share == 0.99)
            for share in (0.5, 0.9, 0.99)
        ),
    )


def depth() -> Panel:
    return panels.graph(
        "Queue depth",
        "Objects that wait for a pass, on each replica. Only the leader has any.",
        "short",
        over_time(f"max by (pod) ({OPERATOR}queue_depth{{{CLUSTER}}})", "{{pod}}"),
    ).axis_soft_max(10)


def queue_wait() -> Panel:
    return panels.graph(
        "Wait in the queue",
        "How long an object waits for its pass. Below a second nobody notices.",
        "s",
        *(
            over_time(quantile(share, f"{OPERATOR}queue_wait_seconds", CLUSTER), f"p{share * 100:g}")
            for share in (0.5, 0.9, 0.99)
        ),
    )


def requests() -> Panel:
    return (
        panels.stacked(
            "API requests",
            "Requests to the API server by verb and answer. 404 and 409 are normal; 429 means that it throttles the"
            " operator, error that no answer came.",
            "reqps",
            over_time(rate("api_requests", "verb, code"), "{{verb}} {{code}}"),
        )
        .override_by_regexp("/ 2..$/", [panels.shades("blue")])
        .override_by_regexp("/ 4..$/", [panels.color("orange")])
        .override_by_regexp("/ (429|5..|error)$/", [panels.color("red")])
    )


def request_duration() -> Panel:
    return panels.graph(
        "API latency (p90)",
        "How long the API server takes to answer, by verb. A rise of all verbs is the API server or its etcd.",
        "s",
        over_time(quantile(0.9, f"{OPERATOR}api_request_duration_seconds", CLUSTER, "verb"), "{{verb}}"),
    )


def watch_age() -> Panel:
    return panels.graph(
        "Watch age",
        "Time since each watch brought something. A saw-tooth up to about a minute is healthy; a line that climbs is"
        " a dead watch.",
        "s",
        over_time(f"max by (resource) ({OPERATOR}watch_age_seconds{{{CLUSTER}}})", "{{resource}}"),
    )


def leadership() -> Panel:
    words = [(1, "leads", "green"), (0, "stands by", "#52545c")]
    return panels.states(
        "Who leads",
        "Changes of the leader. Frequent ones mean that replicas restart, or that the API server is too slow for the"
        " lease.",
        over_time(f"max by (pod) ({OPERATOR}leader{{{CLUSTER}}})", "{{pod}}"),
    ).mappings([panels.words(words)])


def cpu() -> Panel:
    used = of_process("rate(process_cpu_seconds_total[$__rate_interval])")
    return panels.graph(
        "CPU",
        "Cores that each replica uses. At 1 the event loop is full, and everything waits.",
        "short",
        over_time(f"sum by (pod) ({used})", "{{pod}}"),
    ).axis_label("cores")


def memory() -> Panel:
    return panels.graph(
        "Memory",
        "Resident memory of each replica. It grows with the number of objects, not with time.",
        "bytes",
        over_time(f"sum by (pod) ({of_process('process_resident_memory_bytes')})", "{{pod}}"),
    )


def objects() -> Panel:
    panel = panels.stacked(
        "Objects by phase",
        "How many objects the operator holds, in all namespaces.",
        "short",
        over_time(f"sum by (phase) ({by_phase(CLUSTER)})", "{{phase}}"),
    )
    return panels.in_colours_of_phases(panel)


def run_wait() -> Panel:
    waits = f"sum by (le, accelerator) (increase({OPERATOR}run_wait_seconds_bucket{{{CLUSTER}}}[$__range]))"
    return panels.ranking(
        "Queue wait by accelerator",
        "From a run's creation to its first container's start, of the starts in the time range. What is long here is"
        " the scheduler's or the cluster's, not the operator's.",
        "s",
        *(
            now(f"histogram_quantile({share}, {waits}) >= 0", f"{{{{accelerator}}}} p{share * 100:g}")
            for share in (0.5, 0.9)
        ),
    )


DASHBOARD = Dashboard(
    uid="bertfinetune-operator",
    title="Operator",
    description="The operator itself: whether it keeps up, how the API server answers, who leads, what it costs.",
    variables=("datasource", "cluster"),
    since="now-6h",
    refresh="30s",
    bands=[
        Band(
            "",
            4,
            [
                (8, leader()),
                (3, replicas()),
                (3, depth_now()),
                (3, stale()),
                (3, failing()),
                (4, dropped()),
            ],
        ),
        Band("Passes", 8, [(6, passes()), (6, pass_duration()), (6, depth()), (6, queue_wait())]),
        Band("API server", 8, [(8, requests()), (8, request_duration()), (8, watch_age())]),
        Band("Process", 8, [(8, cpu()), (8, memory()), (8, leadership())]),
        Band("Objects", 8, [(16, objects()), (8, run_wait())]),
    ],
)
