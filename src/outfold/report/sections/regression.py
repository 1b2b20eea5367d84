"""Predicted against true, residuals, scores by target, and sums that predictions break."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from outfold.data.breaches import equation
from outfold.metrics import METRICS
from outfold.report.html import Child, Html, tag
from outfold.report.layout import Section, bullets, charts, table
from outfold.report.loading import Artefacts, Evaluation
from outfold.report.numbers import counted, metric_title, number, spread
from outfold.report.plot import Plot, figure, padded, plot

MOST_DOTS = 2000
"""With more rows than this, dots become counts in cells."""
MOST_TARGETS = 12
CELLS, BINS = (48, 34), 40


def regression(run: Artefacts) -> Section | None:
    """Charts and scores by target."""
    evaluation = run.evaluation
    if evaluation is None or evaluation.codec.kind != "regression":
        return None
    names = evaluation.codec.columns
    judged = run.scored_stage.get("targets", {})
    body: list[Child] = [_target_table(evaluation, judged)] if len(names) > 1 else []
    body.append(_broken_sums(run.scored_stage.get("identities", {})))
    shown = range(min(len(names), MOST_TARGETS))
    body += [charts(*_target_charts(evaluation, place)) for place in shown]
    body.append(charts(*(_residual_histogram(evaluation, place) for place in shown)))
    if len(names) > MOST_TARGETS:
        body.append(f"The other {len(names) - MOST_TARGETS} targets are in the table only.")
    intro = "Residuals are predicted minus true: above zero the prediction is too high."
    if len(evaluation) > MOST_DOTS:
        intro += " Stronger colour means more rows, on a logarithmic scale."
    return Section("values", "Values", intro, body)


def _target_table(evaluation: Evaluation, judged: Mapping[str, Mapping[str, Any]]) -> Html:
    """Scores of each target by itself, with the intervals that the run's summary has (`judged`, by target)."""
    metrics = [m for m in METRICS.values() if "regression" in m.tasks and m.reweighted is None]
    with_interval = set().union(*judged.values())
    columns, rows = ["target"], []
    for metric in metrics:
        columns += [metric_title(metric.name), *(["95% interval"] if metric.name in with_interval else [])]
    for place, name in enumerate(evaluation.codec.columns):
        true, predicted = evaluation.target[:, [place]], evaluation.prediction[:, [place]]
        row = [name]
        for metric in metrics:
            row.append(number(metric.function(true, predicted)))
            if metric.name in with_interval:
                row.append(spread(judged[name][metric.name]))
        rows.append([*row, number(float((predicted - true).mean()))])
    return table([*columns, "mean residual"], rows, text=("target",), caption="By target", sortable=True)


def _broken_sums(identities: Mapping[str, Mapping[str, Any]]) -> Child:
    """By how much predictions break the sums that the recipe declares, in the targets' unit."""
    if not identities:
        return None
    told = [[tag("code", equation(total, one["parts"])), f": {_broken_by(one)}"] for total, one in identities.items()]
    return [tag("h3", "Sums"), bullets(told)]


def _broken_by(sums: Mapping[str, Any]) -> str:
    if not sums["rows"]:
        return "holds in all out-of-fold predictions, up to rounding"
    off = f"{number(sums['mean'])} on average, {number(sums['largest'])} at most"
    return f"out-of-fold predictions break it on {counted(sums['rows'], 'row')}; they are off by {off}"


def _target_charts(evaluation: Evaluation, place: int) -> list[Child]:
    name = evaluation.codec.columns[place]
    true, predicted = (part[:, place].astype(np.float64) for part in (evaluation.target, evaluation.prediction))
    residual = predicted - true
    both = padded(np.concatenate([true, predicted]))
    square = plot(both, both, height=300)
    flat = plot(padded(predicted), padded(np.append(residual, 0.0)), height=300)
    return [
        figure(
            f"{name}: predicted and true",
            square.drawing(
                f"Predicted against true {name}",
                square.axes(f"true {name}", f"predicted {name}"),
                _cloud(square, true, predicted),
                square.line(np.array(both), np.array(both), "neutral dashed"),
            ),
            "On the dashed line predictions are exact.",
        ),
        figure(
            f"{name}: residuals by prediction",
            flat.drawing(
                f"Residuals of {name} by prediction",
                flat.axes(f"predicted {name}", "residual"),
                _cloud(flat, predicted, residual),
                flat.line(np.array([flat.x.low, flat.x.high]), np.zeros(2), "neutral dashed"),
            ),
        ),
    ]


def _cloud(area: Plot, x: np.ndarray, y: np.ndarray) -> Html:
    """Dots, or shaded cells where there are too many."""
    if len(x) <= MOST_DOTS:
        return area.dots(x, y, "accent many")
    counts, x_edges, y_edges = np.histogram2d(x, y, CELLS, [[area.x.low, area.x.high], [area.y.low, area.y.high]])
    return area.cells(x_edges, y_edges, counts)


def _residual_histogram(evaluation: Evaluation, place: int) -> Html:
    name = evaluation.codec.columns[place]
    residual = evaluation.prediction[:, place].astype(np.float64) - evaluation.target[:, place]
    counts, edges = np.histogram(residual, BINS)
    area = plot((float(edges[0]), float(edges[-1])), (0, 1.05 * float(counts.max())))
    zero = area.vertical(0.0) if edges[0] < 0 < edges[-1] else None
    low, middle, high = np.quantile(residual, (0.025, 0.5, 0.975))
    note = f"Median {number(middle)}; 95% of {counted(len(residual), 'row')} between {number(low)} and {number(high)}."
    drawn = area.drawing(
        f"Histogram of the residuals of {name}", area.axes("residual", "rows"), area.bars(edges, counts, "accent"), zero
    )
    return figure(f"{name}: residuals", drawn, note)
