"""Labels of recordings: lists in cells, targets and masks, ratings; nothing is ever evaluated."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.data.audio.labels import label_lists, parse_labels, rating_weights, soft_targets
from outfold.errors import DataError


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("[]", ()),
        ("['']", ()),
        ("", ()),
        (None, ()),
        ("['asbfly']", ("asbfly",)),
        ("['a', 'b', 'a']", ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("('a',)", ("a",)),
        (" [ 'a' , \" b's \" ] ", ("a", "b's")),
        ('["\\u00e9", "a\\/b"]', ("é", "a/b")),
        ("asbfly", ("asbfly",)),
    ],
)
def test_lists_in_cells(text: str | None, labels: tuple[str, ...]) -> None:
    assert parse_labels(text) == labels


def test_separators() -> None:
    assert parse_labels("a; b;;c", ";") == ("a", "b", "c")
    assert parse_labels("a b", " ") == ("a", "b")
    assert parse_labels("['a;b']", ";") == ("a;b",)
    with pytest.raises(DataError, match="say which separator"):
        parse_labels("a;b")


labels = st.lists(st.text(min_size=1).map(str.strip).filter(bool), unique=True)


@settings(max_examples=40, deadline=None)
@given(labels)
def test_what_python_and_json_write_is_read(given_labels: list[str]) -> None:
    assert parse_labels(str(given_labels)) == tuple(given_labels)
    assert parse_labels(json.dumps(given_labels)) == tuple(given_labels)


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "['a'",
        "[1, 2]",
        "['a', 1]",
        "[['a']]",
        "(1)",
        "['a'] + ['b']",
        "[__import__('os').system('touch evaluated')]",
        "[x for x in 'ab']",
        "[" * 5000 + "]" * 5000,
        "['a', 'b'] * 10**9",
        "['a'," + "'b'," * 100_000 + "]",
    ],
)
def test_what_is_no_list_is_refused_and_never_run(text: str, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="list of labels") as caught:
        parse_labels(text)
    assert len(str(caught.value)) < 400
    assert not list(tmp_path.iterdir())


def test_errors_name_file_row_and_column() -> None:
    frame = pd.DataFrame({"secondary_labels": ["[]", "['a']", "[oops]"]}).assign(
        source="train_metadata.csv", source_row=[2, 3, 4]
    )
    with pytest.raises(DataError, match=r"train_metadata\.csv:4: column 'secondary_labels': no list of labels"):
        label_lists(frame, "secondary_labels")
    assert label_lists(frame[:2], "secondary_labels") == [(), ("a",)]
    with pytest.raises(DataError, match="no column 'type'"):
        label_lists(frame, "type")


def test_targets_and_mask() -> None:
    targets = soft_targets([("a",), ("b",), ("c", "a")], [("b", "x"), ("b", "x", "y"), ()], "abc", secondary_value=0.3)
    assert targets.values.dtype == targets.mask.dtype == np.float32
    assert np.array_equal(targets.values, np.array([[1, 0.3, 0], [0, 1, 0], [1, 0, 1]], np.float32))
    assert np.array_equal(targets.mask, [[1, 0, 1], [1, 1, 1], [1, 1, 1]])
    assert targets.left_out == {"x": 2, "y": 1}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.lists(st.sampled_from("abcd"), min_size=1), st.lists(st.sampled_from("abcdxy"))), max_size=8)
)
def test_mask_is_zero_where_a_class_is_only_secondary(rows: list[tuple[list[str], list[str]]]) -> None:
    primary, secondary = [tuple(row[0]) for row in rows], [tuple(row[1]) for row in rows]
    targets = soft_targets(primary, secondary, "abcd", secondary_value=0.5)
    for row, (own, also) in enumerate(zip(primary, secondary, strict=True)):
        for place, name in enumerate("abcd"):
            only_secondary = name in also and name not in own
            assert targets.mask[row, place] == (0 if only_secondary else 1)
            assert targets.values[row, place] == (1 if name in own else 0.5 if only_secondary else 0)


def test_targets_that_cannot_be() -> None:
    with pytest.raises(DataError, match=r"row 2: the primary label 'amerob' is no class") as caught:
        soft_targets([("amecro",), ("amerob",)], [(), ()], ["amecro", "amerobi"])
    assert "did you mean `amerobi`" in str(caught.value)
    with pytest.raises(DataError, match="row 1: no primary label"):
        soft_targets([()], [("a",)], "ab")
    with pytest.raises(DataError, match="named more than once"):
        soft_targets([("a",)], [()], "aab")
    with pytest.raises(DataError, match="different rows"):
        soft_targets([("a",)], [], "ab")
    with pytest.raises(DataError, match="no probability"):
        soft_targets([("a",)], [()], "ab", secondary_value=1.5)


def test_ratings_as_weights() -> None:
    ratings = [5, 2.5, 0, np.nan, 0.5]
    assert np.allclose(rating_weights(ratings), [1, 0.5, 1, 1, 0.1])
    own = rating_weights(ratings, lowest_weight=0.2, unrated_weight=0.6, drop_below=1.0)
    assert own.dtype == np.float32
    assert np.allclose(own, [1, 0.6, 0.6, 0.6, 0])
    with pytest.raises(DataError, match=r"2 ratings are out of range: row 2, row 3"):
        rating_weights([1, 6, -1])
    with pytest.raises(DataError, match="unrated_weight is no weight"):
        rating_weights([1], unrated_weight=2)
