"""Learned steps in time, on soundscapes in which neighbours and the loudest window do tell something."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from outfold.errors import DataError
from outfold.inference.in_time import KERNEL, boost_by_recording, smooth_in_time
from outfold.inference.learned_in_time import BOOSTS, SHARES, InTime, learn, learn_in_folds
from outfold.metrics import get_metric

AUC = get_metric("macro_roc_auc", "multilabel")


def heard(seed: int = 0, soundscapes: int = 12, windows: int = 24, noise: float = 2.0):
    """Logits, truth (n, 4), recordings and times: a class calls in some soundscapes, for some windows on end."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((soundscapes, windows, 4))
    for one in truth:
        for column in np.flatnonzero(rng.random(4) < 0.5):
            start = rng.integers(0, windows - 6)
            one[start : start + 6, column] = 1
    truth = truth.reshape(-1, 4)
    logits = 3 * truth - 3 + rng.normal(0, noise, truth.shape)
    recording = np.repeat([f"s{i}" for i in range(soundscapes)], windows).astype(object)
    return logits, truth, recording, np.tile(5.0 * np.arange(windows), soundscapes)


def folds(recording: np.ndarray, k: int = 3):
    fold = np.unique(recording, return_inverse=True)[1] % k
    return [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(k)]


def test_steps_are_boost_probability_smoothing() -> None:
    logits, _, recording, time_s = heard()
    boosted = 1 / (1 + np.exp(-boost_by_recording(logits, recording, weight=0.8)))
    assert_allclose(InTime()(logits, recording, time_s), smooth_in_time(boosted, recording, time_s, kernel=KERNEL))
    assert_allclose(InTime(0.0, (1.0,))(logits, recording, time_s), 1 / (1 + np.exp(-logits)))


def test_the_best_boost_and_then_no_single_share_is_better() -> None:
    logits, truth, recording, time_s = heard()
    steps = learn(logits, truth, recording, time_s, AUC)

    def score(boost: float, kernel: tuple[float, ...]) -> float:
        return AUC.function(truth, InTime(boost, kernel)(logits, recording, time_s))

    assert score(steps.boost, (1.0,)) >= max(score(boost, (1.0,)) for boost in BOOSTS) - 1e-12
    _, near, middle = (part / steps.kernel[2] for part in steps.kernel[:3])
    assert steps.kernel == steps.kernel[::-1]
    assert_allclose(sum(steps.kernel), 1)
    assert near > 0.3
    found = score(steps.boost, steps.kernel)
    assert found >= max(score(steps.boost, (share, near, middle, near, share)) for share in SHARES) - 1e-12
    assert found > score(steps.boost, (1.0,)) > score(0.0, (1.0,))


def test_nothing_is_changed_where_nothing_is_gained() -> None:
    logits, truth, recording, time_s = heard(noise=0.0)
    assert learn(logits, truth, recording, time_s, AUC) == InTime(0.0, (0.0, 0.0, 1.0, 0.0, 0.0))
    assert learn(logits[:0], truth[:0], recording[:0], time_s[:0], AUC) == InTime(0.0, (1.0,))


def test_a_metric_that_should_be_small() -> None:
    logits, truth, recording, time_s = heard()
    loss = get_metric("log_loss", "multilabel")
    steps = learn(logits, truth, recording, time_s, loss, half=1)
    assert len(steps.kernel) == 3
    plain = loss.function(truth, InTime(0.0, (1.0,))(logits, recording, time_s))
    assert loss.function(truth, steps(logits, recording, time_s)) < plain


def test_a_fold_is_treated_with_numbers_of_other_folds() -> None:
    logits, truth, recording, time_s = heard()
    splits = folds(recording)
    found = learn_in_folds(logits, truth, recording, time_s, splits, AUC, n_resamples=50)
    for steps, (train, valid) in zip(found.by_fold, splits, strict=True):
        assert steps == learn(logits[train], truth[train], recording[train], time_s[train], AUC)
        assert_array_equal(found.probability[valid], steps(logits[valid], recording[valid], time_s[valid]))
    assert found.steps == learn(logits, truth, recording, time_s, AUC)
    assert found.gain.b.value == AUC.function(truth, found.probability) > found.gain.a.value
    assert found.in_sample >= found.gain.b.value
    flipped = truth.copy()
    flipped[splits[0][1]] = 1 - flipped[splits[0][1]]
    again = learn_in_folds(logits, flipped, recording, time_s, splits, AUC, n_resamples=50)
    assert again.by_fold[0] == found.by_fold[0]


def test_splits_that_would_tell_too_much() -> None:
    logits, truth, recording, time_s = heard()
    rows = np.arange(len(logits))
    with pytest.raises(DataError, match=r"both sides of split 0[\s\S]*'s0'"):
        learn_in_folds(
            logits, truth, recording, time_s, [(rows[::2], rows[1::2]), (rows[1::2], rows[::2])], AUC, n_resamples=10
        )
    with pytest.raises(DataError, match="held out by one split"):
        learn_in_folds(logits, truth, recording, time_s, folds(recording)[:2], AUC, n_resamples=10)
    with pytest.raises(DataError, match="not defined"):
        learn(logits, np.zeros_like(truth), recording, time_s, AUC)
