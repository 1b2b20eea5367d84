import numpy as np
import pandas as pd
import pytest

from outfold.audit import label_candidates, label_noise
from outfold.data.predictions import softmax
from outfold.data.targets import TargetCodec
from outfold.settings.task import Task


def predicted(n=600, classes=4, wrong=30, seed=0):
    """Out-of-fold probabilities of a good model, and labels of which some were flipped."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    probability = softmax(4.0 * np.eye(classes)[truth] + rng.normal(0, 1, (n, classes)))
    flipped = rng.choice(n, wrong, replace=False)
    given = truth.copy()
    given[flipped] = (truth[flipped] + 1) % classes
    return np.eye(classes)[given], probability, set(flipped.tolist())


def by_the_paper(target, probability):
    """Confident joint of Northcutt et al. 2021, equation 1, row by row; its off-diagonal rows."""
    given = target.argmax(1)
    thresholds = [probability[given == label, label].mean() for label in range(target.shape[1])]
    found = set()
    for row, chances in enumerate(probability):
        above = [label for label in range(len(chances)) if chances[label] >= thresholds[label]]
        if above and max(above, key=lambda label: chances[label]) != given[row]:
            found.add(row)
    return found


def test_candidates_are_the_off_diagonal_of_the_confident_joint():
    target, probability, _ = predicted()
    found = label_candidates(target, probability, "multiclass")
    larger = {row for row in by_the_paper(target, probability) if probability[row].argmax() != target[row].argmax()}
    assert {one.row for one in found} == larger


def test_flipped_labels_come_first():
    target, probability, flipped = predicted()
    found = label_candidates(target, probability, "multiclass")
    assert len({one.row for one in found[:20]} & flipped) >= 19
    assert len({one.row for one in found} & flipped) >= 20
    strengths = [one.strength for one in found]
    assert strengths == sorted(strengths, reverse=True)


def test_cells_that_nobody_claims_to_know_are_in_no_doubt_and_no_measure():
    target, probability = np.zeros((40, 2)), np.full((40, 2), 0.02)
    target[:20, 0] = 1
    probability[:20, 0], probability[25, 0], probability[30, 0] = 0.9, 0.97, 0.98
    doubtful = [(one.row, one.output) for one in label_candidates(target, probability, "multilabel")]
    assert doubtful == [(30, 0), (25, 0)]
    unsure = np.zeros((40, 2), bool)
    unsure[30, 0] = True
    found = label_candidates(target, probability, "multilabel", unsure)
    rest = np.arange(40) != 30
    expected = label_candidates(target[rest], probability[rest], "multilabel")
    assert [(one.row, one.strength) for one in found] == [(one.row, one.strength) for one in expected]


def test_flipped_cells_of_a_multilabel_task():
    rng = np.random.default_rng(0)
    truth = (rng.random((400, 3)) < 0.3).astype(float)
    probability = 1 / (1 + np.exp(-(6 * truth - 3 + rng.normal(0, 0.7, truth.shape))))
    given = truth.copy()
    for row in range(10):
        given[row, row % 3] = 1 - given[row, row % 3]
    first = {(one.row, one.output) for one in label_candidates(given, probability, "multilabel")[:8]}
    assert first <= {(row, row % 3) for row in range(10)}
    assert len(first) == 8


def test_values_that_are_far_off_for_their_size():
    rng = np.random.default_rng(0)
    guess = rng.uniform(1, 1000, 500)
    truth = guess * (1 + rng.normal(0, 0.05, 500))  # errors grow with the value
    truth[7] *= 10
    found = label_candidates(truth[:, None], guess[:, None], "regression")
    assert found[0].row == 7
    assert len(found) <= 3


def test_the_finding_is_a_note_with_both_probabilities(samples):
    target, probability, flipped = predicted()
    frame = pd.DataFrame({"label": np.array(list("abcd"))[target.argmax(1)]})
    codec = TargetCodec.fit(Task(kind="multiclass", target="label", metric="accuracy"), frame)
    (found,) = label_noise(samples(frame), codec, target, probability)
    assert found.level == "note"
    assert int(found.places[0].id[2:]) in flipped
    assert ", rather " in found.places[0].note


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel", "regression"])
def test_agreement_is_no_finding(samples, kind):
    target = np.eye(3)[np.arange(60) % 3]
    assert label_candidates(target, target, kind) == []
