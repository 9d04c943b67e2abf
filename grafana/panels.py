"""What panels are made of: expressions over the chosen machines, and one function for each kind of panel.

Processes of a machine are told apart by the label `process`. Counters are added up over them; a gauge that tells of the
whole machine is the same in all, and is taken once (`machine`).
"""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_CHOSEN = 'job=~"$job", instance=~"$instance"'
_COLUMNS = 24


def of(metric: str, labels: str = "") -> str:
    """The series of a metric, of the chosen machines."""
    return f"{metric}{{{_CHOSEN}{', ' if labels else ''}{labels}}}"


def total(metric: str, by: str = "", labels: str = "") -> str:
    """A gauge of processes, added up."""
    return f"sum{_by(by)} ({of(metric, labels)})"


def machine(metric: str, by: str = "instance") -> str:
    """A gauge that every process of a machine tells the same."""
    return f"max{_by(by)} ({of(metric)})"


def rate(metric: str, by: str = "", labels: str = "") -> str:
    """A counter, each second."""
    return f"sum{_by(by)} (rate({of(metric, labels)}[$__rate_interval]))"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """What so many of the observations are below."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', f'{by}, le' if by else 'le')})"


def quantiles(histogram: str) -> dict[str, str]:
    """The usual ones."""
    return {f"p{share * 100:g}": quantile(share, histogram) for share in (0.5, 0.95, 0.99)}


def number(title: str, description: str, unit: str, expression: str, *, legend: str = "", width: int = 4) -> stat.Panel:
    """One large number, of now."""
    panel = (
        stat.Panel()
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_query(expression, legend, "A"))
    )
    return panel.title(title).description(description).unit(unit).datasource(DATASOURCE).height(4).span(width)


def lines(
    title: str, description: str, unit: str, queries: Mapping[str, str], *, stacked: bool = False, width: int = 8
) -> timeseries.Panel:
    """Lines over time; `queries` are expressions by their legends."""
    panel = (
        timeseries.Panel()
        .min(0)
        .fill_opacity(30 if stacked else 8)
        .stacking(common.StackingConfig().mode(StackingMode.NORMAL if stacked else StackingMode.NONE))
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    for letter, (legend, expression) in zip("ABCDEFGH", queries.items(), strict=False):
        panel.with_target(_query(expression, legend, letter))
    return panel.title(title).description(description).unit(unit).datasource(DATASOURCE).height(8).span(width)


def _query(expression: str, legend: str, letter: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter).datasource(DATASOURCE)
    return query.exemplar(exemplar=True) if "histogram_quantile" in expression else query


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""
