"""A dashboard from bands of panels: their places, their numbers, the variables and the links are set here."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from bertfinetune_dashboards.panels import Panel
from bertfinetune_dashboards.variables import VARIABLES

TAG = "bertfinetune"
COLUMNS = 24
SCHEMA_VERSION = 38
"""Of Grafana 10.0. Later ones migrate it when they load it."""


class Band(NamedTuple):
    """Panels beside each other, in as many lines as they need."""

    title: str
    """Heading above the band, or "" for none."""
    height: int
    """Of each panel, in units of Grafana's grid."""
    panels: list[tuple[int, Panel]]
    """Width in columns, and the panel."""


class Dashboard(NamedTuple):
    """What differs from dashboard to dashboard."""

    uid: str
    title: str
    description: str
    variables: tuple[str, ...]
    since: str
    """Start of the time range that it opens with."""
    refresh: str
    bands: list[Band]

    def render(self) -> str:
        """The JSON that Grafana imports; the same text every time."""
        dashboard = models.Dashboard(
            uid=self.uid,
            title=f"BertFinetune / {self.title}",
            description=self.description,
            tags=[TAG],
            editable=False,
            graph_tooltip=models.DashboardCursorSync.CROSSHAIR,
            time=models.DashboardDashboardTime(from_val=self.since),
            refresh=self.refresh,
            schema_version=SCHEMA_VERSION,
            panels=list(_placed(self.bands)),
            templating=models.DashboardDashboardTemplating([VARIABLES[name] for name in self.variables]),
            links=[
                models.DashboardLink(
                    title="BertFinetune",
                    type_val=models.DashboardLinkType.DASHBOARDS,
                    tags=[TAG],
                    include_vars=True,
                    keep_time=True,
                )
            ],
        )
        raw = json.loads(JSONEncoder().encode(dashboard))
        for link in raw["links"]:
            del link["placement"]  # the SDK always asks for a menu that hides the links
        return json.dumps({"id": None, **raw}, indent=1) + "\n"


def _placed(bands: list[Band]) -> Iterator[models.Panel | models.RowPanel]:
    number, top = 0, 0
    for band in bands:
        if band.title:
            number += 1
            yield models.RowPanel(
                id_val=number, title=band.title, grid_pos=models.GridPos(h=1, w=COLUMNS, x=0, y=top), panels=[]
            )
            top += 1
        left = 0
        for width, builder in band.panels:
            if left + width > COLUMNS:
                left, top = 0, top + band.height
            number += 1
            panel = builder.build()
            panel.id_val = number
            panel.grid_pos = models.GridPos(h=band.height, w=width, x=left, y=top)
            yield panel
            left += width
        top += band.height
