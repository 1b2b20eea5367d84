from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from outfold.data.targets import TargetCodec
from outfold.report.loading import Evaluation
from outfold.report.mistakes import SHOWN, galleries
from outfold.settings.task import Task

METRIC = {"multiclass": "accuracy", "binary": "roc_auc", "multilabel": "macro_roc_auc", "regression": "mae"}


def evaluation(kind: str, truth: pd.DataFrame, prediction: list[list[float]]) -> Evaluation:
    codec = TargetCodec.fit(Task(kind=kind, target=tuple(truth.columns), metric=METRIC[kind]), truth)
    rows = len(truth)
    ids = np.array([f"r{row}" for row in range(rows)], dtype=object)
    return Evaluation(ids, np.zeros(rows, int), codec.encode(truth), np.array(prediction, dtype=np.float32), codec)


def test_multiclass_the_most_confident_mistake_is_first_and_right_rows_never_show() -> None:
    truth = pd.DataFrame({"y": ["a", "b", "c", "a"]})
    found = galleries(
        evaluation("multiclass", truth, [[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.9, 0.04, 0.06], [0.6, 0.3, 0.1]])
    )
    assert [gallery.title for gallery in found] == ["Most confidently wrong"]
    assert [(m.row, m.true, m.predicted) for m in found[0].mistakes] == [(2, "c", "a (0.90)"), (0, "a", "b (0.50)")]


def test_multiclass_worst_adds_rows_that_the_confident_ones_left_out() -> None:
    rng = np.random.default_rng(0)
    prediction = rng.dirichlet(np.ones(4), 200)
    found = galleries(evaluation("multiclass", pd.DataFrame({"y": list("abcd") * 50}), prediction.tolist()))
    first, second = ({m.row for m in gallery.mistakes} for gallery in found)
    assert len(first) == len(second) == SHOWN
    assert not first & second


def test_binary_shows_both_kinds_of_mistakes_apart() -> None:
    truth = pd.DataFrame({"y": ["no", "yes", "no", "yes", "yes"]})
    found = galleries(evaluation("binary", truth, [[0.9], [0.2], [0.6], [0.0001], [0.8]]))
    assert [(g.title, [m.row for m in g.mistakes]) for g in found] == [
        ("Truly yes, predicted no", [3, 1]),
        ("Truly no, predicted yes", [0, 2]),
    ]
    assert found[0].mistakes[0].predicted == "P(yes) = <0.001"


def test_multilabel_names_the_worst_label_of_a_row_once() -> None:
    truth = pd.DataFrame({"a": [1, 0, 1], "b": [1, 0, 0]})
    found = galleries(evaluation("multilabel", truth, [[0.3, 0.1], [0.2, 0.7], [0.9, 0.1]]))
    assert [(g.title, [(m.row, m.true, m.predicted) for m in g.mistakes]) for g in found] == [
        ("Missed labels", [(0, "a, b", "b (0.10)")]),
        ("False labels", [(1, "no label", "b (0.70)")]),
    ]


def test_regression_compares_targets_in_units_of_their_own_spread() -> None:
    truth = pd.DataFrame({"g": [1.0, 2.0, 3.0], "kg": [1000.0, 3000.0, 2000.0]})
    found = galleries(evaluation("regression", truth, [[3.0, 1000.0], [2.0, 3010.0], [3.0, 1500.0]]))
    assert [(g.title, [(m.row, m.true) for m in g.mistakes]) for g in found] == [
        ("Predicted too high", [(0, "1.0000 g"), (1, "3,000 kg")]),
        ("Predicted too low", [(2, "2,000 kg")]),
    ]


@pytest.mark.parametrize("kind", ["multiclass", "binary"])
def test_a_perfect_model_has_no_galleries(kind: str) -> None:
    prediction = [[1, 0], [0, 1]] if kind == "multiclass" else [[0], [1]]
    assert galleries(evaluation(kind, pd.DataFrame({"y": ["a", "b"]}), prediction)) == []


def test_a_secondary_label_is_no_false_label() -> None:
    """Nobody knows whether it is there: the reader is told of it, and of the next label that nobody claims."""
    truth = pd.DataFrame({"owl": [1, 1, 0], "wren": [0, 0, 1], "lark": [0, 0, 0]})
    found = evaluation("multilabel", truth, [[0.9, 0.8, 0.1], [0.9, 0.8, 0.6], [0.1, 0.9, 0.2]])
    assert [one.row for gallery in galleries(found) for one in gallery.mistakes] == [0, 1]
    secondary = np.array([[0, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    (gallery,) = galleries(replace(found, secondary=secondary))
    (mistake,) = gallery.mistakes
    assert (mistake.row, mistake.predicted) == (1, "lark (0.60)")
    assert mistake.true == "owl; secondary: wren"
    assert "Secondary labels" in gallery.explanation
