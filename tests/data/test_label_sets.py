"""Label sets: one cell with all labels of a row, there and back; secondary labels, masks and what is told of them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MultiLabelBinarizer

from outfold.data.checks import check_data
from outfold.data.folds import make_folds
from outfold.data.folds.strata import read_strata
from outfold.data.label_sets import learned_of_secondary
from outfold.data.table import samples_from_frame
from outfold.data.targets import TargetCodec
from outfold.errors import DataError
from outfold.settings.data import Data
from outfold.settings.folds import Folds
from outfold.settings.task import Task


def task(**options: object) -> Task:
    return Task(kind="multilabel", target="bird", metric="macro_roc_auc", label_sets=True, **options)  # type: ignore[arg-type]


def through_json(codec: TargetCodec) -> TargetCodec:
    return TargetCodec.from_dict(json.loads(json.dumps(codec.to_dict())))


def test_like_scikit_learn() -> None:
    frame = pd.DataFrame({"bird": ["b10", "['b2', 'b10']", '["a"]', "[]"]})
    codec = TargetCodec.fit(task(), frame)
    assert codec.classes == codec.outputs == ("a", "b2", "b10")
    reference = MultiLabelBinarizer(classes=codec.outputs).fit_transform([["b10"], ["b2", "b10"], ["a"], []])
    target = codec.encode(frame)
    assert target.dtype == np.float32
    assert np.array_equal(target, reference)
    assert through_json(codec) == codec
    assert codec.labels(target * 0.7)["bird"].tolist() == ["['b10']", "['b2', 'b10']", "['a']", "[]"]


words = st.text(st.characters(codec="utf-8"), min_size=1).map(str.strip).filter(bool)
labels = st.lists(words, unique=True, max_size=4)


@settings(max_examples=40, deadline=None)
@given(st.lists(labels, min_size=1, max_size=6).filter(any))
def test_what_predictions_say_reads_back(rows: list[list[str]]) -> None:
    frame = pd.DataFrame({"bird": [str(row) for row in rows]})
    codec = TargetCodec.fit(task(), frame)
    target = codec.encode(frame)
    assert [{codec.outputs[place] for place in np.flatnonzero(row)} for row in target] == [set(row) for row in rows]
    assert np.array_equal(through_json(codec).encode(codec.labels(target)), target)


def test_labels_that_are_numbers_are_texts() -> None:
    codec = TargetCodec.fit(task(), pd.DataFrame({"bird": [1139490, 22, 1139490]}))
    assert codec.outputs == ("22", "1139490")
    assert codec.encode(pd.DataFrame({"bird": ["['22', '1139490']"]})).tolist() == [[1, 1]]


def test_the_recipe_orders_and_restricts_classes() -> None:
    frame = pd.DataFrame({"bird": ["a", "b"]})
    codec = TargetCodec.fit(task(classes=("b", "a", 3)), frame)
    assert codec.outputs == ("b", "a", "3")
    assert codec.encode(frame).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(DataError, match="same as text"):
        TargetCodec.fit(task(classes=("3", 3)), frame)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["amecro", "amecr"], r"1 labels .* not among the classes: birds\.csv:3"),
        (["amecro", "['amecro', 'x', 'y']"], r"2 labels .* not among the classes: birds\.csv:3"),
        (["amecro", None], r"1 rows have no value in target column 'bird': birds\.csv:3"),
        (["amecro", "['amecro'"], r"birds\.csv:3: column 'bird': no list of labels"),
        (["amecro", "amecro; houspa"], r"birds\.csv:3: column 'bird': several labels without a list"),
        (["amecro", "[__import__('os')]"], r"birds\.csv:3: column 'bird': no list of labels"),
    ],
)
def test_cells_that_are_refused_are_named(cells: list[str | None], message: str) -> None:
    frame = pd.DataFrame({"bird": cells, "source": "birds.csv", "source_row": [2, 3]})
    with pytest.raises(DataError, match=message):
        TargetCodec.fit(task(classes=("amecro", "houspa")), frame)


def test_a_column_without_any_label() -> None:
    with pytest.raises(DataError, match="holds no label"):
        TargetCodec.fit(task(), pd.DataFrame({"bird": ["[]", "['']"]}))


def test_codecs_of_other_tasks_are_written_as_before() -> None:
    columns = Task(kind="multilabel", target=("p", "q"), metric="macro_roc_auc")
    written = TargetCodec.fit(columns, pd.DataFrame({"p": [0, 1], "q": [1, 0]})).to_dict()
    assert written.keys() == {"kind", "columns", "classes", "outputs", "dtypes", "rest"}


HEARD = pd.DataFrame(
    {"bird": ["a", "['b', 'c']", "c"], "also": ["['b', 'x']", "['c', 'a', 'x', 'y']", None], "n": range(3)}
)


def test_secondary_labels_are_masked_or_learned_and_never_the_truth() -> None:
    hidden = task(secondary={"column": "also"})
    codec = TargetCodec.fit(hidden, HEARD)
    truth = codec.encode(HEARD)
    assert truth.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    masked = learned_of_secondary(hidden, HEARD, codec.outputs, truth)
    assert masked is not None
    assert np.array_equal(masked.values, truth)
    assert masked.mask.tolist() == [[1, 0, 1], [0, 1, 1], [1, 1, 1]]
    assert masked.left_out == {"x": 2, "y": 1}
    soft = learned_of_secondary(
        task(secondary={"column": "also", "value": 0.25, "mask": False}), HEARD, codec.outputs, truth
    )
    assert soft is not None
    assert soft.values.tolist() == [[1, 0.25, 0], [0.25, 1, 1], [0, 0, 1]]
    assert soft.mask.all()
    assert soft.values.dtype == soft.mask.dtype == np.float32
    assert learned_of_secondary(task(), HEARD, codec.outputs, truth) is None


def test_folds_by_the_primary_label() -> None:
    birds = np.repeat(["a", "b", "['a', 'b']", '["b"]', "rare", "[]"], [11, 7, 1, 2, 3, 6])
    first = np.repeat(["a", "b", "a", "b", "rare", "none"], [11, 7, 1, 2, 3, 6])
    samples = samples_from_frame(pd.DataFrame({"n": range(30), "bird": birds}), Data(train="t", id="n"), Path())  # type: ignore[arg-type]
    fold = make_folds(Folds(k=3, stratify=("bird",)), samples).fold
    assert pd.crosstab(first, fold).to_numpy().tolist() == [[4, 4, 4], [3, 3, 3], [2, 2, 2], [1, 1, 1]]
    assert read_strata(samples.frame[["bird"]], 30, k=3).labels == (("(missing)", "a", "b", "rare"),)


def checked(folder, frame: pd.DataFrame, **options: object) -> list[tuple[str, str]]:  # type: ignore[no-untyped-def]
    frame.to_csv(folder / "train.csv", index=False)
    rating = options.pop("rating", None)
    data = Data(train="train.csv", id="n", rating=rating)  # type: ignore[arg-type]
    found = check_data(data, task(**options), Folds(k=2), folder).findings
    return [(finding.level, finding.what) for finding in found]


def test_check_names_cells_and_counts_what_is_left_out(tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = checked(tmp_path, HEARD, secondary={"column": "also"})
    told = "2 secondary labels in column 'also' without a class, which nothing is learned of (rows that have them)"
    assert ("warning", f"{told}: x (2), y (1)") in found
    wrong = HEARD.assign(bird=["a", "['b'", "b"])
    (fault,) = [what for level, what in checked(tmp_path, wrong) if level == "error"]
    assert fault == "1 row with a label in column 'bird' that is not a label or a list of labels"
    faults = [what for level, what in checked(tmp_path, HEARD, classes=("a", "b")) if level == "error"]
    assert (
        "2 rows with a label in column 'bird' that is not a label or a list of labels among the classes a, b" in faults
    )
    found = checked(tmp_path, HEARD.assign(also="[oops]"), secondary={"column": "also"})
    assert any(level == "error" and "train.csv:2: column 'also': no list of labels" in what for level, what in found)
    rating = {"column": "stars", "drop_below": 3}
    found = checked(tmp_path, HEARD.assign(stars=[2.5, 3, 0]), rating=rating)
    assert any(what.startswith("1 training row of 3 weigh nothing, by their rating in 'stars'") for _, what in found)
    found = checked(tmp_path, HEARD.assign(stars=[2.5, 30, 0]), rating=rating)
    (fault,) = [what for level, what in found if level == "error"]
    assert "ratings in column 'stars' are not usable: train.csv:3" in fault
