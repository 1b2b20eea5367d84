"""Vectors given in files: found by id alone, and refused with file, row and column where they cannot be used."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from outfold.data.table import Samples
from outfold.data.vectors import GivenVectors, Vectors, mean_and_deviation, read_vectors
from outfold.errors import DataError

IDS = ["a", "b", "7", "d e"]
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3) / 8


def samples(ids: Sequence[str]) -> Samples:
    return Samples(pd.DataFrame({"id": ids}), np.array(ids, dtype=object), None, "id")


def write_npy(root: Path, name: str, ids: Sequence[object], values: np.ndarray) -> tuple[str, str]:
    np.save(root / f"{name}.npy", values)
    pd.DataFrame({"id": ids}).to_csv(root / f"{name}.csv", index=False)
    return f"{name}.npy", f"{name}.csv"


def write_parquet(root: Path, name: str, ids: Sequence[object], values: np.ndarray) -> str:
    columns = {f"f{place}": column for place, column in enumerate(values.T)}
    pd.DataFrame({"id": ids, **columns}).to_parquet(root / f"{name}.parquet")
    return f"{name}.parquet"


def both(root: Path) -> GivenVectors:
    """The first two rows in an array, the others in parquet."""
    array, ids = write_npy(root, "one", IDS[:2], VALUES[:2].astype(np.float64))
    return read_vectors([array, write_parquet(root, "two", IDS[2:], VALUES[2:])], [ids], "id", root)


@given(order=st.permutations(range(4)), count=st.integers(1, 4))
@settings(max_examples=20)
def test_a_row_has_the_vector_of_its_id_in_whatever_order(
    order: list[int], count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    vectors = both(tmp_path_factory.mktemp("vectors")).of(samples([IDS[row] for row in order[:count]]), "train")
    assert vectors.values.dtype == np.float32
    np.testing.assert_array_equal(vectors.values, VALUES[order[:count]])


def test_whole_numbers_in_parquet_are_ids_too(tmp_path: Path) -> None:
    given = read_vectors([write_parquet(tmp_path, "one", [3, 5], VALUES[:2])], [], "id", tmp_path)
    np.testing.assert_array_equal(given.of(samples(["5", "3"]), "train").values, VALUES[[1, 0]])


def test_content_tells_vectors_apart(tmp_path: Path) -> None:
    values = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, np.nextafter(np.float32(2), np.float32(3))]], np.float32)
    content = Vectors(values).content
    assert content[0] == content[1] != content[2]
    assert Vectors(values).take(np.array([2, 0])).content == (content[2], content[0])


def test_a_row_without_a_vector_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 of 3 rows of the new table have no vector in one.npy, two") as raised:
        both(tmp_path).of(samples(["x", "a", "y"]), "new")
    assert "'x', 'y' (row 0, row 2)" in str(raised.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite_are_named_where_a_row_uses_them(bad: float, tmp_path: Path) -> None:
    values = VALUES.astype(np.float64)
    values[2, 1] = bad
    name, ids = write_npy(tmp_path, "one", IDS, values)
    given = read_vectors([name], [ids], "id", tmp_path)
    np.testing.assert_array_equal(given.of(samples(["b"]), "train").values, VALUES[[1]])
    with pytest.raises(DataError, match=r"1 vectors hold numbers that are missing(.|\n)*'7' \(one.csv:4\)"):
        given.of(samples(["b", "7"]), "train")


def test_a_gap_in_parquet_is_not_finite(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a", "b"], "f": pd.array([1, None], dtype="Int64")}).to_parquet(tmp_path / "one.parquet")
    with pytest.raises(DataError, match=r"'b' \(one.parquet:2\)"):
        read_vectors(["one.parquet"], [], "id", tmp_path).of(samples(["a", "b"]), "train")


def test_an_id_with_two_vectors_is_refused_within_and_between_files(tmp_path: Path) -> None:
    name, ids = write_npy(tmp_path, "one", ["a", "b", "a", "d"], VALUES)
    with pytest.raises(DataError, match=r"1 ids have more than one vector(.|\n)*'a' in one.csv:2 and one.csv:4"):
        read_vectors([name], [ids], "id", tmp_path)
    name, ids = write_npy(tmp_path, "one", IDS, VALUES)
    other = write_parquet(tmp_path, "two", ["b"], VALUES[:1])
    with pytest.raises(DataError, match=r"'b' in one.csv:3 and two.parquet:1"):
        read_vectors([name, other], [ids], "id", tmp_path)


def test_files_of_one_view_must_be_alike(tmp_path: Path) -> None:
    name, ids = write_npy(tmp_path, "one", IDS, VALUES)
    narrow = write_parquet(tmp_path, "two", ["x"], VALUES[:1, :2])
    with pytest.raises(DataError, match=r"one.npy and two.parquet differ in length(.|\n)*3 and 2 numbers"):
        read_vectors([name, narrow], [ids], "id", tmp_path)
    first = write_parquet(tmp_path, "three", IDS, VALUES)
    pd.read_parquet(tmp_path / first).assign(id="x").iloc[:1, [0, 2, 1, 3]].to_parquet(tmp_path / "four.parquet")
    with pytest.raises(DataError, match=r"stand in another order(.|\n)*'f0' and 'f1'"):
        read_vectors([first, "four.parquet"], [], "id", tmp_path)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (np.array([["text"]] * 4, dtype=object), "not a readable .npy file"),
        (np.array([["text"]] * 4), "these are no vectors"),
        (np.zeros((4, 2, 2)), r"no vectors(.|\n)*float64 \(4, 2, 2\)"),
        (np.zeros((4, 2), dtype=complex), "no vectors"),
        (np.zeros((5, 2)), r"one.csv does not name the rows of one.npy(.|\n)*5 ids"),
    ],
)
def test_arrays_that_are_no_vectors(values: np.ndarray, problem: str, tmp_path: Path) -> None:
    name, ids = write_npy(tmp_path, "one", IDS, values)
    with pytest.raises(DataError, match=problem):
        read_vectors([name], [ids], "id", tmp_path)


def test_tables_that_are_no_vectors(tmp_path: Path) -> None:
    pd.DataFrame({"id": IDS, "site": ["s"] * 4, "sure": True, "f": 1.5}).to_parquet(tmp_path / "one.parquet")
    with pytest.raises(DataError, match=r"one.parquet(.|\n)*2 columns of other things: site, sure"):
        read_vectors(["one.parquet"], [], "id", tmp_path)
    pd.DataFrame({"id": IDS, "f": 1.5}).iloc[[2, 0, 1, 3]].to_parquet(tmp_path / "index.parquet")
    with pytest.raises(DataError, match=r"1 columns of other things: __index_level_0__(.|\n)*index=False"):
        read_vectors(["index.parquet"], [], "id", tmp_path)
    with pytest.raises(DataError, match=r"one.parquet: no column 'name', needed as the id of each vector"):
        read_vectors(["one.parquet"], [], "name", tmp_path)
    pd.DataFrame({"id": ["a", None], "f": 1.5}).to_parquet(tmp_path / "two.parquet")
    with pytest.raises(DataError, match=r"two.parquet: 1 vectors have no id(.|\n)*two.parquet:2"):
        read_vectors(["two.parquet"], [], "id", tmp_path)
    pd.DataFrame({"id": IDS}).to_parquet(tmp_path / "three.parquet")
    with pytest.raises(DataError, match=r"three.parquet: a file of vectors without numbers"):
        read_vectors(["three.parquet"], [], "id", tmp_path)
    with pytest.raises(DataError, match="not a kind of file that holds vectors"):
        read_vectors(["one.csv"], [], "id", tmp_path)


def test_files_stay_inside_the_data_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write_npy(tmp_path, "one", IDS, VALUES)
    (root / "link.npy").symlink_to(tmp_path / "one.npy")
    for name in ("../one.npy", str(tmp_path / "one.npy"), "link.npy"):
        with pytest.raises(DataError, match="lies outside the data root"):
            read_vectors([name], ["one.csv"], "id", root)
    with pytest.raises(DataError, match=r"two.npy: there is no such file"):
        read_vectors(["two.npy"], ["one.csv"], "id", root)


@given(values=arrays(np.float32, (9, 3), elements=st.floats(-1e3, 1e3, width=32)))
@settings(max_examples=40)
def test_mean_and_deviation_are_those_of_the_training_rows(values: np.ndarray) -> None:
    values[:, 2] = values[0, 2]  # constant
    rows = np.array([0, 2, 3, 5, 8])
    mean, deviation = mean_and_deviation(values, rows)
    reference = StandardScaler().fit(values[rows].astype(np.float64))
    np.testing.assert_allclose(mean, reference.mean_, rtol=1e-12, atol=1e-12)
    varies = values[rows].astype(np.float64).std(axis=0) > 1e-3
    np.testing.assert_allclose(deviation[varies], reference.scale_[varies], rtol=1e-9)
    assert deviation[2] == 1
