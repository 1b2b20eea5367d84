"""Heads on given features against ridge regression on the same folds: the table of CSIRO's Image2Biomass.

    outfold run examples/csiro_features.yaml --data CSIRO --out RUN
    python examples/csiro_ridge.py RUN CSIRO

CSIRO holds the competition's train.csv, features.npy with features_ids.csv, the folds of its 8th place
(train_with_published_folds.csv) and their out-of-fold predictions (oof.csv). The script prints

    how even the run's folds are, beside the published ones
    weighted R2 of ridge regression and of each of the run's stages, with intervals over sampling dates
    by how much each stage is better than the ridge that may see as much
    what the run's answer adds to the 8th place's, by weights that are learned inside folds

Ridge standardises by a fold's training rows. NDVI and height, two columns beside 768, weigh ten times as much: with the
weight of one feature each they are hardly used. `nested` picks the penalty by the same metric, each time inside the
training folds alone. `roots` learns square roots of masses, and with sensors reads logarithms of both, as the heads do
of height: what is left of their lead is the network's own.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

import outfold
from outfold import ensemble, folds, metrics
from outfold.runs.member_files import read_member
from outfold.settings.train import TrainStage

ALPHAS = tuple(np.geomspace(100, 10000, 9))
PENALTIES = (("300", 300.0), ("1000", 1000.0), ("nested", None))
SENSORS, SENSOR_WEIGHT = ["Pre_GSHH_NDVI", "Height_Ave_cm"], 10.0
Score = Callable[[np.ndarray, np.ndarray], float]
Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Linear:
    """Ridge regression on standardised inputs, some of which weigh more than others.

    Attributes:
        inputs: float64 (n, f).
        weights: float64 (f,), what standardised inputs are multiplied by.
        target: float64 (n, k).
        roots: whether square roots of the target are learned, and no prediction is below zero.
    """

    inputs: np.ndarray
    weights: np.ndarray
    target: np.ndarray
    roots: bool = False

    def predicted(self, train: np.ndarray, rows: np.ndarray, alpha: float) -> np.ndarray:
        """Predictions (m, k) of some rows, learned from others."""
        scaler = StandardScaler().fit(self.inputs[train])
        learned, asked = (scaler.transform(self.inputs[some]) * self.weights for some in (train, rows))
        if not self.roots:
            return Ridge(alpha).fit(learned, self.target[train]).predict(asked)
        return np.maximum(Ridge(alpha).fit(learned, np.sqrt(self.target[train])).predict(asked), 0) ** 2

    def oof(self, splits: list[Split], alpha: float | None, score: Score) -> np.ndarray:
        """Out-of-fold predictions (n, k); without a penalty the best of ALPHAS inside each split's training rows."""
        prediction = np.full(self.target.shape, np.nan)
        for number, (train, held_out) in enumerate(splits):
            inner = [(np.intersect1d(train, one), two) for place, (one, two) in enumerate(splits) if place != number]
            chosen = alpha or max(ALPHAS, key=lambda one: self._inside(inner, train, one, score))
            prediction[held_out] = self.predicted(train, held_out, chosen)
        return prediction

    def _inside(self, inner: list[Split], train: np.ndarray, alpha: float, score: Score) -> float:
        """The out-of-fold score of a penalty inside some training rows."""
        prediction = np.full(self.target.shape, np.nan)
        for learned, rows in inner:
            prediction[rows] = self.predicted(learned, rows, alpha)
        return score(self.target[train], prediction[train])


def predictions_of(run: outfold.Run, ids: np.ndarray, targets: list[str]) -> dict[str, np.ndarray]:
    """Out-of-fold predictions (n, k) of each train stage (the mean of its members), each member and the last stage."""
    found = {}
    for name, stage in run.recipe.stages.items():
        if isinstance(stage, TrainStage):
            paths = [f"{name}/{one}" for one in stage.members]
            members = [read_member(run.path, run.summary, path, "regression").own(ids) for path in paths]
            found[name] = np.mean(members, axis=0, dtype=np.float64)
            found.update(zip(paths, members, strict=True))
    final = run.recipe.final_stage()
    if final not in found:
        columns = [f"pred_{name}" for name in targets]
        found[final] = run.oof.set_index("id").loc[list(ids), columns].to_numpy(np.float64)
    return found


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
    def splits(self) -> list[Split]:
        """The other rows and the rows of each fold."""
        return [(np.flatnonzero(self.fold != one), np.flatnonzero(self.fold == one)) for one in np.unique(self.fold)]


def ridges(features: np.ndarray, sensors: np.ndarray, judge: Judge) -> dict[str, np.ndarray]:
    """Ridge with the penalties that others used, and with its own choice, without and with the sensors."""
    weights = np.concatenate([np.ones(features.shape[1]), np.full(sensors.shape[1], SENSOR_WEIGHT)])
    found = {}
    for word, read, logs in (("", [], []), (", sensors", [sensors], [np.log1p(sensors)])):
        for roots, beside in ((False, read), (True, logs)):
            inputs = np.hstack([features, *beside])
            model = Linear(inputs, weights[: inputs.shape[1]], judge.target, roots)
            for name, alpha in (("nested", None),) if roots else PENALTIES:
                ending = f"{word}, roots" if roots else word
                found[f"ridge {name}{ending}"] = model.oof(judge.splits, alpha, judge.metric.function)
    return found


def print_blend(name: str, first: np.ndarray, second: np.ndarray, judge: Judge) -> None:
    """What a second prediction adds to a first, by weights that are learned inside folds."""
    found = ensemble.nested(
        [first, second], judge.target, judge.splits, judge.metric, ensemble.constrained, groups=judge.dates
    )
    shares = ", ".join(f"{share:.2f}" for share in found.by_fold[:, 1])
    print(judge.gain(f"{name}: {found.score:.4f}", first, found.prediction))
    print(f"      in sample {found.in_sample:.4f}; plain mean {found.plain:.4f}; its share by fold {shares}")


def photos_of(folder: Path, id_column: str) -> pd.DataFrame:
    """The competition's long table with one row a photo, by the text before the double underscore of its sample_id."""
    rows = pd.read_csv(folder / "train.csv")
    photos = rows.assign(**{id_column: rows["sample_id"].str.split("__").str[0]})
    return photos.drop_duplicates(id_column).set_index(id_column)


def uneven(fold: Sequence[int], states: Sequence[str]) -> float:
    """How unevenly folds share out states; see `outfold.folds.imbalance`."""
    return folds.imbalance(np.asarray(fold), {"State": np.asarray(states)}).column("State")


def main() -> None:
    """Read the run and the table, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    run = outfold.Run(given.run)
    id_column, targets = run.recipe.data.id, list(run.recipe.task.target)
    oof, table = run.oof.set_index("id"), photos_of(given.data, id_column)
    ids = oof.index.to_numpy(object)
    target, dates = oof[targets].to_numpy(np.float64), table.loc[ids, "Sampling_Date"].to_numpy()
    judge = Judge(metrics.metric_of(run.recipe.task), target, dates, oof["fold"].to_numpy())
    names = pd.Index(pd.read_csv(given.data / "features_ids.csv")[id_column])
    features = np.load(given.data / "features.npy", allow_pickle=False)[names.get_indexer(ids)]

    published = pd.read_csv(given.data / "train_with_published_folds.csv")
    print(f"imbalance of State over the folds: {uneven(judge.fold, table.loc[ids, 'State']):.3f}; ", end="")
    print(f"over the published ones: {uneven(published['fold'], published['State']):.3f}")
    print("\nweighted R2 out of fold, with 95% intervals over sampling dates")
    references = ridges(features, table.loc[ids, SENSORS].to_numpy(np.float64), judge)
    found = predictions_of(run, ids, targets)
    own = {name: prediction for name, prediction in found.items() if "/" not in name}
    eighth = pd.read_csv(given.data / "oof.csv").set_index(id_column).loc[ids]
    theirs = eighth[[f"pred_{name}" for name in targets]].to_numpy(np.float64)
    for name, prediction in {**references, **found, "8th place": theirs}.items():
        print(judge.line(name, prediction))
    print("\nby how much the run's stages are better than ridge")
    for name, prediction in own.items():
        for reference in (one for one in references if "nested" in one):
            print(judge.gain(f"{name} over {reference}", references[reference], prediction))
    print("\nwhat they add to the 8th place, weights learned inside folds")
    for name, prediction in own.items():
        print_blend(f"with {name}", theirs, prediction, judge)


if __name__ == "__main__":
    main()
