"""The kinds of panels, with what all panels of a kind have in common."""

from collections.abc import Iterable, Mapping

from grafana_foundation_sdk.builders import bargauge, common, heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from bertfinetune_dashboards.variables import DATASOURCE

Query = prometheus.Dataquery
Property = dashboard.DynamicConfigValue

PHASES = {
    "Pending": "yellow",
    "Queued": "light-yellow",
    "Preparing": "light-blue",
    "Running": "blue",
    "Suspended": "purple",
    "Retrying": "orange",
    "Succeeded": "green",
    "Failed": "red",
}
"""Colour of each phase."""


def over_time(expr: str, legend: str = "") -> Query:
    """A query over the time range."""
    return Query().expr(expr).legend_format(legend).range()


def now(expr: str, legend: str = "") -> Query:
    """A query at the end of the time range."""
    return Query().expr(expr).legend_format(legend).instant()


def graph(title: str, description: str, unit: str, *queries: Query) -> timeseries.Panel:
    """Lines over time."""
    legend = common.VizLegendOptions().display_mode(models.LegendDisplayMode.LIST)
    panel = (
        timeseries.Panel()
        .line_width(2)
        .fill_opacity(8)
        .show_points(models.VisibilityMode.AUTO)
        .min(0)
        .legend(legend.placement(models.LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING))
    )
    return _filled(panel, title, description, unit, queries)


def stacked(title: str, description: str, unit: str, *queries: Query) -> timeseries.Panel:
    """Areas on top of each other."""
    stacking = common.StackingConfig().mode(models.StackingMode.NORMAL)
    return graph(title, description, unit, *queries).stacking(stacking).fill_opacity(60).line_width(0)


def bars(title: str, description: str, unit: str, *queries: Query) -> timeseries.Panel:
    """Events over time: bars on top of each other."""
    return stacked(title, description, unit, *queries).draw_style(models.GraphDrawStyle.BARS).fill_opacity(80)


def number(title: str, description: str, unit: str, *queries: Query) -> stat.Panel:
    """The last value of each series in large letters."""
    panel = (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(models.BigValueColorMode.VALUE)
        .graph_mode(models.BigValueGraphMode.NONE)
    )
    return _filled(panel, title, description, unit, queries).thresholds(steps("text"))


def word(title: str, description: str, *queries: Query) -> stat.Panel:
    """The name of each series in large letters."""
    return number(title, description, "none", *queries).text_mode(models.BigValueTextMode.NAME)


def ranking(title: str, description: str, unit: str, *queries: Query) -> bargauge.Panel:
    """A horizontal bar for each series."""
    panel = (
        bargauge.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(models.VizOrientation.HORIZONTAL)
        .display_mode(models.BarGaugeDisplayMode.BASIC)
        .min(0)
    )
    return _filled(panel, title, description, unit, queries).thresholds(steps("blue"))


def distribution(title: str, description: str, unit: str, query: Query) -> heatmap.Panel:
    """The buckets of a histogram over time."""
    panel = heatmap.Panel().hide_legend()
    panel = _filled(panel, title, description, unit, [query.format(PromQueryFormat.HEATMAP)])
    axis = heatmap.YAxisConfig()
    return panel.y_axis(axis.unit(unit))


def states(title: str, description: str, *queries: Query) -> statetimeline.Panel:
    """A line of states for each series."""
    legend = common.VizLegendOptions().show_legend(False).display_mode(models.LegendDisplayMode.LIST)
    panel = (
        statetimeline.Panel()
        .merge_values(True)
        .show_value(models.VisibilityMode.AUTO)
        .row_height(0.8)
        .legend(legend.placement(models.LegendPlacement.BOTTOM))
    )
    return _filled(panel, title, description, "none", queries)


def rows(title: str, description: str, queries: Mapping[str, Query], columns: Mapping[str, str]) -> table.Panel:
    """A table: queries by the name of their number's column, joined by the labels that all of them have.

    `columns` maps labels to names of columns. The columns stand in the order of `columns`, which names numbers too, by their
    own names; what it does not name is hidden.
    """
    numbers = dict(zip(queries, (f"Value #{_ref(position)}" for position in range(len(queries))), strict=True))
    shown = {numbers.get(column, column): name for column, name in columns.items()}
    hidden = ["Time", *(column for name, column in numbers.items() if name not in columns)]
    arrange = {
        "indexByName": {column: position for position, column in enumerate(shown)},
        "renameByName": shown,
        "excludeByName": dict.fromkeys(hidden, True),
    }
    panel = table.Panel().filterable(True)
    tables = [query.format(PromQueryFormat.TABLE) for query in queries.values()]
    panel = _filled(panel, title, description, "none", tables).thresholds(steps("text"))
    for transformation, options in (("merge", {}), ("organize", arrange)):
        panel.with_transformation(dashboard.DataTransformerConfig(id_val=transformation, options=options))
    return panel


def steps(base: str, *limits: tuple[float, str]) -> builders.ThresholdsConfig:
    """A colour, and the colours from each limit on."""
    thresholds = [dashboard.Threshold(value=value, color=color) for value, color in ((None, base), *limits)]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(thresholds)


def limits(base: str, *steps_: tuple[float, str]) -> Property:
    """What `steps` says, for an override."""
    return Property("thresholds", steps(base, *steps_).build())


def color(name: str) -> Property:
    """A fixed colour."""
    return Property("color", {"mode": "fixed", "fixedColor": name})


def words(values: Iterable[tuple[float, str, str]]) -> dashboard.ValueMap:
    """Texts and colours in place of numbers."""
    return dashboard.ValueMap(
        {
            f"{value:g}": dashboard.ValueMappingResult(text=text, color=shade, index=index)
            for index, (value, text, shade) in enumerate(values)
        }
    )
