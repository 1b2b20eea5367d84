"""What `outfold compare` finds: which side is better on their common rows, and what a leaderboard would show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from outfold.data.folds import link_groups
from outfold.errors import DataError
from outfold.metrics import (
    METRICS,
    Comparison,
    Leaderboard,
    Metric,
    Ranks,
    compare,
    get_metric,
    leaderboard,
    simulate_ranks,
)
from outfold.runs.sides import Reading, Side, read_sides
from outfold.settings.task import Task

NAMED = 3
"""How many ids an error names."""


@dataclass(frozen=True)
class Pair:
    """Two sides' predictions of their n common rows.

    Attributes:
        target: float32 (n, k).
        a: float32 (n, k), the first side's predictions.
        b: float32 (n, k), the second side's.
        groups: (n,) labels, or None; rows that either side holds for one group are one.
        outputs: names of the k outputs.
        left_out: rows that the first and the second side alone have.
        in_other_folds: common rows whose fold differs between two runs.
        fold: int64 (n,), the first side's folds, or None.
    """

    target: np.ndarray
    a: np.ndarray
    b: np.ndarray
    groups: np.ndarray | None
    outputs: tuple[str, ...]
    left_out: tuple[int, int]
    in_other_folds: int
    fold: np.ndarray | None = None


@dataclass(frozen=True)
class Compared:
    """Everything that is known of the two sides.

    Attributes:
        metric: what they were judged by.
        target_weights: weights by target that it used; empty where all count alike or it knows no weights.
        pair: the common rows.
        comparison: scores, their difference and how sure it is.
        boards: simulated leaderboards of A and of B, about the same test sets.
        ranks: equally good teams, independent and as alike as A and B; None where no teams were asked for.
    """

    metric: Metric
    target_weights: Mapping[str, float]
    pair: Pair
    comparison: Comparison
    boards: tuple[Leaderboard, Leaderboard]
    ranks: tuple[Ranks, Ranks] | None


def compare_sides(
    a: Path,
    b: Path,
    reading: Reading | None = None,
    *,
    n_test: int | None = None,
    public_share: float = 0.3,
    split: Literal["group", "row"] = "group",
    teams: int | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Compared:
    """Compare two runs or tables of predictions on their common rows.

    Args:
        a: a run folder or a table.
        b: likewise.
        reading: how tables are read, and what is compared.
        n_test: rows of a simulated test set; as many as are common when not given.
        public_share: see `outfold.metrics.leaderboard`.
        split: see there.
        teams: how many equally good models compete; none when not given.
        n_resamples: resamples for the intervals, and simulated test sets (at least one for each team).
        seed: decides all draws.

    Raises:
        DataError: the sides do not fit together, or have no rows in common.
    """
    reading = reading or Reading()
    sides = read_sides(a, b, reading)
    pair = pair_of(*sides)
    metric, weights = _metric(sides, pair.outputs, reading)
    comparison = compare(metric, pair.target, pair.a, pair.b, pair.groups, n_resamples=n_resamples, seed=seed)
    first, second = (
        leaderboard(
            metric,
            pair.target,
            prediction,
            pair.groups,
            n_test=n_test or len(pair.target),
            public_share=public_share,
            split=split,
            n_resamples=max(n_resamples, teams or 0),
            seed=seed,
        )
        for prediction in (pair.a, pair.b)
    )
    ranks = None
    if teams is not None:
        ranks = simulate_ranks(first, teams, seed=seed), simulate_ranks(first, teams, second, seed=seed)
    return Compared(metric, weights, pair, comparison, (first, second), ranks)


def pair_of(a: Side, b: Side) -> Pair:
    """Align two sides by id.

    Raises:
        DataError: they predict different things, have no row in common, hold no truth or different truths.
    """
    order = _outputs_of(a, b)
    places = pd.Index(b.ids, dtype=object).get_indexer(pd.Index(a.ids, dtype=object))
    rows = np.flatnonzero(places >= 0)
    others = places[rows]
    if not len(rows):
        raise DataError(
            f"{a.name} and {b.name} have no row in common",
            got=f"ids such as {a.ids[:NAMED].tolist()} and {b.ids[:NAMED].tolist()}",
        )
    theirs = None if b.target is None else b.target[:, order][others]
    ours = None if a.target is None else a.target[rows]
    _refuse_two_truths(a, b, a.ids[rows], ours, theirs)
    target = ours if ours is not None else theirs
    if target is None:
        raise DataError(f"neither {a.name} nor {b.name} holds the truth")
    groups = [side.groups[chosen] for side, chosen in ((a, rows), (b, others)) if side.groups is not None]
    moved = 0 if a.fold is None or b.fold is None else int((a.fold[rows] != b.fold[others]).sum())
    return Pair(
        target=target,
        a=a.prediction[rows],
        b=b.prediction[:, order][others],
        groups=link_groups(*groups) if groups else None,
        outputs=a.codec.outputs,
        left_out=(len(a.ids) - len(rows), len(b.ids) - len(rows)),
        in_other_folds=moved,
        fold=None if a.fold is None else a.fold[rows],
    )


def _outputs_of(a: Side, b: Side) -> list[int]:
    """Where B keeps the outputs of A."""
    if a.codec.kind != b.codec.kind:
        raise DataError(f"{a.name} is a {a.codec.kind} task, but {b.name} a {b.codec.kind} task")
    if set(a.codec.outputs) != set(b.codec.outputs):
        several = a.codec.kind in ("multilabel", "regression")
        raise DataError(
            f"{a.name} and {b.name} predict different {'targets' if several else 'classes'}",
            got=f"{list(a.codec.outputs)} and {list(b.codec.outputs)}",
            fix="choose common targets with --column" if several else None,
        )
    return [b.codec.outputs.index(output) for output in a.codec.outputs]


def _refuse_two_truths(a: Side, b: Side, ids: np.ndarray, ours: np.ndarray | None, theirs: np.ndarray | None) -> None:
    if ours is None or theirs is None:
        return
    wrong = np.flatnonzero((ours != theirs).any(axis=1))
    if len(wrong):
        shown = (f"{ids[row]}: {ours[row].tolist()} and {theirs[row].tolist()}" for row in wrong[:NAMED])
        raise DataError(
            f"{a.name} and {b.name} hold different truths for {len(wrong)} ids",
            got="; ".join(shown) + ("; .." if len(wrong) > NAMED else ""),
            expected=f"the same values of {', '.join(a.codec.outputs[:10])}",
            fix="compare predictions that were made for the same labels",
        )


def _metric(sides: tuple[Side, Side], outputs: Sequence[str], reading: Reading) -> tuple[Metric, Mapping[str, float]]:
    """The metric asked for, else the first run's, with target weights bound to the outputs by name."""
    tasks = [side.task for side in sides if side.task is not None]
    metric = get_metric(reading.metric or tasks[0].metric, sides[0].codec.kind)
    weights = {} if metric.reweighted is None else _weights(tasks, outputs, reading)
    if not weights:
        return metric, {}
    return get_metric(metric.name, "regression", [weights[output] for output in outputs]), weights


def _weights(tasks: Sequence[Task], outputs: Sequence[str], reading: Reading) -> Mapping[str, float]:
    """By target, the weights given, else those of the runs that weigh targets; empty where all count alike."""
    if reading.target_weights:
        if set(reading.target_weights) != set(outputs):
            raise DataError(
                "the target weights are not for the targets that are compared",
                got=list(reading.target_weights),
                expected=list(outputs),
            )
        return reading.target_weights
    weighing = [task for task in tasks if task.target_weights or METRICS[task.metric].reweighted]
    given = [{name: task.target_weights[name] for name in outputs if task.target_weights} for task in weighing] or [{}]
    if given[0] != given[-1]:
        raise DataError("the two runs weigh their targets differently", got=given, fix="give --target-weights")
    return given[0]
