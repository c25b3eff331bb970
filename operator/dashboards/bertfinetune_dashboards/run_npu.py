"""One run and the Ascend cards that it holds: what the npu-exporter says of them, and the run's speed."""

from grafana_foundation_sdk.builders import timeseries

from bertfinetune_dashboards import panels
from bertfinetune_dashboards.dashboard import Band, Dashboard
from bertfinetune_dashboards.panels import Panel, Query, over_time
from bertfinetune_dashboards.promql import CLUSTER, RUN, mean, quantile

STEPS = "bert_trainer_step_duration_seconds"
CARD = "card {{id}}, {{pod}}"
HEALTH = ((1, "healthy", "green"), (0, "unhealthy", "red"), (-1, "unknown", "yellow"))


def of_cards(metric: str) -> str:
    """A metric of the npu-exporter for the cards of the run's newest pod.

    The exporter names the pod that holds a card in labels of its own. `namespace` becomes `exported_namespace` where
    Prometheus prefers the target's label (honorLabels false).
    """
    held = f'{metric}{{{CLUSTER},pod_name!="",pod_name!="not_displayed_for_multi_pod"}}'
    namespace = f'label_replace({held}, "namespace", "$1", "exported_namespace", "(.+)")'
    cards = f'label_replace({namespace}, "pod", "$1", "pod_name", "(.+)")'
    pods = f"max by (cluster, namespace, pod, name) (bertfinetune_pod_info{{{RUN}}})"
    return f"max by (pod, id) ({cards} * on (cluster, namespace, pod) group_left (name) {pods})"


def by_card(title: str, description: str, unit: str, metric: str, *others: Query) -> timeseries.Panel:
    """A line for each card, and those of other queries."""
    return panels.graph(title, description, unit, over_time(of_cards(metric), CARD), *others).fill_opacity(0)


def held() -> Panel:
    return panels.number(
        "Cards",
        "Cards that the run holds. Fewer than it asks for means that the npu-exporter does not see some.",
        "short",
        over_time(f"count({of_cards('npu_chip_info_health_status')})"),
    )


def health() -> Panel:
    return panels.number(
        "Health",
        "The worst of the run's cards. The run's step times and results are not to be trusted on an unhealthy card.",
        "none",
        over_time(f"min({of_cards('npu_chip_info_health_status')})"),
    ).mappings([panels.words(HEALTH)])


def error() -> Panel:
    errors = f"max({of_cards('npu_chip_info_error_code')})"
    no_errors = f"0 * max({of_cards('npu_chip_info_health_status')})"  # a card without an error has no series
    return (
        panels.number(
            "Error code",
            "The highest error code that one of the run's cards reports. The vendor's list of fault codes says what"
            " it means; some codes of a healthy card need nobody.",
            "hex0x",
            over_time(f"{errors} or {no_errors}"),
        )
        .mappings([panels.words([(0, "none", "green")])])
        .thresholds(panels.steps("green", (1, "red")))
    )


def utilisation_now() -> Panel:
    return (
        panels.number(
            "AI core utilisation",
            "Mean of the run's cards. Below 50 % the cards wait for something: data, the host, other cards.",
            "percent",
            over_time(f"avg({of_cards('npu_chip_info_utilization')})"),
        )
        .min(0)
        .max(100)
        .thresholds(panels.steps("orange", (50, "green")))
    )


def memory_share() -> Panel:
    used, total = of_cards("npu_chip_info_hbm_used_memory"), of_cards("npu_chip_info_hbm_total_memory")
    return (
        panels.number(
            "HBM used",
            "Of the fullest card. Near 100 % a longer sequence or a larger batch fails with out of memory.",
            "percentunit",
            over_time(f"max({used} / {total})"),
        )
        .min(0)
        .max(1)
        .decimals(0)
        .thresholds(panels.steps("green", (0.9, "yellow"), (0.97, "red")))
    )


def power_now() -> Panel:
    return panels.number(
        "Power",
        "All cards of the run together.",
        "watt",
        over_time(f"sum({of_cards('npu_chip_info_power')})"),
    )


def hottest() -> Panel:
    return panels.number(
        "Hottest card",
        "A card that becomes too hot lowers its clock, and the steps become slower.",
        "celsius",
        over_time(f"max({of_cards('npu_chip_info_temperature')})"),
    ).thresholds(panels.steps("green", (75, "yellow"), (85, "red")))


def step_time() -> Panel:
    return panels.graph(
        "Step time",
        "Mean and p90 of the run's steps. When it rises, see below what the cards did at that moment.",
        "s",
        over_time(mean(STEPS, RUN, "pod"), "{{pod}} mean"),
        over_time(quantile(0.9, STEPS, RUN, "pod"), "{{pod}} p90"),
    )


def throughput() -> Panel:
    return panels.graph(
        "Throughput",
        "Sentence pairs per second. With steady step times and a lower throughput the batches carry fewer pairs.",
        "suffix:pairs/s",
        over_time(f"max by (pod) (bert_trainer_examples_per_second{{{RUN}}})", "{{pod}}"),
    )


def utilisation() -> Panel:
    return by_card(
        "Utilisation by card",
        "Utilisation of the AI cores. Gaps between busy stretches are evaluations, checkpoints, or waiting for data.",
        "percent",
        "npu_chip_info_utilization",
    ).max(100)


def memory() -> Panel:
    return by_card(
        "HBM by card",
        "Memory used on each card, and the size of the smallest card as a dashed line.",
        "mbytes",
        "npu_chip_info_hbm_used_memory",
        over_time(f"min({of_cards('npu_chip_info_hbm_total_memory')})", "total"),
    ).override_by_name("total", [*panels.DASHED, panels.color("red")])


def power() -> Panel:
    return by_card(
        "Power by card",
        "A card that draws much less than the others of the same run does less work. Colours as above.",
        "watt",
        "npu_chip_info_power",
    ).legend(panels.NO_LEGEND)


def temperature() -> Panel:
    return by_card(
        "Temperature by card",
        "A card much hotter than its neighbours has a cooling problem. Colours as above.",
        "celsius",
        "npu_chip_info_temperature",
    ).legend(panels.NO_LEGEND)


def memory_errors() -> Panel:
    return by_card(
        "Uncorrectable HBM errors by card",
        "Errors of two bits, which the memory cannot repair, since the card was reset. A card that counts up needs a"
        " replacement.",
        "short",
        "npu_chip_info_hbm_ecc_double_bit_error_cnt",
    ).decimals(0)


def health_over_time() -> Panel:
    return panels.states(
        "Health by card",
        "When a card became unhealthy. The operator tries a run again elsewhere when its card fails.",
        over_time(of_cards("npu_chip_info_health_status"), CARD),
    ).mappings([panels.words(HEALTH)])


DASHBOARD = Dashboard(
    uid="bertfinetune-run-npu",
    title="Run x NPU",
    description="The Ascend cards that one run holds, from the npu-exporter, beside the run's step time.",
    variables=("datasource", "cluster", "run_namespace", "run"),
    since="now-1h",
    refresh="30s",
    bands=[
        Band(
            "",
            4,
            [
                (3, held()),
                (3, health()),
                (3, error()),
                (4, utilisation_now()),
                (3, memory_share()),
                (4, power_now()),
                (4, hottest()),
            ],
        ),
        Band("", 8, [(12, step_time()), (12, throughput())]),
        Band("Cards", 8, [(12, utilisation()), (12, memory())]),
        Band("", 8, [(6, power()), (6, temperature()), (6, memory_errors()), (6, health_over_time())]),
    ],
)
