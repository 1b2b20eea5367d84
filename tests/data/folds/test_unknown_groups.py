"""Rows whose group is not known: each is a group of its own, and said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from outfold.audit.assemble import audit_dataset
from outfold.data.checks import check_data
from outfold.data.dataset import Dataset, Rows
from outfold.data.folds import make_folds
from outfold.data.folds.grouping import group_column
from outfold.data.source_checks import group_findings
from outfold.data.table import Samples, samples_from_frame
from outfold.data.targets import TargetCodec
from outfold.settings.data import Data
from outfold.settings.folds import Folds
from outfold.settings.recipe import Recipe
from outfold.settings.task import Task


def samples_of(**columns: list[object]) -> Samples:
    n = len(next(iter(columns.values())))
    frame = pd.DataFrame({"id": [f"r{row}" for row in range(n)], **columns})
    return samples_from_frame(frame, Data(train="t.csv", id="id"), Path())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cells", "unknown", "known"),
    [
        ([5, -1, 5], [-1], [5, None, 5]),
        ([5, -1, 5], ["-1"], [5, None, 5]),
        (["IP_5", "-1", "IP_5"], [-1], ["IP_5", None, "IP_5"]),
        ([5.0, -1.0, np.nan], [-1], [5.0, None, None]),
        ([True, False], ["false"], [True, None]),
        (["a", "", None], ["", None], ["a", None, None]),
        (["a", "b"], [], ["a", "b"]),
    ],
)
def test_only_known_groups_are_left(cells: list[object], unknown: list[object], known: list[object]) -> None:
    assert group_column(pd.Series(cells), unknown).tolist() == known  # type: ignore[arg-type]


def test_each_row_of_no_known_group_is_a_group_of_its_own() -> None:
    samples = samples_of(patient=[-1] * 20 + [number // 2 for number in range(20)])
    one = make_folds(Folds(k=2, group=("patient",)), samples)
    assert one.groups is not None
    assert len(np.unique(one.groups)) == 11
    many = make_folds(Folds(k=2, group=("patient",), unknown_group=(-1,)), samples)
    assert many.groups is not None
    assert len(np.unique(many.groups)) == 30
    assert set(many.fold[:20]) == {0, 1}
    assert all(len(np.unique(many.fold[many.groups == group])) == 1 for group in many.groups)


def test_several_columns_are_cleaned_each_by_itself() -> None:
    samples = samples_of(patient=["a", "-1", "-1", "b"], lesion=["x", "x", "-1", "-1"])
    folds = make_folds(Folds(k=2, group=("patient", "lesion"), unknown_group=(-1,)), samples)
    assert folds.groups is not None
    assert folds.groups.tolist() == [0, 0, 1, 2]


def test_unknown_groups_and_empty_cells_are_counted() -> None:
    samples = samples_of(patient=["a", "-1", "-1", "b", None])
    note, warning = group_findings(Folds(k=2, group=("patient",), unknown_group=(-1,)), samples)
    assert (note.level, note.what) == (
        "note",
        "2 rows of no known group in column 'patient': each is a group of its own",
    )
    assert warning.level == "warning"
    assert warning.what.startswith("1 row with an empty cell in the group column 'patient'")
    assert [place.id for place in warning.places] == ["r4"]
    (said,) = group_findings(Folds(k=2, group=("patient",), unknown_group=(-1, None)), samples)
    assert said.what.startswith("3 rows of no known group")
    (vain,) = group_findings(Folds(k=2, group=("patient",), unknown_group=(-2, None)), samples_of(patient=["a"]))
    assert vain.what == "folds.unknown_group names -2, which no row has in 'patient'"


def test_a_check_says_so(tmp_path: Path) -> None:
    rows = "".join(f"r{row},{'ab'[row % 2]},{row // 2 if row < 6 else -1}\n" for row in range(12))
    (tmp_path / "train.csv").write_text("id,label,patient\n" + rows)
    task = Task(kind="multiclass", target=("label",), metric="accuracy")
    data = Data(train="train.csv", id="id")  # type: ignore[arg-type]
    checked = check_data(data, task, Folds(k=2, group=("patient",), unknown_group=(-1,)), tmp_path)
    said = {finding.what for finding in checked.findings}
    assert "6 rows of no known group in column 'patient': each is a group of its own" in said
    assert "9 groups, the largest of 2 rows" in said


def test_the_audit_takes_unknown_groups_for_many() -> None:
    """-1 on both sides of a split, and in the training and the test table, is nobody who was seen before."""
    n = 60
    samples = samples_of(
        patient=[-1] * 40 + [row // 2 for row in range(20)], label=[row % 2 for row in range(n)], fold=[0, 1, 2] * 20
    )
    other = samples_of(patient=[-1] * 5)
    task = {"kind": "binary", "target": "label", "metric": "roc_auc"}
    stage = {"kind": "train", "backbone": "resnet18", "phases": [{"name": "a", "epochs": 1}], "members": {"a": {}}}
    table = {"train": "t.csv", "test": "u.csv", "id": "id"}
    rules = []
    for unknown in ([], [-1]):
        folds = {"k": 3, "group": "patient", "unknown_group": unknown}
        recipe = Recipe.model_validate(
            {"name": "x", "data": table, "task": task, "folds": folds, "stages": {"fit": stage}}
        )
        codec = TargetCodec.fit(recipe.task, samples.frame)
        own = make_folds(Folds(column="fold"), samples)
        train, test = Rows(samples), Rows(other)
        data = Dataset(Path(), train, test, codec, codec.encode(samples.frame), None, own, own.numbers)
        found = audit_dataset(recipe, data)
        rules.append({(one.rule, len(one.places)) for one in found if "group" in one.rule or "`patient`" in one.what})
    assert ("group-across-folds", 60) in rules[0]
    assert ("group-across-folds", 20) in rules[1]
    assert len(rules[1]) < len(rules[0])
