"""Long tables: one row a sample and target in, one row a sample inside, the same rows out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from pydantic import ValidationError

from outfold.data.checks import check_data
from outfold.data.long import LongRows, pivot
from outfold.data.table import load_samples, samples_from_frame
from outfold.errors import DataError
from outfold.settings.data import Data, Long
from outfold.settings.folds import Folds
from outfold.settings.task import Task

LONG = Long(row="row", name="about", value="amount")
TARGETS = ("green", "dead")
MASSES = ("Dry_Clover_g", "Dry_Dead_g", "Dry_Green_g", "Dry_Total_g", "GDM_g")

rows_of_values = st.lists(
    st.tuples(*(st.floats(width=32, allow_nan=False, allow_infinity=False) for _ in TARGETS)), min_size=1, max_size=12
)


def small(**columns: Any) -> pd.DataFrame:
    """Two samples of two targets, in mixed order; columns replace its own."""
    frame = pd.DataFrame(
        {
            "row": ["b__dead", "a__green", "a__dead", "b__green"],
            "plot": ["b", "a", "a", "b"],
            "site": ["x", "y", "y", "x"],
            "about": ["dead", "green", "dead", "green"],
            "amount": [1.5, 2.0, 3.0, 4.0],
        }
    )
    return frame.assign(source="t.csv", source_row=range(2, 6), **columns)


def data_of(**changes: Any) -> Data:
    long = {"row": "row", "name": "about", "value": "amount"}
    return Data.model_validate({"train": "t.csv", "id": "plot", "long": long, **changes})


def write(folder: Path, frame: pd.DataFrame, name: str = "t.csv") -> None:
    frame.drop(columns=["source", "source_row"], errors="ignore").to_csv(folder / name, index=False)


def test_a_row_a_sample_and_the_rows_that_it_came_from() -> None:
    wide, rows = pivot(small(), LONG, "plot", TARGETS, table="t.csv")
    assert wide.columns.tolist() == ["plot", "site", "source", "source_row", "green", "dead"]
    assert wide["plot"].tolist() == ["b", "a"]  # as they first appear
    assert wide["site"].tolist() == ["x", "y"]
    assert wide["source_row"].tolist() == [2, 3]
    assert wide[list(TARGETS)].to_numpy().tolist() == [[4.0, 1.5], [2.0, 3.0]]
    assert rows.ids.tolist() == small()["row"].tolist()
    assert rows.cells(wide[list(TARGETS)]).tolist() == small()["amount"].tolist()


@settings(max_examples=30, deadline=None)
@given(rows_of_values, st.randoms(use_true_random=False))
def test_wide_to_long_and_back_is_exact(values: list[tuple[float, ...]], random: Any) -> None:
    wide = pd.DataFrame(values, columns=list(TARGETS), dtype=np.float32)
    wide.insert(0, "plot", [f"p{number}" for number in range(len(wide))])
    long = wide.melt(id_vars="plot", var_name="about", value_name="amount")
    long["row"] = long["plot"] + "__" + long["about"]
    order = list(range(len(long)))
    random.shuffle(order)
    long = long.iloc[order].reset_index(drop=True)
    separated = LONG.model_copy(update={"separator": "__"})
    for frame, said in ((long, LONG), (long.drop(columns="plot"), separated), (long, separated)):
        back, rows = pivot(frame, said, "plot", TARGETS, table="frame")
        again = back.set_index("plot").loc[wide["plot"], list(TARGETS)]
        assert again.dtypes.tolist() == [np.dtype(np.float32)] * 2
        assert_array_equal(again, wide[list(TARGETS)])
        assert_array_equal(rows.ids, long["row"])
        assert_array_equal(rows.cells(back[list(TARGETS)]), long["amount"])


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 5))
def test_samples_taken_keep_their_rows(order: list[int], kept: int) -> None:
    samples = np.array([3, 0, 0, 4, 2, 1, 3, 2, 4, 1])
    targets = np.array([TARGETS[int(number in samples[:place])] for place, number in enumerate(samples)], dtype=object)
    rows = LongRows(np.array([f"r{place}" for place in range(10)], dtype=object), samples, targets)
    wide = pd.DataFrame(np.arange(10.0).reshape(5, 2), columns=list(TARGETS))
    chosen = np.array(order[:kept], dtype=np.int64)
    taken = rows.take(chosen, 5)
    expected = np.isin(samples, chosen)
    assert_array_equal(taken.ids, rows.ids[expected])
    assert_array_equal(taken.cells(wide.iloc[chosen]), rows.cells(wide)[expected])


def test_several_tables_below_each_other(tmp_path: Path) -> None:
    other = small(plot=["d", "c", "c", "d"], row=["1", "2", "3", "4"], amount=[5.0, 6.0, 7.0, 8.0])
    write(tmp_path, small())
    write(tmp_path, other, "u.csv")
    samples = load_samples(data_of(train=["t.csv", "u.csv"]), tmp_path, targets=TARGETS)
    assert samples.ids.tolist() == ["b", "a", "d", "c"]
    assert samples.frame["dead"].tolist() == [1.5, 3.0, 5.0, 7.0]
    assert samples.long is not None
    assert samples.long.ids.tolist() == [*small()["row"], "1", "2", "3", "4"]
    last = samples.take([3, 1]).long
    assert last is not None
    assert last.ids.tolist() == ["a__green", "a__dead", "2", "3"]
    assert last.sample.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"row": ["b__dead", "a__green", "b__dead", "b__green"]}, "'b__dead' in t.csv:2, t.csv:4"),
        ({"row": ["b__dead", None, "a__dead", "b__green"]}, "no id in column 'row'\n  got:      t.csv:3"),
        ({"plot": ["b", None, "a", "b"]}, "no id in column 'plot'\n  got:      t.csv:3"),
        ({"about": ["dead", "green", "green", "green"]}, "'green' of sample 'a' in t.csv:3, t.csv:4"),
        ({"about": ["dead", "gren", "dead", "green"]}, "column 'about': t.csv:3\n  got:      ['gren']"),
        ({"plot": ["b", "a", "a", "c"]}, "sample 'b' has no row about 'green' in column 'about'"),
        ({"amount": [1.5, None, 3.0, 4.0]}, "no value in column 'amount': t.csv:3"),
        ({"site": ["x", "y", "z", "x"]}, "'site' differs within a sample: 'a' in t.csv:3, t.csv:4\n  got:      'y'"),
        ({"site": ["x", "y", None, "x"]}, "'y' and (empty)"),
        ({"green": 1}, "a column 'green' of its own"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_line_and_column(columns: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError) as raised:
        pivot(small(**columns), LONG, "plot", TARGETS, table="t.csv")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("separator", "changes", "told"),
    [
        ("--", {}, "4 row ids in column 'row' are not a sample, '--' and the row's target: t.csv:2"),
        ("__", {"row": ["b__dead", "__green", "a__dead", "b__green"]}, "t.csv:3\n  got:      '__green'"),
        ("__", {"plot": ["b", "a", "c", "b"]}, "t.csv:4\n  got:      'c' beside 'a__dead'"),
    ],
)
def test_row_ids_that_do_not_name_sample_and_target(separator: str, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError) as raised:
        pivot(small(**changes), LONG.model_copy(update={"separator": separator}), "plot", TARGETS, table="t.csv")
    assert told in str(raised.value)


def test_tables_without_labels_may_list_some_targets_and_have_no_values() -> None:
    frame = small()[["row", "plot", "about"]].iloc[[3, 1, 2]].reset_index(drop=True)
    wide, rows = pivot(frame, LONG, "plot", TARGETS, table="frame", labelled=False)
    assert wide.columns.tolist() == ["plot"]
    assert wide["plot"].tolist() == ["b", "a"]
    answer = pd.DataFrame({"dead": [1.0, 2.0], "green": [3.0, 4.0]})
    assert rows.cells(answer).tolist() == [3.0, 4.0, 2.0]
    given_values, _ = pivot(small().iloc[1:].reset_index(drop=True), LONG, "plot", TARGETS, table="t", labelled=False)
    assert_array_equal(given_values["dead"], [3.0, np.nan])
    with pytest.raises(DataError, match=r"no column 'amount', needed as part of data\.long"):
        pivot(frame, LONG, "plot", TARGETS, table="frame")


def test_rows_are_chosen_and_renamed_before_they_become_samples(tmp_path: Path) -> None:
    frame = small(about=["D", "G", "D", "G"]).rename(columns={"about": "what"})
    write(tmp_path, pd.concat([frame, frame.assign(row=["5", "6", "7", "8"], what="litter")], ignore_index=True))
    source = {
        "table": "t.csv",
        "where": {"what": ["D", "G"]},
        "rename": {"what": "about"},
        "map": {"about": {"D": "dead", "G": "green", "S": "soil"}, "site": {"x": "north"}},
    }
    samples = load_samples(data_of(train=[source]), tmp_path, targets=TARGETS)
    assert samples.frame["green"].tolist() == [4.0, 2.0]
    assert samples.frame["site"].tolist() == ["north", "y"]
    assert [(one.columns, one.unused, dict(one.kept)) for one in samples.mapped] == [
        (("about",), ("S",), {}),
        (("site",), (), {"y": 1}),
    ]


def test_ids_of_rows_stay_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("row,plot,about\n1.50,7,dead\n2.0,7,green\n01,08,dead\n")
    samples = load_samples(data_of(train="t.csv", test="t.csv"), tmp_path, "test", targets=TARGETS)
    assert samples.long is not None
    assert samples.long.ids.tolist() == ["1.50", "2.0", "01"]
    assert samples.ids.tolist() == ["7", "08"]


def test_later_rows_come_long_or_wide() -> None:
    data, root = data_of(), Path()
    long = samples_from_frame(small()[["row", "plot", "about"]], data, root, targets=TARGETS)
    assert long.ids.tolist() == ["b", "a"]
    assert long.long is not None
    wide = samples_from_frame(pd.DataFrame({"plot": ["a", "b"]}), data, root, targets=TARGETS)
    assert wide.long is None
    with pytest.raises(DataError, match=r"frame: no column 'about', needed as part of data\.long"):
        samples_from_frame(small()[["row", "plot"]], data, root, targets=TARGETS)
    with pytest.raises(DataError, match=r"later\.csv: no column 'plot', needed as the id") as caught:
        samples_from_frame(small()[["row", "about"]], data, root, targets=TARGETS, table="later.csv")
    assert caught.value.expected == "one of ['row', 'about']"  # the user's own columns alone


def test_a_check_says_what_a_run_would(tmp_path: Path) -> None:
    write(tmp_path, small(site=["x", "y", "z", "x"]))
    task = Task(kind="regression", target=TARGETS, metric="rmse")
    found = check_data(data_of(), task, Folds(k=2), tmp_path)
    assert [finding.level for finding in found.findings] == ["error"]
    assert "column 'site' differs within a sample" in found.findings[0].what
    write(tmp_path, small())
    assert check_data(data_of(), task, Folds(k=2), tmp_path).ok


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"long": {"row": "row", "name": "row", "value": "amount"}}, "three different columns"),
        ({"id": "row"}, "'row' of data.long is about a row"),
        ({"weight": "amount"}, "'amount' of data.long is about a row"),
        ({"long": {"row": "row", "name": "about", "value": "amount", "separator": ""}}, "at least 1 character"),
    ],
)
def test_roles_that_cannot_be(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        data_of(**changes)


def test_the_real_table(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("csiro")
    long = {"row": "sample_id", "name": "target_name", "value": "target", "separator": "__"}
    data = Data.model_validate({"train": "train.csv", "id": "ID", "long": long})
    samples = load_samples(data, folder, targets=MASSES)
    assert len(samples) == 357
    raw = pd.read_csv(folder / "train.csv")
    named = raw.assign(ID=raw["sample_id"].str.split("__").str[0])
    pivoted = named.pivot(index="ID", columns="target_name", values="target")
    assert_array_equal(samples.frame[list(MASSES)], pivoted.loc[samples.ids, list(MASSES)])
    published = pd.read_csv(folder / "train_with_published_folds.csv").drop(columns=["GroupID", "fold"])
    ours = samples.frame.set_index("ID").loc[published["ID"]].reset_index()
    pd.testing.assert_frame_equal(ours[published.columns.tolist()], published, check_dtype=False)
    assert samples.long is not None
    assert samples.long.ids.tolist() == raw["sample_id"].tolist()
    assert_array_equal(samples.long.cells(samples.frame[list(MASSES)]), raw["target"])
