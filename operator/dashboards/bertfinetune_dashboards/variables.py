"""The dashboards' variables. One has the same name and values everywhere, so that links can carry it along."""

from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

DATASOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")


def _choice(name: str, label: str, query: str) -> models.VariableModel:
    return models.VariableModel(
        name=name,
        label=label,
        query={"query": query, "refId": name},
        definition=query,
        datasource=DATASOURCE,
        refresh=models.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=models.VariableSort.ALPHABETICAL_ASC,
    )


def _choices(name: str, label: str, query: str) -> models.VariableModel:
    """Several values, or All: that is `.*`, which also holds where no series has the label."""
    variable = _choice(name, label, query)
    variable.multi = variable.include_all = True
    variable.all_value = ".*"
    variable.current = models.VariableOption(text=["All"], value=["$__all"])
    return variable


VARIABLES = {
    variable.name: variable
    for variable in (
        models.VariableModel(
            type_val=models.VariableType.DATASOURCE, name="datasource", label="Data source", query="prometheus"
        ),
        _choices("cluster", "Cluster", "label_values(bertfinetune_operator_info, cluster)"),
        _choices("namespace", "Namespace", 'label_values(bertfinetunes{cluster=~"$cluster"}, namespace)'),
        # not `namespace`: what a link carries along of that may be All, and one run is of one namespace
        _choice("run_namespace", "Namespace", 'label_values(bertfinetune_info{cluster=~"$cluster"}, namespace)'),
        _choice("run", "Run", 'label_values(bertfinetune_info{cluster=~"$cluster",namespace="$run_namespace"}, name)'),
    )
}
