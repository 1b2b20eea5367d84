"""Targets: every kind of label there and back in the user's own values and types."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from outfold.data.targets import TargetCodec, TargetScaler, natural_key
from outfold.errors import DataError
from outfold.settings.task import Task

COLUMNS = {
    "text": pd.Series(["b", "a", "b", "c"]),
    "digits as text": pd.Series(["01", "1", "01", "10"]),
    "words that mean missing elsewhere": pd.Series(["NA", "None", "nan", "NA"]),
    "int": pd.Series([3, 1, 2, 3]),
    "int32": pd.Series([3, 1, 2, 3], dtype="int32"),
    "float": pd.Series([1.0, 2.5, 1.0, -3.0]),
    "bool": pd.Series([True, False, True, True]),
    "nullable int": pd.Series([3, 1, 2, 3], dtype="Int64"),
    "nullable bool": pd.Series([True, False, True, True], dtype="boolean"),
    "arrow text": pd.Series(["b", "a", "b", "c"], dtype="string[pyarrow]"),
    "object": pd.Series(["b", 1, 1, "a"], dtype=object),
}


def task(kind: str, target: str | list[str] = "y", **options: object) -> Task:
    return Task(kind=kind, target=target, metric="accuracy", **options)  # type: ignore[arg-type]


def through_json(codec: TargetCodec) -> TargetCodec:
    return TargetCodec.from_dict(json.loads(json.dumps(codec.to_dict())))


@pytest.mark.parametrize("name", COLUMNS)
def test_multiclass_labels_come_back_as_they_were(name: str) -> None:
    frame = pd.DataFrame({"y": COLUMNS[name]})
    codec = TargetCodec.fit(task("multiclass"), frame)
    target = codec.encode(frame)
    assert (target.dtype, target.shape) == (np.float32, (4, frame["y"].nunique()))
    assert (target.sum(axis=1) == 1).all()
    restored = through_json(codec)
    assert restored == codec
    assert [type(label) for label in restored.classes] == [type(label) for label in codec.classes]
    pd.testing.assert_frame_equal(restored.labels(target), frame)


def test_a_category_comes_back_as_its_values() -> None:
    frame = pd.DataFrame({"y": pd.Categorical(["b", "a"], categories=["b", "a", "unused"])})
    codec = TargetCodec.fit(task("multiclass"), frame)
    assert codec.classes == ("a", "b")
    assert codec.labels(codec.encode(frame))["y"].tolist() == ["b", "a"]


def test_one_hot_like_scikit_learn() -> None:
    frame = pd.DataFrame({"y": [3, 1, 2, 3, 1]})
    codec = TargetCodec.fit(task("multiclass"), frame)
    assert np.array_equal(codec.encode(frame), LabelBinarizer().fit_transform(frame["y"]))


def test_classes_come_in_natural_order() -> None:
    frame = pd.DataFrame({"y": ["c10", "c2", "C1", "c2a", "7", "10"]})
    codec = TargetCodec.fit(task("multiclass"), frame)
    assert codec.classes == codec.outputs == ("7", "10", "C1", "c2", "c2a", "c10")
    assert TargetCodec.fit(task("multiclass"), pd.DataFrame({"y": [10, -2, 9]})).classes == (-2, 9, 10)


@given(st.lists(st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False))))
def test_any_labels_can_be_ordered(labels: list[object]) -> None:
    ordered = sorted(labels, key=natural_key)  # type: ignore[arg-type]
    backwards = list(reversed(labels))
    assert sorted(backwards, key=natural_key) == ordered  # type: ignore[arg-type]


def test_the_recipe_orders_and_restricts_classes() -> None:
    frame = pd.DataFrame({"y": ["a", "b", "a"]})
    codec = TargetCodec.fit(task("multiclass", classes=["b", "a", "rare"]), frame)
    assert codec.outputs == ("b", "a", "rare")
    assert codec.encode(frame).argmax(axis=1).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"1 labels .* row 1"):
        TargetCodec.fit(task("multiclass", classes=["a", "c"]), frame)
    with pytest.raises(DataError, match="twice"):
        TargetCodec.fit(task("multiclass", classes=["a", "a"]), frame)


@pytest.mark.parametrize("classes", [[1, 2], ["1", "2"], [1.0, 2.0]])
@pytest.mark.parametrize("labels", [[1, 2], ["1", "2"], [1.0, 2.0]])
def test_classes_of_a_recipe_match_by_value(classes: list[object], labels: list[object]) -> None:
    if isinstance(classes[0], float) and isinstance(labels[0], str):
        classes = ["1", "2"]  # the text "1.0" is another label than "1"
    frame = pd.DataFrame({"y": labels})
    codec = TargetCodec.fit(task("multiclass", classes=classes), frame)
    pd.testing.assert_frame_equal(codec.labels(codec.encode(frame)), frame)


def test_a_later_table_whose_text_looks_like_numbers() -> None:
    codec = TargetCodec.fit(task("multiclass"), pd.DataFrame({"y": ["1", "2", "x"]}))
    assert codec.encode(pd.DataFrame({"y": [2, 1]})).argmax(axis=1).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "options", "classes"),
    [
        (["ok", "bad", "ok"], {}, ("bad", "ok")),
        (["ok", "bad", "ok"], {"positive": "bad"}, ("ok", "bad")),
        (["ok", "bad", "ok"], {"classes": ["ok", "bad"]}, ("ok", "bad")),
        ([0, 1, 1], {}, (0, 1)),
        ([0, 1, 1], {"positive": "0"}, (1, 0)),
        ([True, False], {}, (False, True)),
        ([True, False], {"positive": False}, (True, False)),
        ([1.0, 0.0], {"positive": 1}, (0.0, 1.0)),
    ],
)
def test_binary(labels: list[object], options: dict[str, object], classes: tuple[object, ...]) -> None:
    frame = pd.DataFrame({"y": labels})
    codec = TargetCodec.fit(task("binary", **options), frame)
    assert codec.classes == classes
    assert codec.outputs == (str(classes[1]),)
    target = codec.encode(frame)
    assert target.shape == (len(labels), 1)
    assert target[:, 0].tolist() == [float(label == classes[1]) for label in labels]
    pd.testing.assert_frame_equal(codec.labels(target), frame)
    assert codec.labels(np.array([[0.5], [0.49]]))["y"].tolist() == [classes[1], classes[0]]


@pytest.mark.parametrize(
    ("kind", "labels", "options", "message"),
    [
        ("binary", ["a", "b", "c"], {}, "has 3 classes"),
        ("binary", ["a", "a"], {}, "has 1 classes"),
        ("multiclass", ["a", "a"], {}, "has 1 classes"),
        ("binary", ["a", "b"], {"positive": "c"}, "no label"),
        ("multiclass", ["a", None, "b", None], {}, "2 rows have no value in target column 'y': row 1, row 3"),
        ("multiclass", [["a"], ["b"]], {}, "type list"),
        ("multiclass", ["1", 1], {}, "same as text"),
    ],
)
def test_labels_that_are_refused(kind: str, labels: list[object], options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TargetCodec.fit(task(kind, **options), pd.DataFrame({"y": labels}))


def test_rows_are_named_by_table_and_line() -> None:
    frame = pd.DataFrame({"y": ["a", "b", "a"]})
    codec = TargetCodec.fit(task("multiclass"), frame)
    later = pd.DataFrame({"y": ["a", "x", "x"], "source": "new.csv", "source_row": [2, 3, 5]})
    with pytest.raises(DataError, match=r"new\.csv:3, new\.csv:5") as caught:
        codec.encode(later)
    assert caught.value.got == "'x'"


MULTILABEL = {"bool": [True, False, True], "int": [1, 0, 1], "float": [1.0, 0.0, 1.0]}


@pytest.mark.parametrize("name", MULTILABEL)
def test_multilabel(name: str) -> None:
    frame = pd.DataFrame({"p": MULTILABEL[name], "q": MULTILABEL[name][::-1]})
    codec = TargetCodec.fit(task("multilabel", ["p", "q"]), frame)
    assert codec.outputs == codec.columns == ("p", "q")
    target = codec.encode(frame)
    assert np.array_equal(target, frame.to_numpy(dtype=np.float32))
    pd.testing.assert_frame_equal(through_json(codec).labels(target * 0.6), frame)


@pytest.mark.parametrize("wrong", [2, 0.5, "yes", -1])
def test_multilabel_columns_hold_zero_and_one(wrong: object) -> None:
    with pytest.raises(DataError, match="target column 'q' are not usable: row 1"):
        TargetCodec.fit(task("multilabel", ["p", "q"]), pd.DataFrame({"p": [0, 1], "q": [1, wrong]}))


def test_regression() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, -1e6, 3.25]})
    codec = TargetCodec.fit(task("regression", ["a", "b"]), frame)
    target = codec.encode(frame)
    assert target.dtype == np.float32
    labels = codec.labels(target)
    pd.testing.assert_frame_equal(labels, frame.astype(float))


@pytest.mark.parametrize("wrong", ["x", np.inf, 1e300])
def test_regression_targets_are_finite_numbers(wrong: object) -> None:
    with pytest.raises(DataError, match="not usable: row 1"):
        TargetCodec.fit(task("regression"), pd.DataFrame({"y": [0.5, wrong]}))


def test_a_missing_target_column() -> None:
    with pytest.raises(DataError, match="no column 'label'"):
        TargetCodec.fit(task("multiclass", "label"), pd.DataFrame({"labels": ["a"]}))


def test_predictions_that_do_not_fit() -> None:
    codec = TargetCodec.fit(task("multiclass"), pd.DataFrame({"y": ["a", "b"]}))
    with pytest.raises(DataError, match="do not fit"):
        codec.labels(np.zeros((2, 3)))
    with pytest.raises(DataError, match=r"1 rows .* not numbers"):
        codec.labels(np.array([[np.nan, 1.0], [0.0, 1.0]]))


def test_scaler_like_scikit_learn() -> None:
    values = np.random.default_rng(0).normal(50, 20, (100, 3)).astype(np.float32)
    values[:, 1] = 0.1
    rows = np.arange(60)
    scaler, reference = TargetScaler.fit(values, rows), StandardScaler().fit(values[:60].astype(float))
    np.testing.assert_allclose(scaler.mean, reference.mean_)
    assert scaler.std[1] == 1
    np.testing.assert_allclose(scaler.std[[0, 2]], reference.scale_[[0, 2]])
    np.testing.assert_allclose(scaler.transform(values), reference.transform(values), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(values)), values, rtol=1e-5)
    restored = TargetScaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert np.array_equal(restored.mean, scaler.mean)
    assert np.array_equal(restored.std, scaler.std)
