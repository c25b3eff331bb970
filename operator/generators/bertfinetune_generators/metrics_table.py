"""The metrics as a page and as names, made from the registry: `python -m bertfinetune_generators.metrics_table`."""

from prometheus_client import Metric
from prometheus_client.registry import CollectorRegistry

from bertfinetune_operator.informer.index import Index
from bertfinetune_operator.telemetry.counters import Metrics
from bertfinetune_operator.telemetry.runs import MAX_OBJECTS

PAGE = f"""# Metrics of the operator

Generated from the registry by `make generate`. Each replica serves them at `:9090/metrics`, as text or as OpenMetrics.
What has the labels `namespace` and `name` is about the BertFinetune of that name and vanishes with it; only the replica
that leads knows any. At most {MAX_OBJECTS} objects have such series, the unfinished and the newest first;
`bertfinetune_series_dropped` counts the others. A reason is one of the words in `.status.reason`.
`bertfinetune_ms_per_step` is no base unit, on purpose: see [ADR 10](adr/0010-milliseconds-per-step.md). The
trainers' own metrics are listed in [trainer_image/docs/metrics.md](../../trainer_image/docs/metrics.md).

| Metric | Type | Labels | Meaning |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The page in Markdown."""
    registry = Metrics(Index()).registry
    return PAGE + "".join(_row(family, registry) for family in registry.collect())


def _row(family: Metric, registry: CollectorRegistry) -> str:
    name = sample_names(family)[0] if family.type == "counter" else family.name
    # no public way leads from a family without samples to its labels
    source = family if hasattr(family, "_labelnames") else registry._names_to_collectors[family.name]
    labels = ", ".join(f"`{label}`" for label in getattr(source, "_labelnames", ()))
    return f"| `{name}` | {family.type} | {labels} | {family.documentation} |\n"


SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}


def sample_names(family: Metric) -> tuple[str, ...]:
    """The names under which a family's samples are stored and asked for."""
    return tuple(family.name + suffix for suffix in SUFFIXES.get(family.type, ("",)))


def names() -> frozenset[str]:
    """The names of all samples that the operator can export: what a rule or a dashboard may ask for."""
    return frozenset(name for family in Metrics(Index()).registry.collect() for name in sample_names(family))


if __name__ == "__main__":
    print(page(), end="")
