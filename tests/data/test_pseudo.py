import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from outfold.data.pseudo import (
    HELD_OUT,
    INCOMPLETE,
    SEEN,
    SURPLUS,
    UNSURE,
    Chosen,
    Links,
    balanced,
    barred,
    choose,
    counts_by_class,
    learned_target,
    most_likely,
    without_incomplete,
)

ROWS = st.integers(1, 60)


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Classes and certainties of some rows, ties included."""
    n = draw(ROWS)
    classes = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 4)))
    certainty = draw(hnp.arrays(np.float64, n, elements=st.sampled_from([0.2, 0.5, 0.7, 0.9, 0.95, 1.0])))
    return classes, certainty


def open_to_all(classes: np.ndarray) -> np.ndarray:
    return np.full(len(classes), "", dtype=object)


@given(answers(), st.one_of(st.integers(1, 40), st.just("balanced")), st.sampled_from([0.0, 0.6, 0.95]))
def test_all_classes_have_the_same_number_of_sure_rows(
    rows: tuple[np.ndarray, np.ndarray], per_class: int | str, confidence: float
) -> None:
    classes, certainty = rows
    chosen = choose(classes, certainty, open_to_all(classes), confidence=confidence, per_class=per_class)
    sure = certainty >= confidence
    counts = np.bincount(classes, weights=chosen.repetitions, minlength=5)
    there = np.bincount(classes[sure], minlength=5)
    needed = per_class if per_class != "balanced" else round(sure.sum() / max((there > 0).sum(), 1))
    np.testing.assert_array_equal(counts, np.where(there > 0, needed, 0))
    assert not chosen.repetitions[~sure].any()
    assert ((chosen.left_out == "") == (chosen.repetitions > 0)).all()
    again = choose(classes, certainty, open_to_all(classes), confidence=confidence, per_class=per_class)
    np.testing.assert_array_equal(chosen.repetitions, again.repetitions)


@given(answers(), st.integers(1, 40))
def test_surer_rows_of_a_class_come_first_and_repetitions_are_even(
    rows: tuple[np.ndarray, np.ndarray], per_class: int
) -> None:
    classes, certainty = rows
    repetitions = balanced(classes, certainty, per_class)
    for number in np.unique(classes):
        own = classes == number
        assert np.ptp(repetitions[own]) <= 1
        least, most = repetitions[own].min(), repetitions[own].max()
        if least < most:
            assert certainty[own][repetitions[own] == most].min() >= certainty[own][repetitions[own] == least].max()


def test_rare_classes_repeat_and_frequent_ones_keep_their_surest() -> None:
    classes = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2])
    certainty = np.array([0.9, 0.8, 0.99, 0.7, 0.9, 0.4, 0.6, 0.9, 0.95, 0.95, 0.9])
    shut = open_to_all(classes)
    shut[10] = HELD_OUT
    chosen = choose(classes, certainty, shut, confidence=0.5, per_class=3)
    assert chosen.repetitions.tolist() == [1, 0, 1, 0, 1, 0, 1, 2, 2, 1, 0]
    assert chosen.left_out.tolist() == ["", SURPLUS, "", SURPLUS, "", UNSURE, "", "", "", "", HELD_OUT]
    table = counts_by_class(["a", "b", "c", "d"], classes, chosen).set_index("class")
    assert table.loc["a"].tolist() == [6, 0, 0, 0, 1, 2, 3, 3]
    assert table.loc["b"].tolist() == [2, 0, 0, 0, 0, 0, 2, 3]
    assert table.loc["c"].tolist() == [3, 1, 0, 0, 0, 0, 2, 3]
    assert table.loc["d"].tolist() == [0] * 8


def test_all_keeps_every_sure_row_once() -> None:
    classes, certainty = np.array([0, 0, 1]), np.array([0.9, 0.5, 0.7])
    chosen = choose(classes, certainty, open_to_all(classes), confidence=0.7, per_class="all")
    assert chosen.repetitions.tolist() == [1, 0, 1]


def test_no_rows_at_all() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    chosen = choose(nothing, np.zeros(0), np.zeros(0, dtype=object), per_class="balanced")
    assert isinstance(chosen, Chosen)
    assert len(chosen.repetitions) == len(chosen.left_out) == 0


def test_the_most_likely_class() -> None:
    classes, certainty = most_likely(np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2]], dtype=np.float32), "multiclass")
    assert classes.tolist() == [1, 0]
    np.testing.assert_allclose(certainty, [0.5, 0.4], rtol=1e-6)
    classes, certainty = most_likely(np.array([[0.9], [0.2]]), "binary")
    assert classes.tolist() == [1, 0]
    np.testing.assert_allclose(certainty, [0.9, 0.8])


@pytest.mark.parametrize(
    ("kind", "values", "hard"),
    [
        ("multiclass", [[0.2, 0.5, 0.3]], [[0, 1, 0]]),
        ("binary", [[0.5], [0.4]], [[1], [0]]),
        ("multilabel", [[0.7, 0.1, 0.6]], [[1, 0, 1]]),
    ],
)
def test_hard_and_soft_labels(kind: str, values: list[list[float]], hard: list[list[float]]) -> None:
    given_values = np.array(values)
    np.testing.assert_array_equal(learned_target(given_values, kind, "hard"), hard)  # type: ignore[arg-type]
    soft = learned_target(given_values, kind, "soft")  # type: ignore[arg-type]
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft, values, rtol=1e-6)


def places(*rows: int) -> np.ndarray:
    return np.array(rows, dtype=np.int64)


PATIENTS = (["p0", "p1", None, None], ["p0", None, "p7", "p7", None])
FILES = (["a", "b", "c", "d"], ["x", "b", "c", "y", "z"])


def test_rows_are_linked_through_any_column_and_through_each_other() -> None:
    links = Links.between([PATIENTS[0], FILES[0]], [PATIENTS[1], FILES[1]])
    assert links.to(places(0)).tolist() == [True, False, False, False, False]
    assert links.to(places(1)).tolist() == [False, True, False, False, False]
    # the third shows the same file, the fourth is of that one's patient
    assert links.to(places(2)).tolist() == [False, False, True, True, False]
    assert not links.to(places()).any()


def test_rows_that_belong_to_held_out_or_known_ones_are_barred() -> None:
    copies = Links.between([FILES[0]], [FILES[1]])
    groups = Links.between([PATIENTS[0], FILES[0]], [PATIENTS[1], FILES[1]])
    strict = barred(copies, groups, held_out=places(1), trained=places(0, 2, 3), seen_groups=False)
    assert strict.tolist() == [SEEN, HELD_OUT, SEEN, SEEN, ""]
    lenient = barred(copies, groups, held_out=places(1), trained=places(0, 2, 3), seen_groups=True)
    assert lenient.tolist() == ["", HELD_OUT, SEEN, "", ""]
    both = barred(copies, groups, held_out=places(0, 1, 2), trained=places(0, 1, 2), seen_groups=True)
    assert both.tolist() == [HELD_OUT, HELD_OUT, HELD_OUT, HELD_OUT, ""]


def test_recordings_without_all_their_windows_are_left_out() -> None:
    recording = np.array(["b", "a", "b", "c", "b", "a"], dtype=object)
    shut = np.array(["", "", HELD_OUT, "", "", SEEN], dtype=object)
    assert without_incomplete(shut, recording, 3).tolist() == ["", INCOMPLETE, HELD_OUT, INCOMPLETE, "", SEEN]
    assert without_incomplete(shut, recording, 2).tolist() == ["", "", HELD_OUT, INCOMPLETE, "", SEEN]
