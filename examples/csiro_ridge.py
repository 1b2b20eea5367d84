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
from pathlib import Path
from typing import Any

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
TABLE, FEATURES, FEATURE_IDS, PUBLISHED = (
    "train_with_published_folds.csv",
    "features.npy",
    "features_ids.csv",
    "oof.csv",
)
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


def print_folds(table: pd.DataFrame, fold: np.ndarray) -> None:
    strata = {"State": table["State"].to_numpy()}
    own, published = (folds.imbalance(numbers, strata).total for numbers in (fold, table["fold"].to_numpy()))
    print(f"imbalance of the folds by State: {own:.3f}; of the published ones {published:.3f}\n")


def print_scores(predictions: dict[str, np.ndarray], target: np.ndarray, dates: np.ndarray, metric: Any) -> None:
    for name, prediction in predictions.items():
        low, high = metrics.interval(metric, target, prediction, dates)
        print(f"  {name:<34} {metric.function(target, prediction):.4f}  [{low:.3f}, {high:.3f}]")
    print()


def print_difference(
    first: str, second: str, predictions: dict[str, np.ndarray], target: np.ndarray, dates: np.ndarray, metric: Any
) -> None:
    found = metrics.compare(metric, target, predictions[first], predictions[second], dates)
    value, low, high = found.difference
    print(f"  {second} over {first}: {value:+.4f}  [{low:+.3f}, {high:+.3f}]  better in {found.probability:.0%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    given = parser.parse_args()
    run = outfold.Run(given.run)
    task, id_column = run.recipe.task, run.recipe.data.id
    metric, targets = metrics.metric_of(task), list(task.target)
    table = pd.read_csv(given.data / TABLE).set_index(id_column, drop=False)
    ids = table.index.to_numpy(object)
    fold = pd.read_csv(run.path / "folds.csv").set_index("id")["fold"].loc[ids].to_numpy()
    names = pd.Index(pd.read_csv(given.data / FEATURE_IDS).iloc[:, 0])
    features = np.load(given.data / FEATURES, allow_pickle=False)[names.get_indexer(ids)]
    target, dates = table[targets].to_numpy(np.float64), table["Sampling_Date"].to_numpy()
    print_folds(table, fold)
    predictions = {}
    for word, inputs in (("", features), (", NDVI and height", np.hstack([features, table[SENSORS].to_numpy()]))):
        for alpha in (300, 1000):
            predictions[f"ridge {alpha}{word}"] = ridge_oof(inputs, target, fold, alpha)
        predictions[f"ridge nested{word}"] = nested_ridge_oof(inputs, target, fold, metric.function)
    own = stages_of(run, ids, targets)
    predictions |= own
    eighth = pd.read_csv(given.data / PUBLISHED).set_index(id_column)
    predictions["8th place"] = eighth.loc[ids, [f"pred_{name}" for name in targets]].to_numpy(np.float64)
    print("weighted R2 out of fold, with 95% intervals over dates")
    print_scores(predictions, target, dates, metric)
    print("differences")
    for name in own:
        for reference in [one for one in predictions if one.startswith("ridge")]:
            print_difference(reference, name, predictions, target, dates, metric)
    splits = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in np.unique(fold)]
    print("\nblends with the 8th place, weights learned inside folds")
    for name, prediction in own.items():
        pair = [predictions["8th place"], prediction]
        found = ensemble.nested(pair, target, splits, metric, ensemble.constrained, groups=dates)
        blend = f"8th place and {name}"
        predictions[blend] = found.prediction
        shares = ", ".join(f"{share:.2f}" for share in found.by_fold[:, 1])
        print(f"  {blend}: {found.score:.4f} (in sample {found.in_sample:.4f}), its shares by fold {shares}")
        print_difference("8th place", blend, predictions, target, dates, metric)


if __name__ == "__main__":
    main()
