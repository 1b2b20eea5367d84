"""Greedy selection of members against the same search with scikit-learn's scores, and what nested weights cost.

    uv run python benchmarks/ensemble.py

The members are simulated: 18 of 33,000 rows with 1.8% positives, as many as the melanoma system has.
"""

import time
from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score

from outfold.ensemble import constrained, greedy, nested, weighted
from outfold.metrics import get_metric

MEMBERS, ROWS, ROUNDS, FOLDS = 18, 33_000, 10, 5


def simulated() -> tuple[np.ndarray, np.ndarray]:
    """Target (n, 1) and members (m, n, 1)."""
    rng = np.random.default_rng(0)
    target = (rng.random((ROWS, 1)) < 0.018).astype(np.float32)
    shared = rng.normal(size=(ROWS, 1)) + 2 * target
    noise = rng.normal(size=(MEMBERS, ROWS, 1)) * rng.uniform(0.5, 2, (MEMBERS, 1, 1))
    return target, (1 / (1 + np.exp(4 - shared - noise))).astype(np.float32)


def plain_greedy(members: np.ndarray, target: np.ndarray) -> list[int]:
    """The same number of picks by a loop over scikit-learn's ROC-AUC, without a sorted start."""
    picks: list[int] = []
    total = np.zeros(len(target))
    for _ in range(ROUNDS):
        scores = [roc_auc_score(target[:, 0], (total + member[:, 0]) / (len(picks) + 1)) for member in members]
        picks.append(int(np.argmax(scores)))
        total += members[picks[-1], :, 0]
    return picks


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Print times and scores."""
    target, members = simulated()
    metric = get_metric("roc_auc", "binary")
    plain = seconds(lambda: plain_greedy(members, target))
    # PATIENCE never ends so few rounds early without a gain, so both score every member in every round.
    ours = seconds(lambda: greedy(members, target, metric, rounds=ROUNDS))
    print(f"{MEMBERS} members, {ROWS:,} rows, {ROUNDS} rounds: {ours:.2f} s; scikit-learn's scores {plain:.2f} s")
    print(f"ratio {plain / ours:.1f}")
    fold = np.arange(ROWS) % FOLDS
    splits = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(FOLDS)]
    for name, learn in (("greedy", greedy), ("constrained", constrained)):
        started = time.process_time()
        found = nested(members, target, splits, metric, learn)
        took = time.process_time() - started
        alone = metric.function(target, weighted(members, None))
        print(
            f"{name}: nested over {FOLDS} folds {took:.0f} s; plain mean {alone:.5f}, nested {found.score:.5f}, "
            f"in sample {found.in_sample:.5f}"
        )


if __name__ == "__main__":
    main()
