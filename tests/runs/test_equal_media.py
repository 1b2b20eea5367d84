"""One recording under two labels becomes one row with both."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

import outfold
from outfold.runs.equal_media import first_of_equal
from outfold.settings.recipe import Recipe


@pytest.fixture
def joined(calls_recipe: dict[str, Any]) -> dict[str, Any]:
    calls_recipe["task"] = {
        "kind": "multilabel",
        "target": "kind",
        "label_sets": True,
        "secondary": {"column": "also"},
        "metric": "macro_roc_auc",
    }
    calls_recipe["data"]["equal_media"] = "join"
    calls_recipe["stages"]["fit"]["phases"] = [{"name": "all", "epochs": 1}]
    return calls_recipe


def test_the_first_row_has_the_labels_of_all(joined: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(calls, root)
    shutil.copy(root / "train" / "c00.wav", root / "train" / "c02.wav")  # low, perhaps with middle; and high
    done = outfold.run(Recipe.model_validate(joined), tmp_path / "run", data=root, device="cpu")
    oof = done.oof.set_index("id")
    assert len(oof) == 35
    assert "c02" not in oof.index
    assert oof.loc["c00", "kind"] == "['low', 'high']"
    assert oof.loc["c01", "kind"] == "['middle']"
    assert any("c02" in str(row) for row in done.summary["data"]["dropped"])


def test_without_it_all_rows_stay(joined: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    joined["data"]["equal_media"] = "keep"
    assert len(outfold.run(Recipe.model_validate(joined), tmp_path / "run", data=calls, device="cpu").oof) == 36


def test_there_must_be_labels_to_join(calls_recipe: dict[str, Any]) -> None:
    calls_recipe["data"]["equal_media"] = "join"
    with pytest.raises(ValidationError, match=r"needs task\.label_sets"):
        Recipe.model_validate(calls_recipe)


def test_the_first_of_equal_keys() -> None:
    assert first_of_equal(["b", "a", "b", "c", "a", "b"]).tolist() == [0, 1, 0, 3, 1, 0]
    assert first_of_equal([]).tolist() == []


def test_labels_that_join_are_no_secondary_ones() -> None:
    """A label that one row is sure of is learned, whatever another row says of it."""
    from outfold.data.dataset import Rows
    from outfold.data.table import Samples
    from outfold.runs.equal_media import join_equal
    from outfold.settings.task import Task

    frame = pd.DataFrame({"id": ["x", "y"], "kind": ["low", "high"], "also": ["['high', 'middle']", "[]"]})
    samples = Samples(frame, frame["id"].to_numpy(object), None, "id")
    given = {"kind": "multilabel", "target": "kind", "label_sets": True, "secondary": {"column": "also"}}
    rows, dropped = join_equal(Rows(samples, content=("same", "same")), Task.model_validate({**given, "metric": "f1"}))
    assert rows.samples.frame[["kind", "also"]].to_numpy().tolist() == [["['low', 'high']", "['middle']"]]
    assert dropped == [("y", "the same media as x, whose labels it joins")]
