"""What `outfold diagnose` finds: what each member of a run is worth, and whether it sees the test table differently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.folds import link_groups
from outfold.data.folds.grouping import group_column
from outfold.data.table import load_samples
from outfold.ensemble.diagnose import rank_correlation, worth
from outfold.ensemble.methods import METHODS, Method, Options
from outfold.ensemble.ranks import percent_ranks
from outfold.ensemble.shift import Divergence, adversarial, divergence, donors
from outfold.errors import DataError, MediaError, RunError
from outfold.files import known, write_json
from outfold.metrics import metric_of
from outfold.metrics.comparison import Estimate
from outfold.recipe.load import load_recipe
from outfold.report.loading import load_evaluation
from outfold.run_folder import DIAGNOSIS, FOLDS, RECIPE, read_summary
from outfold.runs.member_files import MemberFiles, ensemble_stage, member_names, read_member
from outfold.runs.sides import run_groups
from outfold.settings.blend import BlendStage
from outfold.settings.recipe import Recipe
from outfold.stages.blend import summary_of

MOST_PAIRS = 12
"""Pairs of outputs that are named of each member."""
FEW_GROUPS = 20
"""With fewer groups to draw from, percentile intervals come out too narrow."""
LEARNING = ("in_sample", "optimism", "gain_over_mean")
NO_TEST = "the run has no test table, so nothing is said of how it differs from the training rows"


@dataclass(frozen=True)
class Ensemble:
    """The members of a run's answer, and how they are blended.

    Attributes:
        values: float64 (m, n, k) out of fold, as ranks for a method of ranks.
        weights: float64 (n, m): those that each row was blended with.
        method: how they are combined.
        options: of the method.
    """

    values: np.ndarray
    weights: np.ndarray
    method: Method
    options: Options

    def blend(self, kept: np.ndarray) -> np.ndarray:
        """The blend (n, k) of some members; the weight of the others goes to them in proportion.

        Where none of them had any weight they count alike.
        """
        own = self.weights[:, kept]
        own = np.where(own.sum(axis=1, keepdims=True) > 0, own, 1.0)
        patterns, place = np.unique(own, axis=0, return_inverse=True)
        answer = np.empty(self.values.shape[1:])
        for number, weights in enumerate(patterns):
            rows = np.flatnonzero(place.reshape(-1) == number)
            answer[rows] = self.method.combine(self.values[kept][:, rows], weights, self.options)
        return answer


def diagnose_run(folder: Path, *, root: Path | None = None, seed: int = 0) -> dict[str, Any]:
    """Diagnose the members that a run's answer is made of.

    Args:
        folder: a complete run of at least two members.
        root: folder of its tables, for the groups of the test rows; the one the run used when not given.
        seed: decides resamples, shuffles, and which models predict which test row.

    Returns:
        What diagnosis.json holds: `run_score`, by which a report knows the state of the run; `members` with score,
        gain, weight and importance; `blend`; `learning`; `rank_correlation`; `divergence` by member; `adversarial`; and
        `notes` on what could not be said.

    Raises:
        RunError: it is no complete run, has one member only or no out-of-fold score, or a file is missing.
    """
    summary = read_summary(folder)
    if summary.get("status") != "complete":
        raise RunError(f"the run in {folder} is not complete", got=f"status {summary.get('status')!r}")
    recipe = load_recipe(folder / RECIPE)
    names = member_names(recipe, recipe.final_stage())
    if len(names) < 2:
        raise RunError(
            f"the answer of the run in {folder} comes from one member, and a diagnosis compares members",
            got=names[0],
            fix="give the stage several members, or blend several stages",
        )
    members = [read_member(folder, summary, name, recipe.task.kind) for name in names]
    found, notes = _worth(folder, recipe, members, seed)
    ids = load_evaluation(folder).ids
    shift, more = _shift(folder, recipe, members, ids, root or Path(summary["data"]["root"]), seed)
    for entry, importance in zip(found["members"], shift.pop("importance"), strict=True):
        entry["importance"] = importance
    return {"run_score": summary.get("score"), **found, **shift, "notes": [*notes, *more]}


def write_diagnosis(folder: Path, *, root: Path | None = None) -> dict[str, Any]:
    """Diagnose a run and write RUN/diagnosis.json, which the report shows; see `diagnose_run`."""
    found = diagnose_run(folder, root=root)
    write_json(folder / DIAGNOSIS, found)
    return found


def _worth(folder: Path, recipe: Recipe, members: Sequence[MemberFiles], seed: int) -> tuple[dict[str, Any], list[str]]:
    """Scores, gains and rank correlations; and what must be said of them."""
    evaluation = load_evaluation(folder)
    values = np.stack([member.answer(evaluation.ids, evaluation.codec) for member in members])
    names = [member.name for member in members]
    notes: list[str] = []
    weights, method, options = _blended(folder, recipe, names, evaluation.fold, notes)
    if METHODS[method].of_ranks:
        values = percent_ranks(values)
    ensemble = Ensemble(values, weights, METHODS[method], options)
    metric, groups = metric_of(recipe.task.answer), run_groups(folder / FOLDS, evaluation.ids)
    found = worth(values, evaluation.target, metric, ensemble.blend, groups, seed=seed)
    entries = [
        {"name": name, "score": _estimate(score), "gain": _estimate(gain), "weight": float(weights[:, place].mean())}
        for place, (name, score, gain) in enumerate(zip(names, found.members, found.gains, strict=True))
    ]
    return {
        "metric": metric.name,
        "greater_is_better": metric.greater_is_better,
        "rows": len(evaluation),
        "groups": None if groups is None else len(np.unique(groups)),
        "method": method,
        "learning": _learning(folder, recipe),
        "members": entries,
        "blend": _estimate(found.blend),
        "rank_correlation": [[known(value) for value in row] for row in rank_correlation(values)],
    }, notes


def _learning(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """What the answer's learned weights gained, as the blend wrote it; None where nothing was learned."""
    final = ensemble_stage(recipe)
    record = summary_of(folder / "stages" / final) if isinstance(recipe.stages[final], BlendStage) else {}
    return {name: record[name] for name in LEARNING} if set(LEARNING) <= set(record) else None


def _blended(
    folder: Path, recipe: Recipe, names: Sequence[str], fold: np.ndarray, notes: list[str]
) -> tuple[np.ndarray, Any, Options]:
    """The weights of each row (n, m), the method's name, and its options."""
    final = ensemble_stage(recipe)
    if final != recipe.final_stage():
        notes.append(f"the answer is {final!r} after post-processing; its members are compared before that")
    stage, equal = recipe.stages[final], np.full((len(fold), len(names)), 1 / len(names))
    kind = recipe.task.answer.kind
    if not isinstance(stage, BlendStage):
        return equal, "mean", Options(kind)
    record = summary_of(folder / "stages" / final)
    if set(record["weights"]) != set(names):
        notes.append(f"{final!r} blends blends: gains are those of a plain mean over all their members")
        return equal, "mean", Options(kind)
    weights = np.tile([record["weights"][name] for name in names], (len(fold), 1))
    for part in record.get("folds", []):
        weights[fold == part["fold"]] = [part["weights"][name] for name in names]
    return weights, stage.method, Options(kind, power=stage.power)


def _shift(
    folder: Path, recipe: Recipe, members: Sequence[MemberFiles], ids: np.ndarray, root: Path, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """Divergence by member and adversarial validation, with importances by member; and what must be said of them."""
    if not all(member.test for member in members):
        nothing = [None] * len(members)
        return {"divergence": nothing, "adversarial": None, "importance": nothing}, [NO_TEST]
    test_ids = members[0].test[0].ids
    donor = donors(len(ids), len(test_ids), seed)
    train = [member.own(ids) for member in members]
    test = [member.own_test(test_ids, ids, donor) for member in members]
    groups, test_groups = run_groups(folder / FOLDS, ids), _test_groups(recipe, root, test_ids)
    notes = []
    if groups is not None and test_groups is None:
        notes.append("groups of the test rows are not known: they are taken as unrelated, which may overstate a shift")
    fewest = min((len(np.unique(known)) for known in (groups, test_groups) if known is not None), default=FEW_GROUPS)
    if fewest < FEW_GROUPS:
        notes.append(f"{fewest} groups are few: intervals and limits that compare the tables are too narrow")
    pairs = [
        _pairs(divergence(before, after, groups, test_groups, seed=seed), member.test[0].outputs)
        if before.shape[1] > 1
        else None
        for member, before, after in zip(members, train, test, strict=True)
    ]
    found = adversarial(train, test, groups, test_groups, seed=seed)
    if np.isnan(found.auc):
        notes.append("training or test table have too few groups to tell them apart by a classifier")
    told = {
        "auc": _estimate(Estimate(found.auc, found.low, found.high)),
        "alarming": found.alarming,
        "train_rows": found.rows[0],
        "test_rows": found.rows[1],
    }
    return {
        "divergence": pairs,
        "adversarial": None if np.isnan(found.auc) else told,
        "importance": [known(value) for value in found.importance],
    }, notes


def _pairs(found: Divergence, outputs: Sequence[str]) -> dict[str, Any]:
    """How many pairs of outputs are flagged, and the pairs that differ most, those flagged first."""
    first, second = np.triu_indices(len(outputs), 1)
    apart, flagged = np.abs(found.difference[first, second]), found.flagged[first, second]
    order = np.lexsort((-np.nan_to_num(apart), ~flagged))[:MOST_PAIRS]
    shown = [(outputs[i], outputs[j], int(i), int(j)) for i, j in zip(first[order], second[order], strict=True)]
    return {
        "flagged": int(flagged.sum()),
        "pairs": [
            {
                "outputs": [one, other],
                "train": known(found.train[i, j]),
                "test": known(found.test[i, j]),
                "limit": known(found.limit[i, j]),
                "flagged": bool(found.flagged[i, j]),
            }
            for one, other, i, j in shown
        ],
    }


def _test_groups(recipe: Recipe, root: Path, ids: np.ndarray) -> np.ndarray | None:
    """The groups of the test rows, int64 (t,), where the test table is still there and has their columns."""
    try:
        samples = load_samples(recipe.data, root, "test", targets=recipe.task.target)
    except (DataError, MediaError):
        return None
    columns = [name for name in recipe.folds.group if name in samples.frame.columns]
    places = pd.Index(samples.ids, dtype=object).get_indexer(pd.Index(ids, dtype=object))
    if not columns or (places < 0).any():
        return None
    frame = samples.frame.iloc[places].reset_index(drop=True)
    return link_groups(*(group_column(frame[name], recipe.folds.unknown_group) for name in columns))


def _estimate(estimate: Estimate) -> Mapping[str, float | None]:
    return {name: known(value) for name, value in estimate._asdict().items()}
