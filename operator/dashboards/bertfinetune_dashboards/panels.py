"""The kinds of panels, with what all panels of a kind have in common."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from bertfinetune_dashboards.variables import DATASOURCE

Query = prometheus.Dataquery
Property = dashboard.DynamicConfigValue
Panel = Builder[dashboard.Panel]
PanelT = TypeVar(
    "PanelT", bargauge.Panel, heatmap.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel
)

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
NO_LEGEND = (
    common.VizLegendOptions()
    .show_legend(False)
    .display_mode(models.LegendDisplayMode.LIST)
    .placement(models.LegendPlacement.BOTTOM)
)


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
        .axis_soft_min(0)
        .color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC))
        .legend(legend.placement(models.LegendPlacement.BOTTOM).show_legend(True))
        .tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI).sort(models.SortOrder.DESCENDING))
    )
    return _filled(panel, title, description, unit, queries)


def stacked(title: str, description: str, unit: str, *queries: Query) -> timeseries.Panel:
    """Areas on top of each other."""
    stacking = common.StackingConfig().mode(models.StackingMode.NORMAL)
    panel = graph(title, description, unit, *queries).stacking(stacking).show_points(models.VisibilityMode.NEVER)
    return panel.fill_opacity(60).line_width(0)


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
        .text(common.VizTextDisplayOptions().title_size(12).value_size(12))
        .name_placement(models.BarGaugeNamePlacement.TOP)
        .max_viz_height(40)
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
    panel = (
        statetimeline.Panel()
        .merge_values(True)
        .show_value(models.VisibilityMode.AUTO)
        .row_height(0.8)
        .legend(NO_LEGEND)
    )
    return _filled(panel, title, description, "none", queries)


def rows(title: str, description: str, columns: Mapping[str, Query | str], labels: Sequence[Query]) -> table.Panel:
    """A table of the columns: a query's numbers, or the values of a label.

    The rows are joined by the labels that all queries have. Of the queries `labels` only the labels are shown.
    """
    numbers = {name: query for name, query in columns.items() if isinstance(query, Query)}
    fields = {name: f"Value #{_ref(position)}" for position, name in enumerate(numbers)}
    fields |= {name: label for name, label in columns.items() if isinstance(label, str)}
    hidden = ["Time", *(f"Value #{_ref(len(numbers) + position)}" for position in range(len(labels)))]
    hidden += sorted({"cluster", "namespace", "name"} - set(fields.values()))
    arrange = {
        "indexByName": {fields[name]: position for position, name in enumerate(columns)},
        "renameByName": {fields[name]: name for name in columns},
        "excludeByName": dict.fromkeys(hidden, True),
    }
    tables = [query.format(PromQueryFormat.TABLE) for query in (*numbers.values(), *labels)]
    panel = _filled(table.Panel(), title, description, "none", tables).thresholds(steps("text"))
    panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    return panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=arrange))


def steps(base: str, *limits: tuple[float, str]) -> builders.ThresholdsConfig:
    """A colour, and the colours from each limit on."""
    thresholds = [dashboard.Threshold(value=value, color=color) for value, color in ((None, base), *limits)]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(thresholds)


def limits(base: str, *steps_: tuple[float, str]) -> Property:
    """What `steps` says, for an override."""
    return Property("thresholds", steps(base, *steps_).build())


COLOURS_OF_PHASES = dashboard.ValueMap(
    {phase: dashboard.ValueMappingResult(color=shade) for phase, shade in PHASES.items()}
)
"""For a column of phases."""


def in_colours_of_phases(panel: PanelT) -> PanelT:
    """The panel, with the series named after a phase in the phase's colour."""
    for phase, shade in PHASES.items():
        panel.override_by_name(phase, [color(shade)])
    return panel


def color(name: str) -> Property:
    """A fixed colour."""
    return Property("color", {"mode": "fixed", "fixedColor": name})


def shades(name: str) -> Property:
    """A shade of the colour for each series."""
    return Property("color", {"mode": "shades", "fixedColor": name})


def width(pixels: int) -> Property:
    """The width of a table's column."""
    return Property("custom.width", pixels)


INVISIBLE = (
    Property("custom.hidden", True),
    Property("custom.hideFrom", {"viz": True, "legend": False, "tooltip": False}),
)
"""For a table's column that only a link reads; Grafana knew the first until 12, and the second since."""
DASHED = (
    Property("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}),
    Property("custom.fillOpacity", 0),
)
"""For a line that is to be told apart from the others."""


def words(values: Iterable[tuple[float, str, str]]) -> dashboard.ValueMap:
    """Texts and colours in place of numbers."""
    return dashboard.ValueMap(
        {
            f"{value:g}": dashboard.ValueMappingResult(text=text, color=shade, index=index)
            for index, (value, text, shade) in enumerate(values)
        }
    )


def _filled(panel: PanelT, title: str, description: str, unit: str, queries: Sequence[Query]) -> PanelT:
    panel.title(title).description(description).unit(unit).datasource(DATASOURCE)
    for position, query in enumerate(queries):
        panel.with_target(query.datasource(DATASOURCE).ref_id(_ref(position)))
    return panel


def _ref(position: int) -> str:
    return chr(ord("A") + position)
