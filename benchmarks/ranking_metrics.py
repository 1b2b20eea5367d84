"""Macro ROC-AUC and average precision against scikit-learn's.

    uv run python benchmarks/ranking_metrics.py [--rows 50000] [--classes 182] [--positives 0.0055] [--repeats 3]

Both are given the same float32 arrays and check them. scikit-learn loops over the columns itself (average="macro").
Seconds are of processor time, the best of the repeats; scikit-learn is timed once.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from outfold.metrics import score

REFERENCES = {"macro_roc_auc": roc_auc_score, "macro_average_precision": average_precision_score}


def timed(work: Callable[[], float], repeats: int) -> tuple[float, float]:
    """What it gives, and its seconds."""
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        value = work()
        taken.append(time.process_time() - started)
    return value, min(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=182)
    parser.add_argument("--positives", type=float, default=1 / 182, help="share of positive cells")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    target = (rng.random((given.rows, given.classes)) < given.positives).astype(np.float32)
    logits = rng.normal(2 * target - 5, 2).astype(np.float32)
    predictions = {"logits": logits, "probabilities": 1 / (1 + np.exp(-logits)), "uniform": rng.random(logits.shape)}
    score("macro_roc_auc", "multilabel", target, logits)  # compiles
    for title, values in predictions.items():
        prediction = values.astype(np.float32)
        for name, reference in REFERENCES.items():
            ours, fast = timed(partial(score, name, "multilabel", target, prediction), given.repeats)
            theirs, slow = timed(partial(reference, target, prediction, average="macro"), 1)
            print(
                f"{name:<24} {title:<14} scikit-learn {slow:7.2f} s   outfold {fast:6.3f} s   "
                f"ratio {slow / fast:5.1f}   difference {abs(ours - theirs):.0e}"
            )


if __name__ == "__main__":
    main()
