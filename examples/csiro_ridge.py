"""Heads on given features against ridge regression on the same folds: the table of CSIRO's Image2Biomass.

    outfold run examples/csiro_features.yaml --data CSIRO --out RUN
    python examples/csiro_ridge.py RUN CSIRO

CSIRO holds train_with_published_folds.csv, features.npy with features_ids.csv, and oof.csv, the out-of-fold predictions
of the competition's 8th place. The script prints

    how even the run's folds are, beside the published ones
    weighted R2 of ridge regression and of each of the run's stages, with intervals over sampling dates
    by how much each stage is better than the ridge that may see as much
    what the run's answer adds to the 8th place's, by weights that are learned inside folds

Ridge standardises by a fold's training rows; `nested` picks its penalty by the same metric, each time inside the
training folds alone.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import outfold
from outfold import ensemble, folds, metrics
from outfold.runs.member_files import read_member
from outfold.settings.train import TrainStage

ALPHAS = tuple(np.geomspace(10, 30000, 15))
SENSORS = ["Pre_GSHH_NDVI", "Height_Ave_cm"]
Score = Callable[[np.ndarray, np.ndarray], float]


def ridge_oof(inputs: np.ndarray, target: np.ndarray, fold: np.ndarray, alpha: float) -> np.ndarray:
    """Out-of-fold predictions (n, k) of ridge regression, standardised on the training rows of each fold."""
    prediction = np.full(target.shape, np.nan)
    for number in np.unique(fold):
        held_out = fold == number
        model = make_pipeline(StandardScaler(), Ridge(alpha))
        prediction[held_out] = model.fit(inputs[~held_out], target[~held_out]).predict(inputs[held_out])
    return prediction


def nested_ridge_oof(inputs: np.ndarray, target: np.ndarray, fold: np.ndarray, score: Score) -> np.ndarray:
    """The same, with the penalty chosen for each fold by the out-of-fold score of the others."""
    prediction = np.full(target.shape, np.nan)
    for number in np.unique(fold):
        held_out = fold == number
        x, y, inner = inputs[~held_out], target[~held_out], fold[~held_out]
        best = max(ALPHAS, key=lambda alpha: score(y, ridge_oof(x, y, inner, alpha)))
        model = make_pipeline(StandardScaler(), Ridge(best))
        prediction[held_out] = model.fit(x, y).predict(inputs[held_out])
    return prediction


def stages_of(run: outfold.Run, ids: np.ndarray, targets: list[str]) -> dict[str, np.ndarray]:
    """Out-of-fold predictions (n, k) of each train stage of a run, the mean of its members, and of its answer."""
    found = {}
    for name, stage in run.recipe.stages.items():
        if isinstance(stage, TrainStage):
            members = [read_member(run.path, run.summary, f"{name}/{one}", "regression") for one in stage.members]
            found[name] = np.mean([member.own(ids) for member in members], axis=0, dtype=np.float64)
    answer = run.oof.set_index("id").loc[list(ids), [f"pred_{name}" for name in targets]]
    return found | {f"answer ({run.recipe.final_stage()})": answer.to_numpy(np.float64)}


@dataclass(frozen=True)
class Judge:
    """The rows that all predictions are of, and how they are judged.

    Attributes:
        metric: the task's.
        target: float64 (n, k), grams.
        dates: (n,), the groups that intervals are drawn over.
        fold: int64 (n,), the run's folds.
    """

    metric: metrics.Metric
    target: np.ndarray
    dates: np.ndarray
    fold: np.ndarray

    def line(self, name: str, prediction: np.ndarray) -> str:
        """A score and its interval."""
        low, high = metrics.interval(self.metric, self.target, prediction, self.dates)
        return f"  {name:<32} {self.metric.function(self.target, prediction):.4f}  [{low:.3f}, {high:.3f}]"

    def gain(self, name: str, over: np.ndarray, prediction: np.ndarray) -> str:
        """By how much a prediction is better than another."""
        found = metrics.compare(self.metric, self.target, over, prediction, self.dates)
        value, low, high = found.difference
        return f"  {name:<50} {value:+.4f}  [{low:+.3f}, {high:+.3f}]  better in {found.probability:.0%} of resamples"

    @property
    def splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The other rows and the rows of each fold."""
        return [(np.flatnonzero(self.fold != one), np.flatnonzero(self.fold == one)) for one in np.unique(self.fold)]


def ridges(inputs: np.ndarray, judge: Judge, word: str) -> dict[str, np.ndarray]:
    """Ridge with the penalties that others used, and with its own choice."""
    fixed = {f"ridge {alpha}{word}": ridge_oof(inputs, judge.target, judge.fold, alpha) for alpha in (300, 1000)}
    return fixed | {f"ridge nested{word}": nested_ridge_oof(inputs, judge.target, judge.fold, judge.metric.function)}


def print_blend(name: str, first: np.ndarray, second: np.ndarray, judge: Judge) -> None:
    """What a second prediction adds to a first, by weights that are learned inside folds."""
    found = ensemble.nested(
        [first, second], judge.target, judge.splits, judge.metric, ensemble.constrained, groups=judge.dates
    )
    shares = ", ".join(f"{share:.2f}" for share in found.by_fold[:, 1])
    print(judge.gain(f"{name}: {found.score:.4f}", first, found.prediction))
    print(f"      in sample {found.in_sample:.4f}; plain mean {found.plain:.4f}; its share by fold {shares}")


def main() -> None:
    """Read the run and the table, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    run = outfold.Run(given.run)
    id_column, targets = run.recipe.data.id, list(run.recipe.task.target)
    table = pd.read_csv(given.data / "train_with_published_folds.csv").set_index(id_column)
    ids = table.index.to_numpy(object)
    fold = pd.read_csv(run.path / "folds.csv").set_index("id")["fold"].loc[ids].to_numpy()
    target, dates = table[targets].to_numpy(np.float64), table["Sampling_Date"].to_numpy()
    judge = Judge(metrics.metric_of(run.recipe.task), target, dates, fold)
    names = pd.Index(pd.read_csv(given.data / "features_ids.csv")[id_column])
    features = np.load(given.data / "features.npy", allow_pickle=False)[names.get_indexer(table.index)]
    sensors = np.hstack([features, table[SENSORS].to_numpy()])

    strata = {"State": table["State"].to_numpy()}
    even, published = (folds.imbalance(one, strata).total for one in (fold, table["fold"].to_numpy()))
    print(f"imbalance of the folds by State: {even:.3f}; of the published ones {published:.3f}")
    print("\nweighted R2 out of fold, with 95% intervals over sampling dates")
    references = ridges(features, judge, "") | ridges(sensors, judge, ", sensors")
    own = stages_of(run, ids, targets)
    eighth = pd.read_csv(given.data / "oof.csv").set_index(id_column).loc[ids]
    theirs = eighth[[f"pred_{name}" for name in targets]].to_numpy(np.float64)
    for name, prediction in {**references, **own, "8th place": theirs}.items():
        print(judge.line(name, prediction))
    print("\nby how much the run's stages are better than ridge")
    for name, prediction in own.items():
        for reference in ("ridge nested", "ridge nested, sensors"):
            print(judge.gain(f"{name} over {reference}", references[reference], prediction))
    print("\nwhat they add to the 8th place, weights learned inside folds")
    for name, prediction in own.items():
        print_blend(f"with {name}", theirs, prediction, judge)


if __name__ == "__main__":
    main()
