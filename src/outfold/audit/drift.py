"""How the test table differs from the training table: what tells them apart, and inputs that are not served."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from outfold.audit.features import Feature
from outfold.audit.splits import splits_by
from outfold.audit.telling import auc_by_column, predict_alone
from outfold.data.balance import evenly_drawn
from outfold.data.findings import Finding, Level
from outfold.data.folds import group_kfold
from outfold.metrics import get_metric, interval

MOST_ROWS = 20_000
"""Of more rows so many are drawn: the AUC of 20,000 has a standard error of 0.004."""
FOLDS = 3
COMPONENTS = 32
RESAMPLES = 200
NOTED, STRONG = 0.65, 0.80
"""Adversarial AUC from which on a drift is told, and is a warning."""
SHOWN = 4


class Drift(NamedTuple):
    """How well a classifier tells test rows from training rows, out of fold."""

    auc: float
    low: float
    high: float


def adversarial(values: np.ndarray, is_test: np.ndarray, units: np.ndarray, *, linear: bool, seed: int = 0) -> Drift:
    """Adversarial validation: ROC-AUC of a classifier of test against training rows, whole groups held out.

    Args:
        values: float (n, d), NaN where missing.
        is_test: bool (n,).
        units: int (n,), rows of one group (of either table) are held out together.
        linear: a logistic regression on principal components, for embeddings; boosted trees otherwise.
        seed: decides folds, drawn rows and the bootstrap.

    Returns:
        The AUC and its 95% interval over groups; 0.5 means that the tables cannot be told apart. NaN where a table has
        fewer than two groups.
    """
    rows = evenly_drawn(is_test, MOST_ROWS, seed)
    values, is_test, units = values[rows], is_test[rows], np.unique(units[rows], return_inverse=True)[1]
    fewest = min(len(np.unique(units[is_test])), len(np.unique(units[~is_test])))
    if fewest < 2:
        return Drift(float("nan"), float("nan"), float("nan"))
    chance = np.empty(len(rows))
    # Fits this small take longer on several threads than on one, and far longer beside another busy process.
    with threadpool_limits(1):
        for train, valid in splits_by(_folds(is_test, units, min(FOLDS, fewest), seed)):
            model = _linear(values.shape[1], len(train), seed) if linear else _trees(seed)
            model.fit(values[train], is_test[train])
            chance[valid] = model.predict_proba(values[valid])[:, 1]
    truth = is_test[:, None].astype(np.float64)
    metric = get_metric("roc_auc", "binary")
    low, high = interval(metric, truth, chance[:, None], units, n_resamples=RESAMPLES, seed=seed)
    return Drift(float(metric.function(truth, chance[:, None])), low, high)


def table_drift(
    features: Sequence[Feature], is_test: np.ndarray, units: np.ndarray | None = None, seed: int = 0
) -> list[Finding]:
    """Whether columns and file facts tell the test table from the training table, and which do most.

    Args:
        features: of the training rows, then the test rows.
        is_test: bool (n,).
        units: int (n,), groups of either table; each row by itself when not given.
        seed: decides folds and draws.
    """
    if not features:
        return []
    units = np.arange(len(is_test)) if units is None else units
    drift = adversarial(np.stack([one.values for one in features], axis=1), is_test, units, linear=False, seed=seed)
    splits = splits_by(_folds(is_test, units, FOLDS, seed)) if drift.auc >= NOTED else []
    alone = [_alone(one, is_test, splits) for one in features] if splits else []
    order = np.argsort(-np.array(alone), kind="stable")[:SHOWN]
    most = [f"{features[place].name} ({alone[place]:.2f} alone)" for place in order if alone[place] >= 0.55]
    return _finding(drift, "columns and facts of the files", most)


def embedding_drift(
    train: np.ndarray, test: np.ndarray, units: np.ndarray | None = None, seed: int = 0
) -> list[Finding]:
    """Whether photos of the test table look different: a linear model on their embeddings.

    Args:
        train: float (n, d).
        test: float (m, d).
        units: int (n + m,), groups of either table; each row by itself when not given.
        seed: decides folds and draws.
    """
    is_test = np.arange(len(train) + len(test)) >= len(train)
    units = np.arange(len(is_test)) if units is None else units
    drift = adversarial(np.concatenate([train, test]), is_test, units, linear=True, seed=seed)
    return _finding(drift, "embeddings", [])


def serving_gaps(
    inputs: Sequence[str], train: pd.DataFrame, test: pd.DataFrame, *, predicted: Collection[str] = ()
) -> list[Finding]:
    """Inputs that the model has in training and not, or only as predictions, when it serves.

    Args:
        inputs: the declared input columns.
        train: the training table.
        test: the test table.
        predicted: inputs that an earlier stage predicts for the test rows.
    """
    findings = []
    for name in inputs:
        before = float(train[name].isna().mean()) if name in train.columns else 1.0
        after = float(test[name].isna().mean()) if name in test.columns else 1.0
        if name in predicted and before < 1:
            what = f"the input `{name}` is true in training and predicted when it serves"
            fix = "train on the earlier stage's out-of-fold predictions of it, or on a mix of both"
            findings.append(Finding("warning", what, (), fix, "input-served-as-prediction"))
        elif after == 1 and before < 1:
            how = "is not in the test table" if name not in test.columns else "is empty in the test table"
            fix = "take it out of the inputs, or predict it by a stage of its own and train on its predictions"
            impact = f"known for {1 - before:.0%} of the training rows and for none of the test rows"
            findings.append(Finding("error", f"the input `{name}` {how}", (), fix, "input-not-served", impact))
        elif after - before > 0.2:
            what = f"the input `{name}` is missing far more often in the test table"
            impact = f"missing in {before:.0%} of the training rows and in {after:.0%} of the test rows"
            fix = "drop it at random in training as often as it will be missing"
            findings.append(Finding("warning", what, (), fix, "input-missing-in-test", impact))
    return findings


def _finding(drift: Drift, by: str, most: Sequence[str]) -> list[Finding]:
    if not (drift.auc >= NOTED and drift.low > 0.5):
        return []
    level: Level = "warning" if drift.auc >= STRONG else "note"
    what = f"{by} tell the test table from the training table"
    what += f", most of all {', '.join(most)}" if most else ""
    impact = (
        f"adversarial ROC-AUC {drift.auc:.2f} out of fold ({drift.low:.2f} to {drift.high:.2f}; 0.5 is no difference)"
    )
    fix = (
        "expect another score on the test table than out of fold: look at what differs, leave out or transform what "
        "will not be alike, or make folds whose validation rows differ from training in the same way"
    )
    return [Finding(level, what, (), fix, "train-test-drift", impact)]


def _alone(feature: Feature, is_test: np.ndarray, splits: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    target = is_test[:, None].astype(np.float64)
    return float(auc_by_column(target, predict_alone(feature.bins(), target, splits))[0])


def _folds(is_test: np.ndarray, units: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Whole groups by fold, each table spread by itself; groups of both tables go with their training rows."""
    fold = np.empty(len(units), dtype=np.int64)
    both = np.isin(units, units[~is_test])
    for rows in (np.flatnonzero(both), np.flatnonzero(~both)):
        if len(rows):
            fold[rows] = group_kfold(units[rows], min(k, len(np.unique(units[rows]))), seed)
    return fold


def _trees(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, min_samples_leaf=20, random_state=seed)


def _linear(columns: int, rows: int, seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    components = min(COMPONENTS, columns, rows - 1)
    return make_pipeline(PCA(components, random_state=seed), StandardScaler(), LogisticRegression(max_iter=500))
