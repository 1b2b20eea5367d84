"""Sources with their own columns and labels: maps, what they leave out, rows without labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.data.checks import check_data
from outfold.data.columns import plain_cells
from outfold.data.mapping import map_values
from outfold.data.source_checks import mapping_findings
from outfold.data.table import load_samples, refuse_known_ids
from outfold.errors import DataError
from outfold.settings.data import Data
from outfold.settings.folds import Folds
from outfold.settings.task import Task


def table(folder: Path, text: str, name: str = "train.csv") -> None:
    (folder / name).write_text(text)


def years(folder: Path, **changes: object) -> Data:
    """Two years with other columns and labels for the same things."""
    table(folder, "image,diagnosis,sex\na,nevus,male\nb,melanoma,female\nc,melanoma,\n", "2020.csv")
    table(folder, "name,dx,sex,split\nd,NV,m,1\ne,MEL,f,1\nf,BCC,m,1\ng,MEL,m,2\n", "2019.csv")
    older = {
        "table": "2019.csv",
        "name": "2019",
        "where": {"split": 1},
        "rename": {"name": "image", "dx": "diagnosis"},
        "map": {"NV": "nevus", "MEL": "melanoma", "sex": {"m": "male", "f": "female"}},
    }
    return Data.model_validate({"train": ["2020.csv", older | changes], "id": "image"})


def test_each_source_has_its_own_words(tmp_path: Path) -> None:
    samples = load_samples(years(tmp_path), tmp_path, targets=["diagnosis"])
    assert samples.frame["diagnosis"].tolist() == ["nevus", "melanoma", "melanoma", "nevus", "melanoma", "BCC"]
    assert samples.frame["sex"].fillna("").tolist() == ["male", "female", "", "male", "female", "male"]
    assert samples.frame["source"].tolist() == ["2020.csv"] * 3 + ["2019"] * 3
    labels, sex = samples.mapped
    assert (labels.columns, labels.unused, labels.kept) == (("diagnosis",), (), {"BCC": 1})
    assert (sex.columns, sex.unused, sex.kept) == (("sex",), (), {})
    assert samples.take([0]).mapped == samples.mapped


def test_where_means_the_table_s_own_values(tmp_path: Path) -> None:
    samples = load_samples(years(tmp_path, where={"dx": ["MEL", "NV"]}), tmp_path, targets=["diagnosis"])
    assert samples.ids.tolist() == ["a", "b", "c", "d", "e", "g"]


@pytest.mark.parametrize(
    ("cells", "words", "expected", "dtype"),
    [
        (["1", "2"], {"1": "one"}, ["one", "2"], "str"),
        (["1", "2"], {"1": 3}, [3, 2], "int64"),
        (["1", ""], {"1": "one"}, ["one", None], "str"),
        (["0", "1", ""], {"0": 1, "1": 0}, [1, 0, None], "Int64"),
        (["1.0", "2.5"], {"1": 7}, [7.0, 2.5], "float64"),
        (["01", "1"], {"1": "one"}, ["01", "one"], "str"),
        (["True", "False"], {"true": "yes", "false": "no"}, ["yes", "no"], "str"),
        (["a", "b"], {"a": True, "b": False}, [True, False], "bool"),
        (["a", "b", ""], {"a": True, "b": False}, [True, False, None], "boolean"),
        (["a", "b"], {"a": 1, "b": 0.5}, [1.0, 0.5], "float64"),
        (["a", "b"], {"a": 1}, ["1", "b"], "str"),
        (["a", "b"], {"a": "b", "b": "a"}, ["b", "a"], "str"),
    ],
)
def test_values_are_compared_as_the_column_s_own(
    tmp_path: Path, cells: list[str], words: dict[str, object], expected: list[object], dtype: str
) -> None:
    table(tmp_path, "id,x\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(cells)))
    data = Data.model_validate({"train": {"table": "train.csv", "map": words}, "id": "id"})
    column = load_samples(data, tmp_path, targets=["x"]).frame["x"]
    assert column.isna().tolist() == [cell is None for cell in expected]
    assert column.dropna().tolist() == [cell for cell in expected if cell is not None]
    assert str(column.dtype) == dtype


def test_labels_of_several_targets(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["yes", "no"], "b": ["no", "maybe"]})
    mapped, (report,) = map_values(frame, {"yes": 1, "no": 0, "never": 0}, targets=["a", "b"], table="t.csv")
    assert mapped["a"].tolist() == [1, 0]
    assert mapped["b"].tolist() == ["0", "maybe"]
    assert (report.columns, report.unused, report.kept) == (("a", "b"), ("never",), {"maybe": 1})


def test_faults_of_a_map(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2019\.csv: no column 'sexx', needed as a column to map") as caught:
        load_samples(years(tmp_path, map={"sexx": {"m": "male"}}), tmp_path, targets=["diagnosis"])
    assert caught.value.fix == "did you mean 'sex'?"
    with pytest.raises(DataError, match="no column 'diagnose', needed as a column to map"):
        load_samples(years(tmp_path), tmp_path, targets=["diagnose"])
    with pytest.raises(DataError, match=r"`map` names one value of column 'x' twice(.|\n)*'1' and '1\.0'"):
        map_values(pd.DataFrame({"x": [1, 2]}), {"1": "a", "1.0": "b"}, targets=["x"], table="t.csv")


def test_what_a_map_names_in_vain_and_what_it_leaves_is_said(tmp_path: Path) -> None:
    data = years(tmp_path, map={"NV": "nevus", "MLE": "melanoma"})
    vain, kept = mapping_findings(load_samples(data, tmp_path, targets=["diagnosis"]))
    assert vain.level == "warning"
    assert vain.what == "2019.csv: `map` names 1 value that no row has in column 'diagnosis': MLE"
    assert vain.fix == "did you mean `MEL`?"
    assert kept.what == "2019.csv: `map` leaves 2 values of column 'diagnosis' as they are: MEL (1), BCC (1)"


def test_a_test_table_may_lack_the_mapped_labels(tmp_path: Path) -> None:
    words = {"NV": "nevus", "sex": {"m": "male"}}
    table(tmp_path, "image,sex\nx,m\n", "test.csv")
    data = Data.model_validate(
        {"train": "2020.csv", "test": {"table": "test.csv", "map": words}, "id": "image", "unlabelled": "test.csv"}
    )
    samples = load_samples(data, tmp_path, "test", targets=["diagnosis"])
    assert samples.frame["sex"].tolist() == ["male"]
    assert mapping_findings(samples) == []
    assert load_samples(data, tmp_path, "unlabelled").ids.tolist() == ["x"]
    with pytest.raises(DataError, match="no unlabelled table"):
        load_samples(data.model_copy(update={"unlabelled": ()}), tmp_path, "unlabelled")


def test_unlabelled_rows_are_not_training_rows(tmp_path: Path) -> None:
    table(tmp_path, "image,w\nu,-1\nv,\n", "more.csv")
    table(tmp_path, "image\nb\nw\n", "again.csv")
    data = years(tmp_path).model_copy(update={"weight": None})
    train = load_samples(data, tmp_path, targets=["diagnosis"])

    def unlabelled(*tables: str) -> Data:
        return Data.model_validate({"train": "2020.csv", "id": "image", "unlabelled": list(tables), "weight": "w"})

    refuse_known_ids(train, load_samples(unlabelled("more.csv"), tmp_path, "unlabelled"))
    both = load_samples(unlabelled("more.csv", "again.csv"), tmp_path, "unlabelled")
    with pytest.raises(DataError, match=r"1 ids of the unlabelled rows(.|\n)*again\.csv:2"):
        refuse_known_ids(train, both)
    with pytest.raises(DataError, match="given more than once"):
        load_samples(unlabelled("more.csv", "more.csv"), tmp_path, "unlabelled")


def test_a_check_reads_maps_and_unlabelled_rows(tmp_path: Path) -> None:
    table(tmp_path, "image\nb\nu\n,\n".replace(",", ""), "more.csv")
    data = years(tmp_path).model_copy(
        update={"unlabelled": Data.model_validate({"train": "more.csv", "id": "image"}).train}
    )
    task = Task(kind="multiclass", target=("diagnosis",), metric="accuracy", classes=("nevus", "melanoma", "bcc"))
    checked = check_data(data, task, Folds(k=2), tmp_path)
    said = [f"{finding.level}: {finding.what}" for finding in checked.findings]
    assert any("note: 2019.csv: `map` leaves 1 value" in line for line in said)
    assert any("error: 1 row with a label in column 'diagnosis'" in line for line in said)
    assert any("unlabelled: 2 rows" in line for line in said)
    assert any("error: 1 ids of the unlabelled rows are also in the training table" in line for line in said)
    assert checked.unlabelled is not None
    assert checked.unlabelled.samples.ids.tolist() == ["b", "u"]


plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text()


@given(st.lists(plain, min_size=1))
def test_plain_cells_keep_every_value(cells: list[object]) -> None:
    column = plain_cells(cells)
    assert column.isna().tolist() == [cell is None for cell in cells]
    for cell, kept in zip(cells, column.tolist(), strict=True):
        if cell is not None:
            assert kept == (str(cell) if isinstance(kept, str) else cell)


def test_real_diagnoses_in_other_words(shared_data) -> None:  # type: ignore[no-untyped-def]
    """One year in the words of 2020, the other in those of 2019, give the table that one recipe reads."""
    folder = shared_data("ham10000")
    words = {"mel": "melanoma", "nv": "nevus", "bkl": "BKL", "akiec": "AK", "bcc": "BCC", "df": "DF", "vasc": "VASC"}
    data = Data.model_validate({"train": {"table": "labels.csv", "map": words}, "id": "image_id"})
    samples = load_samples(data, folder, targets=["dx"])
    reference = pd.read_csv(folder / "labels.csv")["dx"].map(words)
    assert np.array_equal(samples.frame["dx"].to_numpy(object), reference.to_numpy(object))
    assert mapping_findings(samples) == []
