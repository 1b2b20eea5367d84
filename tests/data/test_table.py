"""Reading tables without loss, several sources, ids, and media paths that stay inside the root."""

import csv
import io
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.data.columns import cell_texts, typed_column, value_like
from outfold.data.table import Samples, load_samples, media_paths, read_table, samples_from_frame
from outfold.errors import DataError, MediaError
from outfold.settings.data import Data


def table(folder: Path, text: str, name: str = "train.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def column(folder: Path, *cells: str) -> pd.Series:
    return read_table(table(folder, "x,y\n" + "".join(f"{cell},.\n" for cell in cells)))["x"]


@pytest.mark.parametrize(
    ("cells", "dtype", "values"),
    [
        (["1", "-20", "0"], "int64", [1, -20, 0]),
        (["9223372036854775807"], "int64", [2**63 - 1]),
        (["9223372036854775808", "1"], "str", ["9223372036854775808", "1"]),
        (["01", "2"], "str", ["01", "2"]),
        (["-0", "1"], "float64", [0.0, 1.0]),
        (["1", "2.50", "1e-3", " 3"], "float64", [1.0, 2.5, 0.001, 3.0]),
        (["1.5", "9007199254740993"], "str", ["1.5", "9007199254740993"]),
        (["1", "x"], "str", ["1", "x"]),
        (["NA", "None", "nan", "null"], "str", ["NA", "None", "nan", "null"]),
        (["inf", "1"], "str", ["inf", "1"]),
        (["True", "False"], "bool", [True, False]),
        (["true", "false"], "str", ["true", "false"]),
        (["1_000", "2"], "str", ["1_000", "2"]),
        (["٣"], "str", ["٣"]),
        ([".", "e", "+"], "str", [".", "e", "+"]),
    ],
)
def test_column_types(tmp_path: Path, cells: list[str], dtype: str, values: list[object]) -> None:
    series = column(tmp_path, *cells)
    assert str(series.dtype) == dtype
    assert series.tolist() == values


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [(["1", ""], "Int64"), (["True", ""], "boolean"), (["1.5", ""], "float64"), (["a", ""], "str"), ([""], "float64")],
)
def test_missing_cells_keep_the_type_of_the_others(tmp_path: Path, cells: list[str], dtype: str) -> None:
    series = column(tmp_path, *cells)
    assert str(series.dtype) == dtype
    assert series.isna().tolist() == [cell == "" for cell in cells]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=1, max_size=6))
def test_text_never_changes(texts: list[str]) -> None:
    """Whatever is not a number comes back letter by letter."""
    series = typed_column(texts, exact=True)
    assert [text or "" for text in cell_texts(series)] == texts


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1))
def test_integers_never_lose_a_digit(numbers: list[int]) -> None:
    assert typed_column([str(number) for number in numbers]).astype(str).tolist() == [str(n) for n in numbers]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_floats_come_back_to_the_last_bit(numbers: list[float]) -> None:
    series = typed_column([repr(number) for number in numbers])
    if series.dtype == np.float64:
        assert series.tolist() == numbers


def test_ids_never_become_floats(tmp_path: Path) -> None:
    table(tmp_path, "id,size\n1.10,2.0\n1.1,3\n")
    samples = load_samples(Data(train="train.csv", id="id"), tmp_path)
    assert samples.ids.tolist() == ["1.10", "1.1"]
    assert samples.frame["size"].tolist() == [2.0, 3.0]


def test_bom_crlf_quotes_and_newlines_in_cells(tmp_path: Path) -> None:
    text = '\ufeffid,note\r\n1,"a ""b"", c"\r\n\r\n2,"two\nlines"\r\n3,x\r\n'
    frame = read_table(table(tmp_path, text))
    assert frame.to_dict("list") == {"id": [1, 2, 3], "note": ['a "b", c', "two\nlines", "x"]}
    samples = load_samples(Data(train="train.csv", id="id"), tmp_path)
    assert samples.frame["source_row"].tolist() == [2, 4, 6]


def test_rows_are_read_as_the_csv_module_writes_them(tmp_path: Path) -> None:
    rows = [["a,b", 'c"d'], ["e\r\nf", " g "], ["", "h"]]
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["x", "y"], *rows])
    frame = read_table(table(tmp_path, buffer.getvalue()))
    assert frame.fillna("").to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,b\n", "no rows"),
        ("a;b\n1;2\n", r"semicolon \(';'\)"),
        ("a\tb\n1\t2\n", "tab"),
        ("a,b,a\n1,2,3\n", "more than once"),
        ("a,b\n1,2\n3\n", r":3: 1 cells, but the header has 2 columns"),
        ('a,b\n1,2\n3,"x\n4,5\n', r":3: not valid CSV"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_table(table(tmp_path, text))
    assert "train.csv" in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("a\nGrün\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_table(tmp_path / "latin.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"none\.xlsx: the file does not exist"):
        read_table(tmp_path / "none.xlsx")
    (tmp_path / "table.xlsx").touch()
    with pytest.raises(DataError, match="not a kind of table"):
        read_table(tmp_path / "table.xlsx")
    (tmp_path / "x.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match="not a readable parquet file"):
        read_table(tmp_path / "x.parquet")


def test_a_written_index_gets_the_name_pandas_gives_it(tmp_path: Path) -> None:
    pd.DataFrame({"a": [5, 6]}).to_csv(tmp_path / "x.csv")
    assert read_table(tmp_path / "x.csv").columns.tolist() == ["Unnamed: 0", "a"]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "text": ["01", "NA", None],
            "whole": pd.array([1, None, 2**60 + 1], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "kind": pd.Categorical(["b", "a", "b"]),
            "number": [0.5, np.nan, 2.0],
        }
    )
    frame.to_parquet(tmp_path / "x.parquet")
    read = read_table(tmp_path / "x.parquet")
    assert read["whole"].tolist() == [1, pd.NA, 2**60 + 1]
    assert {name: str(dtype) for name, dtype in read.dtypes.items()} == {
        "text": "str",
        "whole": "Int64",
        "flag": "boolean",
        "kind": "str",
        "number": "float64",
    }
    assert read["text"].tolist()[:2] == ["01", "NA"]


def test_several_sources(tmp_path: Path) -> None:
    table(tmp_path, "image,label,split\n1,7,train\n2,8,val\n3,7,train\n", "a.csv")
    table(tmp_path, "name,label,extra\nx,9,0.5\ny,,1.5\n", "b.csv")
    data = Data(
        train=[
            {"table": "a.csv", "where": {"split": "train"}, "image": {"path": "a/{image}.jpg"}},
            {"table": "b.csv", "name": "more", "rename": {"name": "image"}},
        ],
        id="image",
        image={"path": "b/{image}.png"},
    )
    samples = load_samples(data, tmp_path)
    assert samples.ids.tolist() == ["1", "3", "x", "y"]
    assert samples.frame.index.equals(pd.RangeIndex(4))
    assert samples.frame["source"].tolist() == ["a.csv", "a.csv", "more", "more"]
    assert samples.frame["source_row"].tolist() == [2, 4, 2, 3]
    assert samples.frame["label"].tolist() == [7, 7, 9, pd.NA]
    assert samples.frame["extra"].tolist()[2:] == [0.5, 1.5]
    assert samples.media == tuple(tmp_path / name for name in ("a/1.jpg", "a/3.jpg", "b/x.png", "b/y.png"))


def test_numbers_beside_text_become_the_text_they_were(tmp_path: Path) -> None:
    table(tmp_path, "id,label\n1,10\n", "a.csv")
    table(tmp_path, "id,label\n2,ten\n", "b.csv")
    frame = load_samples(Data(train=["a.csv", "b.csv"], id="id"), tmp_path).frame  # type: ignore[arg-type]
    assert frame["label"].tolist() == ["10", "ten"]


@pytest.mark.parametrize("where", [{"fold": 1}, {"fold": "1"}, {"fold": [1, 5]}, {"keep": True}, {"keep": "True"}])
def test_where_compares_by_value(tmp_path: Path, where: dict[str, object]) -> None:
    table(tmp_path, "id,fold,keep\na,1,True\nb,2,False\n")
    data = Data(train=[{"table": "train.csv", "where": where}], id="id")  # type: ignore[arg-type]
    assert load_samples(data, tmp_path).ids.tolist() == ["a"]


def test_where_without_a_match_says_what_there_is(tmp_path: Path) -> None:
    table(tmp_path, "id,split\n1,train\n2,test\n")
    data = Data(train=[{"table": "train.csv", "where": {"split": "Train"}}], id="id")  # type: ignore[list-item]
    with pytest.raises(DataError, match="no row meets") as caught:
        load_samples(data, tmp_path)
    assert "'test'" in str(caught.value)


def test_value_like() -> None:
    assert value_like(1, pd.Series(["1"])) == "1"
    assert value_like("2", pd.Series([1])) == value_like("2.0", pd.Series([1])) == 2
    assert value_like(2**62 + 1, pd.Series([1])) == value_like(str(2**62 + 1), pd.Series([1])) == 2**62 + 1
    assert value_like("x", pd.Series([1])) == "x"
    assert value_like("true", pd.Series([True])) is True
    assert isinstance(value_like(1, pd.Series([1.5])), float)


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    table(tmp_path, "image_id,label\n1,a\n")
    with pytest.raises(DataError, match="image_id") as caught:
        load_samples(Data(train="train.csv", id="imageid"), tmp_path)
    assert caught.value.fix == "did you mean 'image_id'?"


def test_repeated_and_missing_ids(tmp_path: Path) -> None:
    table(tmp_path, "id,x\n7,1\n8,1\n7,2\n9,3\n8,4\n7,5\n")
    with pytest.raises(DataError, match=r"2 ids .* more than once") as caught:
        load_samples(Data(train="train.csv", id="id"), tmp_path)
    assert "'7' in train.csv:2, train.csv:4, train.csv:7; '8' in train.csv:3, train.csv:6" in str(caught.value)
    table(tmp_path, "id,x\n7,1\n,1\n")
    with pytest.raises(DataError, match=r"no id(.|\n)*train\.csv:3"):
        load_samples(Data(train="train.csv", id="id"), tmp_path)


@pytest.mark.parametrize("weight", ["-1", "x", "", "nan"])
def test_weights_are_checked(tmp_path: Path, weight: str) -> None:
    table(tmp_path, f"id,w\n1,0.5\n2,{weight}\n")
    with pytest.raises(DataError, match=r"train\.csv:3"):
        load_samples(Data(train="train.csv", id="id", weight="w"), tmp_path)


def test_the_test_table(tmp_path: Path) -> None:
    table(tmp_path, "id\n1\n")
    table(tmp_path, "id\n2\n3\n", "test.csv")
    data = Data(train="train.csv", test="test.csv", id="id")  # type: ignore[arg-type]
    assert load_samples(data, tmp_path, "test").ids.tolist() == ["2", "3"]
    with pytest.raises(DataError, match="no test table"):
        load_samples(Data(train="train.csv", id="id"), tmp_path, "test")


def test_a_column_named_source(tmp_path: Path) -> None:
    table(tmp_path, "id,source\n1,north\n")
    assert load_samples(Data(train="train.csv", id="id"), tmp_path).frame["source"].tolist() == ["north"]
    with pytest.raises(DataError, match="'source' of its own"):
        load_samples(Data(train=[{"table": "train.csv", "name": "a"}], id="id"), tmp_path)  # type: ignore[list-item]


def test_tables_outside_the_root_are_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    table(tmp_path, "id\n1\n")
    for name in ("../train.csv", str(tmp_path / "train.csv")):
        with pytest.raises(DataError, match="outside the data root"):
            load_samples(Data(train=name, id="id"), tmp_path / "root")


def test_take(tmp_path: Path) -> None:
    table(tmp_path, "id\na\nb\nc\n")
    samples = load_samples(Data(train="train.csv", id="id", image={"path": "{id}.jpg"}), tmp_path)  # type: ignore[arg-type]
    for rows in ([2, 0], np.array([2, 0])):
        taken = samples.take(rows)
        assert isinstance(taken, Samples)
        assert (len(taken), taken.ids.tolist(), taken.frame["id"].tolist()) == (2, ["c", "a"], ["c", "a"])
        assert taken.media == (tmp_path / "c.jpg", tmp_path / "a.jpg")
    assert samples.take(np.array([False, True, False])).ids.tolist() == ["b"]


def test_samples_from_a_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": [5, 6], "file": ["a", None]}, index=[10, 20])
    samples = samples_from_frame(frame, Data(train="x.csv", id="id"), tmp_path)
    assert samples.ids.tolist() == ["5", "6"]
    assert samples.frame["source_row"].tolist() == [1, 2]
    with pytest.raises(MediaError, match="frame:2: no value in column 'file'"):
        samples_from_frame(frame, Data(train="x.csv", id="id", image={"path": "{file}"}), tmp_path)  # type: ignore[arg-type]


def frame_of(*paths: str) -> pd.DataFrame:
    return pd.DataFrame({"file": list(paths)})


@pytest.mark.parametrize(
    "path", ["../x.jpg", "a/../../x.jpg", "..", "/etc/passwd", "a/\0.jpg", "link/x.jpg", "out.jpg", ""]
)
def test_paths_that_leave_the_root(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "x.jpg").touch()
    (root / "link").symlink_to(tmp_path)
    (root / "out.jpg").symlink_to(tmp_path / "x.jpg")
    with pytest.raises(MediaError, match="row 1"):
        media_paths(frame_of("fine.jpg", path), "{file}", root)


def test_paths_that_stay_inside(tmp_path: Path) -> None:
    """A linked root, links within the root, `..` that comes back, and an absolute path of the root are all fine."""
    real, root = tmp_path / "real", tmp_path / "root"
    (real / "a").mkdir(parents=True)
    root.symlink_to(real)
    (real / "b").symlink_to(real / "a")
    frame = frame_of("a/1.jpg", "b/..2.jpg", "a/../3.jpg", str(real / "4.jpg"), "./5.jpg", "a//6.jpg", ".hidden/7.jpg")
    paths = media_paths(frame, "{file}", root)
    assert [path.name for path in paths] == ["1.jpg", "..2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg", "7.jpg"]
    assert paths[0] == root / "a" / "1.jpg"
    assert all(os.path.realpath(path).startswith(str(real)) for path in paths)


def test_templates(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a b": ["x"], "n": [7], "{": ["y"]})
    assert media_paths(frame, "{a b}/{n}.jpg", tmp_path) == (tmp_path / "x" / "7.jpg",)
    with pytest.raises(DataError, match="unpaired brace"):
        media_paths(frame, "{n.jpg", tmp_path)
    with pytest.raises(DataError, match=r"no column 'n\.real'"):
        media_paths(frame, "{n.real}", tmp_path)


def test_text_of_a_cell_is_never_a_template(tmp_path: Path) -> None:
    frame = pd.DataFrame({"file": ["{secret}.jpg"], "secret": ["x"]})
    assert media_paths(frame, "{file}", tmp_path) == (tmp_path / "{secret}.jpg",)


def test_thirty_thousand_paths_ask_for_each_file_and_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"images/{row % 40}/{row}.jpg,{row % 7},{row / 8},name {row % 99}\n" for row in range(30_000))
    table(tmp_path, "file,label,size,name\n" + rows)
    data = Data(train="train.csv", id="file", image={"path": "{file}"})  # type: ignore[arg-type]
    asked: Counter[str] = Counter()

    def counted(name: str, function: Callable[[str], Any]) -> Callable[[str], Any]:
        def ask(path: str) -> Any:
            asked[name] += 1
            return function(path)

        return ask

    for name in ("islink", "realpath"):
        monkeypatch.setattr(os.path, name, counted(name, getattr(os.path, name)))
    assert len(load_samples(data, tmp_path)) == 30_000
    assert asked["islink"] <= 30_000 + 50  # and the folders
    assert asked["realpath"] < 20


def test_real_tables(shared_data) -> None:  # type: ignore[no-untyped-def]
    folder = shared_data("ham10000")
    data = Data(train="labels.csv", id="image_id", image={"path": "{file}"})  # type: ignore[arg-type]
    samples = load_samples(data, folder)
    reference = pd.read_csv(folder / "labels.csv")
    for name in reference.columns:
        assert samples.frame[name].isna().equals(reference[name].isna())
    assert samples.frame["age"].astype(float).equals(reference["age"])
