"""The two drawings of an ablation: a row a variant, its folds as dots."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from outfold.metrics.paired import Verdict
from outfold.report.ablation.content import Ablation, Variant
from outfold.report.html import Html, tag
from outfold.report.numbers import MINUS, MISSING, metric_title, number
from outfold.report.plot import BOTTOM, RIGHT, WIDTH, Plot, Scale, drawing, padded, short, widened

ROW, TOP, LEFT = 42, 24, 12
"""Height of a row, and margins; names stand above their marks, so that they may be long on a phone as well."""
LONGEST_NAME = 34
COLOURS: dict[Verdict, str] = {"better": "accent", "worse": "alarm", "noise": "neutral"}


@dataclass(frozen=True)
class Strip:
    """One row of a drawing.

    Attributes:
        name: whose.
        said: at the right end.
        dots: the folds.
        middle: a bar across.
        low: where the whisker begins; NaN draws none.
        high: where it ends.
        colour: class of all marks.
    """

    name: str
    said: str
    dots: tuple[float, ...]
    middle: float
    low: float
    high: float
    colour: str


def differences(ablation: Ablation) -> Html:
    """Every variant's difference to the baseline: by fold, over all common rows, and its interval."""
    strips = [
        Strip(
            variant.name,
            f"{signed(found.pooled.value)} {found.verdict}",
            tuple(found.by_fold.values()),
            *found.pooled,
            COLOURS[found.verdict],
        )
        for variant, found in ablation.compared
    ]
    better = "right" if ablation.greater_is_better else "left"
    axis = f"difference in {metric_title(ablation.metric)} to the baseline (better: {better})"
    return _strips(strips, 0.0, axis, "Differences to the baseline by variant")


def scores(ablation: Ablation) -> Html:
    """Every recipe's scores by fold, with mean and standard deviation."""
    complete = [ablation.baseline, *(variant for variant, _ in ablation.compared)]
    strips = [_score_strip(variant, "accent" if variant is ablation.baseline else "neutral") for variant in complete]
    return _strips(strips, ablation.baseline.mean, metric_title(ablation.metric), "Scores by fold and variant")


def signed(value: float) -> str:
    """A difference with its sign and four decimals; a dash where there is none."""
    return f"{value:+.4f}".replace("-", MINUS) if math.isfinite(value) else MISSING


def _score_strip(variant: Variant, colour: str) -> Strip:
    mean, deviation = variant.mean, variant.deviation
    said = f"{number(mean)} \u00b1 {number(deviation)}"
    return Strip(variant.name, said, tuple(variant.by_fold.values()), mean, mean - deviation, mean + deviation, colour)


def _strips(strips: Sequence[Strip], rule: float, axis: str, description: str) -> Html:
    """Strips below each other on one scale, with a rule at the baseline."""
    values = np.array([rule, *(value for one in strips for value in (*one.dots, one.middle, one.low, one.high))])
    height = TOP + ROW * len(strips) + BOTTOM
    x = Scale(*widened(*padded(values, 0.04)), LEFT, WIDTH - RIGHT)
    canvas = Plot(x, Scale(0, 1, height - BOTTOM, TOP), height=height)
    marks = [_axis(canvas, axis), canvas.vertical(rule, "rule baseline")]
    marks += [_strip(canvas, one, TOP + ROW * place) for place, one in enumerate(strips)]
    said = "; ".join(f"{one.name}: {one.said}" for one in strips)
    return drawing(WIDTH, height, f"{description}. {said}", *marks)


def _strip(canvas: Plot, one: Strip, top: float) -> Html:
    name = one.name if len(one.name) <= LONGEST_NAME else one.name[: LONGEST_NAME - 1] + "\u2026"
    y = top + 28
    at = _at(canvas.x, y)
    dots = "".join(f"{at(value)}h0" for value in one.dots if math.isfinite(value))
    marks = [
        canvas.label(LEFT, top + 13, name, "variant"),
        canvas.label(WIDTH - RIGHT, top + 13, one.said, f"said {one.colour}", "end"),
    ]
    if math.isfinite(one.low) and math.isfinite(one.high):
        marks.append(tag("path", d=f"{at(one.low)}H{short(canvas.x(one.high))}", class_=f"whisker {one.colour}"))
    if math.isfinite(one.middle):
        marks.append(tag("path", d=f"{at(one.middle, -7)}v14", class_=f"mark {one.colour}"))
    return tag("g", marks, tag("path", d=dots, class_=f"dots {one.colour}") if dots else None)


def _at(x: Scale, y: float) -> Callable[..., str]:
    return lambda value, up=0.0: f"M{short(x(value))} {short(y + up)}"


def _axis(canvas: Plot, name: str) -> Html:
    base, x = canvas.y.start, canvas.x
    marks = [tag("path", d=f"M{short(x.start)} {short(base)}H{short(x.stop)}", class_="axis")]
    for value, written in x.labels():
        marks.append(canvas.vertical(value, "grid"))
        marks.append(canvas.label(float(x(value)), base + 17, written, "tick", "middle"))
    marks.append(canvas.label((x.start + x.stop) / 2, canvas.height - 6, name, "name", "middle"))
    return tag("g", marks)
