"""What members hear of windows: all of them, more than them, or a part; and bands in which there is nothing to hear."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

import outfold
from outfold.data.audio.rows import RowClips
from outfold.data.table import samples_from_frame
from outfold.errors import DataError, RecipeError
from outfold.runs.check import check_recipe
from outfold.runs.heard import check_rows, check_windows, heard_findings
from outfold.runs.prepare import load_dataset
from outfold.settings.audio_view import AudioView
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute
from outfold.views.audio.filters import empty_filters


def warnings_of(recipe: dict[str, Any]) -> list[str]:
    return [finding.what for finding in heard_findings(Recipe.model_validate(recipe))]


def test_windows_of_another_length_than_is_heard(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    """Members that hear more than a window are told of; a window of which only the beginning is heard is refused."""
    assert warnings_of(calls_recipe) == []
    calls_recipe["stages"]["fit"]["members"]["b"] = {"view": {"kind": "audio", "window_s": 2.5}}
    (told,) = warnings_of(calls_recipe)
    assert told.startswith(
        "stage 'fit', member 'b' hears 2.5 s at once, and the windows of data.test.recordings last 2 s"
    )
    calls_recipe["data"]["test"]["recordings"]["window_s"] = 2.5
    with pytest.raises(RecipeError, match=r"member 'a' hears the first 2 s of each window of data\.test\.recordings"):
        outfold.run(Recipe.model_validate(calls_recipe), tmp_path / "run", data=calls, device="cpu")
    assert not check_recipe(Recipe.model_validate(calls_recipe), calls).ok
    assert warnings_of(calls_recipe) == []
    calls_recipe["data"]["test"]["recordings"] |= {"window_s": 2, "hop_s": 2.5}
    check_windows(Recipe.model_validate(calls_recipe))


def test_teachers_hear_whole_windows_and_students_parts_of_them(calls_recipe: dict[str, Any]) -> None:
    calls_recipe["data"]["unlabelled"] = {"recordings": {"path": "later/*.wav", "window_s": 4}}
    stages, fit = calls_recipe["stages"], calls_recipe["stages"]["fit"]
    del stages["answer"]
    stages["labels"] = {"kind": "label", "from": "fit"}
    stages["student"] = {**fit, "labels": "labels"}
    with pytest.raises(RecipeError, match=r"stage 'fit', member 'a' hears the first 2 s .* data\.unlabelled"):
        check_windows(Recipe.model_validate(calls_recipe))
    stages["fit"] = {**fit, "view": {**fit["view"], "window_s": 4, "span_s": 4}}
    assert [told[:13] for told in warnings_of(calls_recipe)] == ["stage 'fit', "]  # the teacher, on the test table
    check_windows(Recipe.model_validate(calls_recipe))


def lasting(root: Path, seconds: dict[str, float], calls: Path) -> Path:
    """The data with tables of windows, all of which begin with their recording and last so long."""
    shutil.copytree(calls, root)
    for table, length in seconds.items():
        ids = [f"{table}{number}" for number in range(4)]
        rows = pd.DataFrame({"name": ids, "file": "later/s3.wav", "start_s": 0.0, "end_s": 2.0})
        rows.loc[2:, "end_s"] = length
        rows.to_csv(root / f"{table}.csv", index=False)
    return root


GIVEN = {"path": "{file}", "start_s": "start_s", "end_s": "end_s"}
LONGER = r"member 'a' hears the first 2 s of 2 rows of the {} table, and never the rest: {}\.csv:4, {}\.csv:5"


@pytest.mark.parametrize("table", ["test", "unlabelled"])
def test_rows_that_name_too_many_seconds_are_refused(
    calls_recipe: dict[str, Any], calls: Path, tmp_path: Path, table: str
) -> None:
    """Of a table of windows as of recordings: in a check, and in a run before anything is trained."""
    data, stages = calls_recipe["data"], calls_recipe["stages"]
    root = lasting(tmp_path / "data", {table: 3.0}, calls)
    data[table] = {"table": f"{table}.csv", "audio": GIVEN}
    if table == "unlabelled":
        del stages["answer"]
        stages["labels"] = {"kind": "label", "from": "fit"}
        stages["student"] = {**stages["fit"], "labels": "labels"}
    recipe = Recipe.model_validate(calls_recipe)
    told = [finding.what for finding in check_recipe(recipe, root).findings if finding.level == "error"]
    assert len(told) == 1
    assert re.search(LONGER.format(table, table, table), told[0])
    with pytest.raises(DataError, match=LONGER.format(table, table, table)):
        load_dataset(recipe, root, Compute("cpu", 1, lambda event: None))


def test_rows_that_name_fewer_seconds_are_told_of(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    root = lasting(tmp_path / "data", {"test": 1.5}, calls)
    calls_recipe["data"]["test"] = {"table": "test.csv", "audio": GIVEN}
    recipe = Recipe.model_validate(calls_recipe)
    told = "hears 2 s at once, and 2 rows of 4 of the test table last less: each stands in the middle of silence"
    (found,) = [finding for finding in check_recipe(recipe, root).findings if "last less" in finding.what]
    assert (found.level, found.what) == ("warning", f"stage 'fit', member 'a' {told}")
    dataset = load_dataset(recipe, root, Compute("cpu", 1, lambda event: None))
    assert found.what in dataset.warnings


def test_rows_that_are_learned_or_last_to_the_end_may_be_longer(calls_recipe: dict[str, Any], calls: Path) -> None:
    recipe = Recipe.model_validate(calls_recipe)
    rows = pd.DataFrame({"name": ["x"], "file": ["later/s3.wav"], "start_s": [0.0], "end_s": [8.0]})
    samples = samples_from_frame(rows, recipe.data, calls, targets=["kind"])
    check_rows(recipe, "train", samples)
    with pytest.raises(DataError, match=r"1 row of the new table, and never the rest: frame:1"):
        check_rows(recipe, "new", samples)
    assert samples.clips is not None
    whole = RowClips(samples.clips.recording, samples.clips.start_s, np.array([np.inf]))
    check_rows(recipe, "new", replace(samples, clips=whole))


def test_who_only_teaches_hears_no_later_rows(calls_recipe: dict[str, Any], calls: Path) -> None:
    stages, fit = calls_recipe["stages"], calls_recipe["stages"]["fit"]
    calls_recipe["data"] |= {"test": None, "unlabelled": {"recordings": {"path": "later/*.wav", "window_s": 2}}}
    del stages["answer"]
    stages["labels"] = {"kind": "label", "from": "fit"}
    stages["student"] = {**fit, "labels": "labels", "view": {**fit["view"], "window_s": 4, "span_s": 4}}
    recipe = Recipe.model_validate(calls_recipe)
    rows = pd.DataFrame({"name": ["x"], "path": ["later/s3"], "begins": [0.0], "ends": [4.0]})
    calls_recipe["data"]["audio"] = {"path": "{path}.wav", "start_s": "begins", "end_s": "ends"}
    later = Recipe.model_validate(calls_recipe)
    check_rows(recipe, "new", samples_from_frame(rows, later.data, calls, targets=["kind"]))


def test_silent_mel_bands_are_counted_once(calls_recipe: dict[str, Any]) -> None:
    fit = calls_recipe["stages"]["fit"]
    fit["view"] = {**fit["view"], "mel": {**fit["view"]["mel"], "mels": 128}}
    fit["members"] = {"a": {}, "b": {}}
    (told,) = warnings_of(calls_recipe)
    assert told.startswith("stage 'fit', member 'a' and 1 member more: ")
    view = Recipe.model_validate(calls_recipe).members_of("fit")["a"].view
    assert isinstance(view, AudioView)
    assert f": {len(empty_filters(view.mel))} of 128 mel bands are silent" in told
    assert "31.2 Hz" in told


@pytest.mark.parametrize(("hop_s", "every_s"), [(3, 5), (10, 5), (2, 5)])
def test_answers_between_windows_are_refused(calls_recipe: dict[str, Any], hop_s: float, every_s: float) -> None:
    calls_recipe["data"]["test"]["recordings"]["hop_s"] = hop_s
    calls_recipe["stages"]["answer"]["every_s"] = every_s
    with pytest.raises(ValidationError, match="stage 'answer': `every_s` is 5 and no multiple of the hop"):
        Recipe.model_validate(calls_recipe)
