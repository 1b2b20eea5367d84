"""Learning curves: loss and metric by epoch, for every member, its folds and seeds on one chart."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pandas as pd
from scipy.optimize import isotonic_regression

from outfold.report.html import Child, Html
from outfold.report.layout import Section, charts
from outfold.report.loading import Artefacts, Training
from outfold.report.numbers import fold_name, metric_title
from outfold.report.plot import Plot, figure, integer_ticks, key, padded, plot

MOST_NAMED = 8
"""More lines than this and numbers at their ends would only cover each other."""
LETTER = 6.6
"""Mean width of a letter of a phase's name, in units of the drawing."""


def training(run: Artefacts) -> Section | None:
    """One pair of charts a member."""
    if not run.trainings and not run.notes:
        return None
    pairs = [
        charts(*_member_charts(f"{stage}/{member}", list(models), run.recipe.task_of(stage).metric, _kept(run)))
        for (stage, member), models in groupby(run.trainings, key=lambda model: (model.stage, model.member))
    ]
    intro = (
        "One line a model; the number at its end is the fold it held out. Dots mark the epoch whose weights predict, "
        "or the epochs whose mean does. Validation sees each row once, without test-time augmentation."
    )
    return Section("training", "Training", intro, [*pairs, *run.notes])


def _kept(run: Artefacts) -> dict[tuple[str, str, int, int], list[int]]:
    """The epochs that each model's weights are of."""
    return {
        (stage, member, job["fold"], job["seed"]): job.get("combined", {}).get("epochs", [job["best_epoch"]])
        for stage, entry in run.summary.get("stages", {}).items()
        for member, part in entry.get("members", {}).items()
        for job in part["jobs"]
    }


def _member_charts(
    name: str, models: Sequence[Training], metric: str, kept: dict[tuple[str, str, int, int], list[int]]
) -> list[Child]:
    phases = _phases(max((model.history for model in models), key=len))
    spoken = ", ".join(
        f"{phase} {first} to {last}" if last > first else f"{phase} {first}" for phase, first, last in phases
    )
    lines = [("neutral", "training"), ("accent", "validation")]
    drawn: list[Child] = [
        figure(
            f"{name}: loss",
            _curves(models, ["train_loss", "valid_loss"], "loss", kept, phases),
            key(*lines),
            f"Epochs by phase: {spoken}.",
        )
    ]
    if any(metric in model.history for model in models):
        title = f"{name}: {metric_title(metric)}"
        drawn.append(figure(title, _curves(models, [metric], metric_title(metric), kept, phases), key(lines[1])))
    return drawn


def _curves(
    models: Sequence[Training],
    columns: Sequence[str],
    label: str,
    kept: dict[tuple[str, str, int, int], list[int]],
    phases: Sequence[tuple[str, int, int]],
) -> Html:
    """Lines by epoch; the last of `columns` is the one that is judged: accented, dotted, named."""
    columns = [name for name in columns if any(name in model.history for model in models)]
    values = np.concatenate([_values(model.history, name) for model in models for name in columns])
    last = max(int(model.history["epoch"].max()) for model in models)
    area = plot((0.5, last + 0.5), padded(values), x_ticks=integer_ticks(1, last))
    marks: list[Child] = [area.axes("epoch", label), _phase_marks(area, phases)]
    for model in models:
        epochs, said = model.history["epoch"].to_numpy(float), f"fold {fold_name(model.fold)}, seed {model.seed}"
        for name in columns:
            judged = name == columns[-1] and name != "train_loss"
            marks.append(area.line(epochs, _values(model.history, name), "accent" if judged else "neutral", said))
        chosen = np.isin(epochs, kept.get((model.stage, model.member, model.fold, model.seed), []))
        marks.append(area.dots(epochs[chosen], _values(model.history, columns[-1])[chosen], "accent kept"))
    if len(models) <= MOST_NAMED:
        marks.append(_ends(area, models, columns[-1]))
    return area.drawing(f"{label} by epoch for {len(models)} models", marks)


def _values(history: pd.DataFrame, column: str) -> np.ndarray:
    """A column as float64 (epochs,), NaN where there is none."""
    return history[column].to_numpy(float) if column in history else np.full(len(history), np.nan)


def _phases(history: pd.DataFrame) -> list[tuple[str, int, int]]:
    """(name, first epoch, last epoch) of each phase, in order."""
    phase = history["phase"].astype(str)
    runs = (phase != phase.shift()).cumsum()
    return [
        (str(part["phase"].iloc[0]), int(part["epoch"].min()), int(part["epoch"].max()))
        for _, part in history.groupby(runs)
    ]


def _phase_marks(area: Plot, phases: Sequence[tuple[str, int, int]]) -> list[Child]:
    """A dotted line where a phase begins, and its name where it fits."""
    if len(phases) < 2:
        return []
    marks: list[Child] = []
    for name, first, last in phases:
        left, right = area.x([first - 0.5, last + 0.5])
        if first > 1:
            marks.append(area.vertical(first - 0.5))
        if right - left > len(name) * LETTER + 8:
            marks.append(area.label(left + 4, area.y.stop - 4, name, "phase"))
    return marks


def _ends(area: Plot, models: Sequence[Training], column: str) -> list[Child]:
    """The fold at the end of each line, moved apart where lines end close together."""
    ends = []
    for model in models:
        values = _values(model.history, column)
        finite = np.flatnonzero(np.isfinite(values))
        if len(finite):
            place = finite[-1]
            ends.append(
                (float(area.y(values[place])), float(area.x(model.history["epoch"].iloc[place])), fold_name(model.fold))
            )
    ends.sort()
    places = spread([y for y, _, _ in ends], 11.5, area.y.stop, area.y.start)
    return [area.label(x + 7, y + 4, name, "end") for y, (_, x, name) in zip(places, ends, strict=True)]


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Sorted places moved as little as least squares allows until they are `gap` apart, inside [low, high].

    Places minus multiples of the gap need only be in order: that is isotonic regression.
    """
    if not places:
        return []
    steps = gap * np.arange(len(places))
    moved = isotonic_regression(np.asarray(places) - steps).x
    return (np.clip(moved, low, max(low, high - steps[-1])) + steps).tolist()
