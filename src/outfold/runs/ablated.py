"""From the run folders of an ablation to what it came to, as numbers and as files."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np

from outfold.files import write_json, write_text
from outfold.metrics import Metric, compare, metric_of
from outfold.metrics.paired import paired_t, simultaneous, verdict
from outfold.report.ablation import Ablation, Difference, Variant, page
from outfold.run_folder import read_summary
from outfold.runs.compare import Pair, pair_of
from outfold.runs.sides import Reading, read_sides
from outfold.settings.task import Task

TABLE, RECORD, PAGE = "ablation.csv", "ablation.json", "ablation.html"
LEVEL = 0.95
IN_A_TAIL = 10
"""How many resamples lie outside an interval on each side, at least; fewer would make its ends a matter of luck."""


def variant_of(name: str, changes: Mapping[str, Any], folder: Path, stage: str, **more: Any) -> Variant:
    """What the summary of a complete run says.

    Args:
        name: of the variant.
        changes: what it sets.
        folder: the run folder.
        stage: the stage whose predictions are its answer.
        more: further fields.
    """
    summary = read_summary(folder)
    by_fold = {fold["fold"]: _or_nan(fold["score"]) for fold in summary["stages"][stage]["folds"]}
    return Variant(name, changes, score=_or_nan(summary["score"]), by_fold=by_fold, scores=summary["scores"], **more)


def judged_against(
    baseline: Path, runs: Mapping[str, tuple[Variant, Path]], task: Task, *, seed: int = 0
) -> tuple[dict[str, Variant], float, int]:
    """Every variant beside its difference to the baseline.

    Args:
        baseline: its run folder.
        runs: by name, variants that came to an end and their run folders.
        task: what all are judged by.
        seed: decides the resamples, the same for all.

    Returns:
        Variants by name, the level of each interval, and the number of resamples.
    """
    metric = metric_of(task.answer)
    each = simultaneous(LEVEL, len(runs))
    resamples = max(2000, round(2 * IN_A_TAIL / (1 - each)))
    judged = {}
    for name, (variant, folder) in runs.items():
        pair = pair_of(*read_sides(baseline, folder, Reading()))
        found = difference_of(pair, metric, level=each, n_resamples=resamples, seed=seed)
        judged[name] = replace(variant, difference=found, notes=(*variant.notes, *_notes(pair, found)))
    return judged, each, resamples


def difference_of(pair: Pair, metric: Metric, *, level: float, n_resamples: int, seed: int = 0) -> Difference:
    """The difference of two sides by fold and over all common rows.

    Args:
        pair: the baseline's predictions and the variant's, with the baseline's folds.
        metric: what both are judged by.
        level: of the pooled interval.
        n_resamples: for the pooled interval.
        seed: decides the resamples.
    """
    assert pair.fold is not None  # both sides are runs
    found = compare(metric, pair.target, pair.a, pair.b, pair.groups, n_resamples=n_resamples, seed=seed, level=level)
    by_fold = {int(number): _fold_difference(pair, metric, pair.fold == number) for number in np.unique(pair.fold)}
    overlap = 1 / (len(by_fold) - 1) if len(by_fold) > 1 else 0.0
    folds = paired_t(list(by_fold.values()), overlap=overlap)
    said = verdict(found.difference.low, found.difference.high, greater_is_better=metric.greater_is_better)
    return Difference(
        rows=found.rows,
        units=found.units,
        left_out=pair.left_out,
        baseline=found.a.value,
        variant=found.b.value,
        by_fold=by_fold,
        folds=folds,
        pooled=found.difference,
        verdict="noise" if contradicts(folds.mean, found.difference.value) else said,
    )


def contradicts(by_fold: float, pooled: float) -> bool:
    """Whether the folds one by one point the other way than all rows at once."""
    return by_fold * pooled < 0 or (by_fold == 0) != (pooled == 0)


def _fold_difference(pair: Pair, metric: Metric, rows: np.ndarray) -> float:
    return metric.function(pair.target[rows], pair.b[rows]) - metric.function(pair.target[rows], pair.a[rows])


def _notes(pair: Pair, found: Difference) -> list[str]:
    notes = []
    ours, theirs = pair.left_out
    if ours or theirs:
        alone = [f"{count:,} only by {who}" for count, who in ((ours, "the baseline"), (theirs, "it")) if count]
        notes.append(
            f"compared on the {found.rows:,} rows that both judged ({', '.join(alone)}); "
            f"the baseline has {found.baseline:.4f} there, it has {found.variant:.4f}"
        )
    if pair.in_other_folds:
        notes.append(f"{pair.in_other_folds:,} of the common rows are in other folds than in the baseline")
    if contradicts(found.folds.mean, found.pooled.value):
        notes.append(
            f"on all rows at once {found.pooled.value:+.4f}, but fold by fold {found.folds.mean:+.4f}: "
            "the folds' models differ in scale, and nothing is said of better or worse"
        )
    undefined = [str(fold) for fold, value in found.by_fold.items() if np.isnan(value)]
    if undefined:
        notes.append(f"the metric is not defined on the common rows of fold {', '.join(undefined)}")
    return notes


def write_ablation(folder: Path, ablation: Ablation) -> None:
    """Write ablation.csv (a row a variant), ablation.json (everything) and ablation.html (one self-contained page)."""
    write_text(folder / TABLE, table_of(ablation))
    write_json(folder / RECORD, _plain(asdict(ablation)))
    write_text(folder / PAGE, page(ablation))


def table_of(ablation: Ablation) -> str:
    """The variants as CSV, the baseline first; cells are empty where there is no number.

    `baseline` is the baseline's score on the `rows` that both judged.
    """
    rows = [_row(variant) for variant in (ablation.baseline, *ablation.variants)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: "" if value is None else value for name, value in _plain(row).items()} for row in rows)
    return text.getvalue()


def _row(variant: Variant) -> dict[str, Any]:
    changes = json.dumps(_plain(variant.changes), ensure_ascii=False)
    row: dict[str, Any] = {"variant": variant.name, "changes": changes, "score": variant.score}
    row |= {"fold_mean": variant.mean, "fold_deviation": variant.deviation}
    row |= {f"fold_{number}": score for number, score in variant.by_fold.items()}
    row |= _difference_cells(variant.difference)
    row |= {f"score_{name}": entry["value"] for name, entry in variant.scores.items()}
    return row | {"notes": "; ".join(variant.notes), "problem": variant.problem}


def _difference_cells(found: Difference | None) -> dict[str, Any]:
    names = ("difference", "low", "high", "verdict", "fold_difference", "fold_low", "fold_high", "rows", "baseline")
    if found is None:
        return dict.fromkeys(names)
    folds = (found.folds.mean, found.folds.low, found.folds.high)
    return dict(zip(names, (*found.pooled, found.verdict, *folds, found.rows, found.baseline), strict=True))


def _plain(value: Any) -> Any:
    """The value as JSON knows it: no tuples, null for what is not a finite number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
