"""The numbers of the steps in time, learned by a metric on recordings with known truth, and judged on others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from outfold.data.predictions import sigmoid
from outfold.errors import DataError
from outfold.inference.in_time import KERNEL, boost_by_recording, smooth_in_time
from outfold.metrics import Comparison, Metric, compare

Split = tuple[np.ndarray, np.ndarray]
"""Rows that are learned on and rows that are treated, both int64."""

BOOSTS = tuple(round(0.1 * tenth, 1) for tenth in range(16))
"""Weights of the boost that are tried."""

SHARES = tuple(round(0.1 * tenth, 1) for tenth in range(11))
"""What a neighbour may count, relative to the window itself, that are tried."""

HALF = 2
"""How many neighbours on either side may count in a learned kernel."""

GAIN = 1e-12
"""Scores must be better by more than this: what is less comes from rounding."""


@dataclass(frozen=True)
class InTime:
    """What is done with the logits of windows: boost, then probabilities, then smoothing of these.

    Attributes:
        boost: see `boost_by_recording`; 0 for none.
        kernel: see `smooth_in_time`; (1.0,) for none.
    """

    boost: float = 0.8
    kernel: tuple[float, ...] = KERNEL

    def __call__(
        self, logits: np.ndarray, recording: np.ndarray, time_s: np.ndarray, *, hop_s: float = 5.0
    ) -> np.ndarray:
        """Probabilities (n, k) of logits (n, k); arguments and errors are those of the steps."""
        boosted = sigmoid(boost_by_recording(logits, recording, weight=self.boost)).astype(logits.dtype)
        return smooth_in_time(boosted, recording, time_s, kernel=self.kernel, hop_s=hop_s)


@dataclass(frozen=True)
class Learned:
    """Steps with learned numbers, and what learning them was worth.

    Attributes:
        probability: (n, k), each recording treated with numbers that were learned on others.
        steps: learned on all rows: those for recordings that come later.
        by_fold: those of each split.
        gain: from the untreated probabilities to `probability`, recordings resampled.
        in_sample: score of all rows treated by `steps`, which were learned on them.
    """

    probability: np.ndarray
    steps: InTime
    by_fold: tuple[InTime, ...]
    gain: Comparison
    in_sample: float


def learn(
    logits: np.ndarray,
    target: np.ndarray,
    recording: np.ndarray,
    time_s: np.ndarray,
    metric: Metric,
    *,
    half: int = HALF,
    hop_s: float = 5.0,
) -> InTime:
    """The boost and the kernel that make the metric best, each learned on what comes before it.

    See `best_boost` and `best_kernel`. Without rows nothing can be learned, and nothing is changed.

    Args:
        logits: float (n, k), out of fold.
        target: (n, k) as encoded by `TargetCodec`.
        recording: (n,), whatever names the recording of each row.
        time_s: (n,), the window's time in its recording.
        metric: what is to become best.
        half: how many neighbours on either side may count.
        hop_s: seconds from one window to the next.

    Raises:
        DataError: the arrays do not fit together, or the metric is not defined on these rows.
    """
    if not len(logits):
        return InTime(0.0, (1.0,))
    score = scored_by(metric, target)

    def boosted(weight: float) -> np.ndarray:
        return InTime(weight, (1.0,))(logits, recording, time_s, hop_s=hop_s)

    boost = best_boost(lambda weight: score(boosted(weight)))
    probability = boosted(boost)

    def smoothed(kernel: tuple[float, ...]) -> np.ndarray:
        return smooth_in_time(probability, recording, time_s, kernel=kernel, hop_s=hop_s)

    return InTime(boost, best_kernel(lambda kernel: score(smoothed(kernel)), half))


def scored_by(metric: Metric, target: np.ndarray) -> Callable[[np.ndarray], float]:
    """How good probabilities (n, k) are for this target (n, k), the more the better.

    Raises:
        DataError: (when asked) the metric is not defined on these rows.
    """

    def score(probability: np.ndarray) -> float:
        value = metric.function(target, probability)
        if np.isnan(value):
            raise DataError(f"{metric.name} is not defined on the {len(target)} rows that steps in time are learned on")
        return value if metric.greater_is_better else -value

    return score


def best_boost(score: Callable[[float], float]) -> float:
    """The weight of `BOOSTS` with the highest score, the smallest of equals."""
    return _best(BOOSTS, score)


def best_kernel(score: Callable[[tuple[float, ...]], float], half: int = HALF) -> tuple[float, ...]:
    """A symmetric kernel of 2 * half + 1 weights with a high score, from one that smooths nothing.

    What the neighbours count is searched among `SHARES`, one distance after the other and then once more; of equals the
    smallest is taken.
    """
    shares = [0.0] * half
    for place in [*range(half), *range(half)] if half > 1 else range(half):

        def scored(share: float, place: int = place) -> float:
            return score(_kernel([*shares[:place], share, *shares[place + 1 :]]))

        shares[place] = _best(SHARES, scored)
    return _kernel(shares)


def learn_in_folds(
    logits: np.ndarray,
    target: np.ndarray,
    recording: np.ndarray,
    time_s: np.ndarray,
    splits: Sequence[Split],
    metric: Metric,
    *,
    half: int = HALF,
    hop_s: float = 5.0,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Learned:
    """Learn the steps for each fold on the other folds' recordings, and treat the fold with them.

    Args:
        logits: float (n, k), out of fold.
        target: (n, k) as encoded by `TargetCodec`.
        recording: (n,), whatever names the recording of each row.
        time_s: (n,), the window's time in its recording.
        splits: rows to learn on and rows to treat; every row is treated once, and a recording is in one part alone.
        metric: what is to become best.
        half: how many neighbours on either side may count.
        hop_s: seconds from one window to the next.
        n_resamples: resamples for the interval of the gain.
        seed: decides them.

    Raises:
        DataError: a row is treated never or twice, a recording is in both parts of a split, or see `learn`.
    """
    _refuse_crossings(recording, splits)
    probability, by_fold = np.zeros_like(logits), []
    for train, valid in splits:
        given = (logits[train], target[train], recording[train], time_s[train])
        steps = learn(*given, metric, half=half, hop_s=hop_s)
        probability[valid] = steps(logits[valid], recording[valid], time_s[valid], hop_s=hop_s)
        by_fold.append(steps)
    final = learn(logits, target, recording, time_s, metric, half=half, hop_s=hop_s)
    plain = sigmoid(logits).astype(logits.dtype)
    gain = compare(metric, target, plain, probability, recording, n_resamples=n_resamples, seed=seed)
    in_sample = metric.function(target, final(logits, recording, time_s, hop_s=hop_s))
    return Learned(probability, final, tuple(by_fold), gain, in_sample)


def _best(numbers: Sequence[float], score: Callable[[float], float]) -> float:
    """The number with the highest score; of equals the first."""
    scores = np.array([score(number) for number in numbers])
    return numbers[int(np.flatnonzero(scores >= scores.max() - GAIN)[0])]


def _kernel(shares: Sequence[float]) -> tuple[float, ...]:
    """The symmetric kernel with a sum of one; `shares` of the neighbours, the nearest first, relative to the middle."""
    whole = np.array([*reversed(shares), 1.0, *shares])
    return tuple((whole / whole.sum()).tolist())


def _refuse_crossings(recording: np.ndarray, splits: Sequence[Split]) -> None:
    times = np.bincount(np.concatenate([valid for _, valid in splits]), minlength=len(recording))
    wrong = np.flatnonzero(times != 1)
    if len(wrong):
        got = f"{len(wrong)} rows are not, the first are {wrong[:3].tolist()}"
        raise DataError("every row must be held out by one split", got=got)
    for fold, (train, valid) in enumerate(splits):
        shared = np.intersect1d(recording[train], recording[valid])
        if len(shared):
            raise DataError(
                f"recordings are on both sides of split {fold}",
                got=f"{len(shared)}, the first is {str(shared[0])!r}",
                expected="whole recordings: their windows are treated together",
                fix="make the folds with the recording as the group",
            )
