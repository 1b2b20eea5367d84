"""Recordings named by their folder, a pattern or a file: cut into windows and predicted."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from typer.testing import CliRunner

import outfold
from outfold.cli import app
from outfold.errors import DataError, OutfoldError, RecipeError
from outfold.runs.later_recordings import place_of, samples_of
from outfold.settings.recipe import Recipe
from outfold.stages.base import tell_nobody


def rows_of(named: Path | str, recipe: dict[str, Any], root: Path | None = None, emit: Any = tell_nobody) -> Any:
    place = place_of(named)
    assert place is not None
    return samples_of(place, Recipe.model_validate(recipe), place.root if root is None else root, emit)


@pytest.fixture
def later(calls: Path, tmp_path: Path) -> Path:
    """A folder with a soundscape of 8 s, another one deeper in it, and a note."""
    folder = tmp_path / "later"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(calls / "later" / "s3.wav", folder / "s3.wav")
    shutil.copy(calls / "later" / "s3.wav", folder / "deep" / "x_y.wav")
    (folder / "note.txt").write_text("windy")
    return folder


def test_a_folder_is_predicted_as_its_table_would_be(
    calls: Path, calls_recipe: dict[str, Any], tmp_path: Path, later: Path
) -> None:
    calls_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    run = outfold.run(Recipe.model_validate(calls_recipe), tmp_path / "run", data=calls, device="cpu")
    found = run.predict(later, device="cpu")
    assert found["name"].tolist() == [f"{name}_{end}" for name in ("x_y", "s3") for end in (2, 4, 6, 8)]
    ends = np.tile([2.0, 4.0, 6.0, 8.0], 2)
    table = found[["name"]].assign(file=["deep/x_y.wav"] * 4 + ["s3.wav"] * 4, start_s=ends - 2, end_s=ends)
    pd.testing.assert_frame_equal(found, run.predict(table, root=later, device="cpu"))
    with pytest.raises(DataError, match="hears the first 2 s of 8 rows of the new table, and never the rest"):
        run.predict(table.assign(end_s=ends + 1), root=later, device="cpu")
    answer = tmp_path / "answer.csv"
    given = ["predict", str(tmp_path / "run"), str(later / "*.wav"), "--out", str(answer), "--device", "cpu"]
    told = CliRunner().invoke(app, given)
    assert told.exit_code == 0, told.output
    assert "4 rows predicted" in told.output
    assert pd.read_csv(answer)["name"].tolist() == [f"s3_{end}" for end in (2, 4, 6, 8)]
    answer.write_text("precious")
    told = CliRunner().invoke(app, given)
    assert isinstance(told.exception, OutfoldError)
    assert "is there already" in told.exception.problem and "--force" in str(told.exception.fix)
    assert answer.read_text() == "precious"
    assert CliRunner().invoke(app, [*given, "--force"]).exit_code == 0
    assert len(pd.read_csv(answer)) == 4


def test_windows_are_cut_as_the_test_table_says(calls_recipe: dict[str, Any], later: Path) -> None:
    calls_recipe["data"]["test"]["recordings"] |= {"hop_s": 1}
    samples = rows_of(later / "s3.wav", calls_recipe)
    assert samples.ids.tolist() == [f"s3_{end}" for end in range(2, 9)]
    assert samples.clips.recording.tolist() == ["s3.wav"] * 7
    calls_recipe["data"]["test"]["recordings"] |= {"window_s": 3, "hop_s": 3, "last": "pad"}
    assert rows_of(later / "s3.wav", calls_recipe).ids.tolist() == ["s3_3", "s3_6", "s3_9"]


def test_windows_follow_each_other_as_long_as_members_hear(calls_recipe: dict[str, Any], later: Path) -> None:
    calls_recipe["data"]["test"] = None
    assert rows_of(later / "s3.wav", calls_recipe).ids.tolist() == [f"s3_{end}" for end in (2, 4, 6, 8)]
    fit = calls_recipe["stages"]["fit"]
    fit["members"]["b"] = {"view": {**fit["view"], "window_s": 1}}
    with pytest.raises(RecipeError, match="into which windows") as caught:
        rows_of(later, calls_recipe)
    assert caught.value.got == "members that hear 1 s, 2 s"


def test_files_below_a_root_are_called_by_their_path(calls_recipe: dict[str, Any], later: Path) -> None:
    clips = rows_of(str(later / "deep"), calls_recipe, later.parent).clips
    assert set(clips.recording) == {"later/deep/x_y.wav"}
    with pytest.raises(DataError, match="outside the data root"):
        rows_of(later, calls_recipe, later / "deep")


def test_other_files_of_a_folder_are_counted(calls_recipe: dict[str, Any], later: Path) -> None:
    told: list[dict[str, Any]] = []
    assert len(rows_of(later, calls_recipe, emit=told.append)) == 8
    assert "1 of 3 files" in told[0]["text"]


def test_folders_that_are_links_are_told_of(calls_recipe: dict[str, Any], later: Path, calls: Path) -> None:
    (later / "elsewhere").symlink_to(calls / "soundscapes")
    told: list[dict[str, Any]] = []
    assert len(rows_of(later, calls_recipe, emit=told.append)) == 8
    assert "1 link to a folder in" in told[0]["text"] and "elsewhere" in told[0]["text"]
    assert len(rows_of(later / "elsewhere", calls_recipe)) == 12


def test_recordings_without_a_window_are_counted(calls_recipe: dict[str, Any], later: Path) -> None:
    soundfile.write(later / "short.wav", np.zeros(8000), 8000)
    told: list[dict[str, Any]] = []
    assert len(rows_of(str(later / "**" / "*.wav"), calls_recipe, emit=told.append)) == 8
    assert [event["text"] for event in told] == ["1 of 3 recordings are shorter than a window and have no row"]


def test_what_is_no_recording_is_refused(
    calls_recipe: dict[str, Any], tiny_recipe: dict[str, Any], later: Path, tmp_path: Path
) -> None:
    (later / "s3.wav").unlink()
    (later / "deep" / "x_y.wav").unlink()
    with pytest.raises(DataError, match="holds no recording"):
        rows_of(later, calls_recipe)
    soundfile.write(later / "short.flac", np.zeros(8000), 8000)
    with pytest.raises(DataError, match="all recordings are shorter than a window of 2 s") as caught:
        rows_of(later, calls_recipe)
    assert "columns name, file, start_s and end_s" in str(caught.value.fix)
    with pytest.raises(DataError, match="no file fits the pattern"):
        rows_of(later / "*.mp3", calls_recipe)
    with pytest.raises(DataError, match=r"s9\.wav: the file does not exist"):
        rows_of(later / "s9.wav", calls_recipe)
    with pytest.raises(RecipeError, match="not about recordings"):
        rows_of(later, tiny_recipe)


def test_a_file_is_meant_as_it_is_written(calls_recipe: dict[str, Any], later: Path) -> None:
    (later / "s3.wav").rename(later / "s[3].wav")
    assert rows_of(later / "s[3].wav", calls_recipe).ids.tolist() == [f"s[3]_{end}" for end in (2, 4, 6, 8)]


def test_tables_are_tables(tmp_path: Path) -> None:
    table = tmp_path / "new[1].csv"
    table.write_text("name\na\n")
    assert place_of(table) is None
    assert place_of(tmp_path / "missing.csv") is None
    assert place_of(pd.DataFrame()) is None
    assert place_of("a/b*/c/*.ogg") == (Path("a"), "b*/c/*.ogg", False)
    assert place_of("*.ogg") == (Path(), "*.ogg", False)
