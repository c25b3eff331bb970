"""The expressions' common parts.

Replicas of the operator take turns: an object's numbers can come from two targets, and are aggregated to the object.
"""

CLUSTER = 'cluster=~"$cluster"'
NAMESPACES = f'{CLUSTER},namespace=~"$namespace"'
RUN = f'{CLUSTER},namespace="$run_namespace",name="$run"'

OBJECT = "cluster, namespace, name"
MODEL = "task, model, accelerator"
KIND = f"{MODEL}, virtual_device, devices, train_batch_size, gradient_accumulation_steps, max_seq_length, cpu"
"""Of one kind are runs whose steps do the same work on the same hardware."""


def of_object(series: str, selector: str = NAMESPACES, labels: str = OBJECT, offset: str = "") -> str:
    """One number an object of a metric, given as `metric` or `metric{matchers}`, without the labels of the scrape."""
    metric, _, matchers = series.rstrip("}").partition("{")
    selector = ",".join(filter(None, (selector, matchers)))
    return f"max by ({labels}) ({metric}{{{selector}}}{offset})"


def by_phase(selector: str = NAMESPACES, matchers: str = "") -> str:
    """How many objects are in each phase in each namespace, those without series of their own included."""
    return of_object(f"bertfinetunes{{{matchers}}}", selector, "cluster, namespace, phase")


def in_phase(*phases: str, selector: str = NAMESPACES, offset: str = "") -> str:
    """1 for each object that is in one of the phases."""
    operator = "=~" if len(phases) > 1 else "="
    series = f'bertfinetune_status_phase{{phase{operator}"{"|".join(phases)}"}}'
    return of_object(series, selector, offset=offset)


def with_model(expression: str, selector: str = NAMESPACES, labels: str = MODEL) -> str:
    """An object's number with the labels that say what is trained on what."""
    info = of_object("bertfinetune_info", selector, f"{OBJECT}, {labels}")
    return f"{expression} * on ({OBJECT}) group_left ({labels}) {info}"


def by_model(aggregation: str, expression: str) -> str:
    """The objects' numbers aggregated for each task, model and accelerator; `aggregation` may end in a parameter."""
    operator, _, parameter = aggregation.partition(" ")
    arguments = f"{parameter}, " if parameter else ""
    return f"{operator} by ({MODEL}) ({arguments}{with_model(expression)})"


def quantile(share: float, histogram: str, selector: str, by: str = "") -> str:
    """A quantile of a histogram, and nothing (NaN fails every comparison) where nothing was observed."""
    labels = f"le, {by}" if by else "le"
    buckets = f"sum by ({labels}) (rate({histogram}_bucket{{{selector}}}[$__rate_interval]))"
    return f"histogram_quantile({share}, {buckets}) >= 0"


def mean(histogram: str, selector: str, by: str) -> str:
    """The mean of what a histogram observed, and nothing where it observed nothing."""

    def rate(part: str) -> str:
        return f"sum by ({by}) (rate({histogram}_{part}{{{selector}}}[$__rate_interval]))"

    return f"{rate('sum')} / ({rate('count')} > 0)"
