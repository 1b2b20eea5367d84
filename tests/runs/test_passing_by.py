"""Later recordings are heard once by all members: the run's own numbers, without a copy of the sound on disk."""

import copy
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
from outfold.cli.outcome import print_outcome
from outfold.errors import DataError, MediaError, RecipeError
from outfold.runs.passing_by import passes_by
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.stages import hearing


@pytest.fixture(scope="module")
def settings(calls_settings: dict[str, Any]) -> dict[str, Any]:
    """Two members that are shown one picture in two ways, and one that is shown another."""
    recipe = copy.deepcopy(calls_settings)
    fit = recipe["stages"]["fit"]
    fit["phases"][0]["epochs"] = 6
    fit["predict"] = {"batch_size": 3}
    fit["members"] = {
        "ramp": {},
        "repeat": {"view": {**fit["view"], "channels": "repeat"}},
        "fine": {"view": {**fit["view"], "mel": {**fit["view"]["mel"], "hop": 200}}},
    }
    recipe["data"]["test"]["recordings"]["hop_s"] = 1
    recipe["stages"]["answer"] |= {"columns": {"name": "row_id"}, "every_s": 2, "format": "probability"}
    return recipe


@pytest.fixture(scope="module")
def run(settings: dict[str, Any], calls: Path, tmp_path_factory: pytest.TempPathFactory) -> outfold.Run:
    folder = tmp_path_factory.mktemp("passing") / "run"
    return outfold.run(Recipe.model_validate(settings), folder, data=calls, device="cpu")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUTFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def torn(calls: Path, tmp_path: Path) -> Path:
    """A folder of three soundscapes of 8 s, of which the second breaks off in its middle."""
    folder = tmp_path / "torn"
    folder.mkdir()
    for name in ("s0", "s1", "s2"):
        sound, rate = soundfile.read(calls / "soundscapes" / f"{name}.wav")
        soundfile.write(folder / f"{name}.flac", sound, rate)
    whole = (folder / "s1.flac").read_bytes()
    (folder / "s1.flac").write_bytes(whole[: len(whole) // 2])
    return folder


def test_the_numbers_are_those_of_the_run_and_nothing_is_kept(run: outfold.Run, calls: Path, cache: Path) -> None:
    found = run.predict(calls / "soundscapes", device="cpu")
    assert run.predictions is not None
    expected = run.predictions.rename(columns={"id": "name"})
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_exact=True)
    assert not [path for path in cache.rglob("*") if path.name == "arena.bin"]


def test_a_submission_is_written_as_the_run_writes_it(run: outfold.Run, calls: Path, tmp_path: Path) -> None:
    out = tmp_path / "answer.csv"
    given = ["predict", str(run.path), str(calls / "soundscapes"), "--submission", "--out", str(out)]
    told = CliRunner().invoke(app, [*given, "--device", "cpu"])
    assert told.exit_code == 0, told.output
    assert "12 rows predicted" in told.output
    assert out.read_text() == (run.path / "submission.csv").read_text()


def test_a_run_says_how_recordings_are_predicted(run: outfold.Run, capsys: pytest.CaptureFixture[str]) -> None:
    print_outcome(run.path, run.summary)
    assert "RECORDINGS --out FILE.csv" in " ".join(capsys.readouterr().out.split())


def test_a_picture_is_drawn_once_for_all_who_are_shown_it(
    run: outfold.Run, calls: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    draw = hearing.pictures_of
    monkeypatch.setattr(hearing, "pictures_of", lambda clips, mel: drawn.append(len(clips)) or draw(clips, mel))
    run.predict(calls / "soundscapes", device="cpu")
    windows, pictures, networks = 21, 2, 9
    assert sum(drawn) == windows * pictures < windows * networks


@pytest.mark.parametrize(
    ("batches", "common", "block"),
    [((3, 3, 3), 3, 96), ((3, 4, 10), 60, 120), ((62,), 62, 124), ((62, 100, 74), 96, 96)],
)
def test_tables_are_cut_between_batches_of_every_member(
    run: outfold.Run, batches: tuple[int, ...], common: int, block: int
) -> None:
    plain = run.recipe.members_of("fit")["ramp"].model_dump(mode="json", exclude_unset=True)
    members = [TrainSettings.model_validate({**plain, "predict": {"batch_size": size}}) for size in batches]
    listeners = [hearing.Listener(one, None, Path()) for one in members]  # type: ignore[arg-type]
    assert (hearing.common_batch(listeners), hearing.block_rows(listeners)) == (common, block)


def test_many_blocks_give_the_same(run: outfold.Run, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run.predict(calls / "soundscapes", device="cpu")
    monkeypatch.setattr(hearing, "block_rows", lambda listeners: 5)
    again = run.predict(calls / "soundscapes", device="cpu")
    pd.testing.assert_frame_equal(found, again, atol=1e-5)


@pytest.mark.slow
def test_processes_share_the_rows(run: outfold.Run, calls: Path, tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    alone = run.predict(calls / "soundscapes", device="cpu")
    shared = run.predict(calls / "soundscapes", device="cpu", processes=2, emit=told.append)
    pd.testing.assert_frame_equal(alone, shared, atol=1e-5)
    assert not [event for event in told if event["event"] == "warning"]


def test_a_recording_that_is_not_there_is_named_first(run: outfold.Run, calls: Path) -> None:
    names = ["soundscapes/s0.wav", "soundscapes/s9.wav"]
    rows = pd.DataFrame({"name": ["a", "b"], "file": names, "start_s": 0.0, "end_s": 2.0})
    with pytest.raises(MediaError, match="1 of 2 recordings cannot be used") as caught:
        run.predict(rows, root=calls, device="cpu")
    assert "s9.wav" in str(caught.value.got)


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_recording_that_breaks_off_stops_and_is_named(run: outfold.Run, torn: Path, processes: int) -> None:
    with pytest.raises(MediaError, match="of 21 recordings cannot be used") as caught:
        run.predict(torn, device="cpu", processes=processes)
    assert "s1" in str(caught.value.got)


def test_rows_without_sound_are_dropped_and_counted(
    settings: dict[str, Any], run: outfold.Run, calls: Path, torn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = copy.deepcopy(settings)
    settings["data"]["on_bad_media"] = "drop"
    dropping = outfold.run(Recipe.model_validate(settings), run.path, data=calls, device="cpu")
    told: list[dict[str, Any]] = []
    found = dropping.predict(torn, device="cpu", emit=told.append)
    (dropped,) = [event for event in told if event["event"] == "dropped"]
    assert dropped["rows"] == 21 - len(found)
    assert {name for name, _ in dropped["first"]} == {f"s1_{end}" for end in range(2, 9)} - set(found["name"])
    whole = run.predict(calls / "soundscapes", device="cpu").set_index("name")
    there = found.set_index("name")
    assert whole["prob_low"].std() > 0.01  # so that rows in each other's places would be seen
    pd.testing.assert_frame_equal(there, whole.loc[there.index], atol=1e-5)
    monkeypatch.setattr(hearing, "block_rows", lambda listeners: 6)
    pd.testing.assert_frame_equal(dropping.predict(torn, device="cpu"), found, atol=1e-5)
    for name in ("s0", "s2"):
        (torn / f"{name}.flac").unlink()
    (torn / "s1.flac").write_bytes((torn / "s1.flac").read_bytes()[:9000])
    rows = pd.DataFrame({"name": ["a", "b"], "file": ["s1.flac", "missing.flac"], "start_s": 6.0, "end_s": 8.0})
    with pytest.raises(DataError, match="no row is left of the new table: the media of all 2") as caught:
        dropping.predict(rows, root=torn, device="cpu", emit=told.append)
    assert "a: " in str(caught.value.got)
    assert "b: " in str(caught.value.got)
    assert [event["rows"] for event in told if event["event"] == "dropped"][-1] == 2
    with pytest.raises(DataError, match="no row is left"):
        dropping.predict(rows[1:], root=torn, device="cpu")


@pytest.mark.slow
def test_dropped_rows_in_several_processes(settings: dict[str, Any], run: outfold.Run, calls: Path, torn: Path) -> None:
    settings = copy.deepcopy(settings)
    settings["data"]["on_bad_media"] = "drop"
    dropping = outfold.run(Recipe.model_validate(settings), run.path, data=calls, device="cpu")
    found = dropping.predict(torn, device="cpu")
    pd.testing.assert_frame_equal(dropping.predict(torn, device="cpu", processes=2), found, atol=1e-5)


def test_rows_longer_than_a_window_are_heard_as_the_run_hears_them(
    calls_recipe: dict[str, Any], calls: Path, tmp_path: Path
) -> None:
    """Their loudest sample, by which they are rounded, may lie behind the window that is heard."""
    names = []
    for number in range(4):
        sound, rate = soundfile.read(calls / "train" / f"c{4 * number + 3:02d}.wav")
        names.append(f"loud{number}")
        soundfile.write(tmp_path / f"{names[-1]}.wav", np.r_[0.02 * sound, 0.9 * sound[:rate]], rate)
    pd.DataFrame({"name": names}).to_csv(tmp_path / "test.csv", index=False)
    shutil.copytree(calls / "train", tmp_path / "train")
    shutil.copy(calls / "train.csv", tmp_path)
    calls_recipe["data"]["test"] = {"table": "test.csv", "audio": {"path": "{name}.wav"}}
    calls_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    run = outfold.run(Recipe.model_validate(calls_recipe), tmp_path / "run", data=tmp_path, device="cpu")
    found, known = run.predict(tmp_path / "test.csv", device="cpu"), run.predictions
    assert known is not None
    np.testing.assert_array_equal(found.filter(like="prob_"), known.filter(like="prob_"))


def test_rows_whose_recordings_nobody_names_are_refused(run: outfold.Run, tmp_path: Path, calls: Path) -> None:
    settings = run.recipe.model_dump(mode="json", exclude_unset=True, by_alias=True)
    own = settings["data"].pop("audio")
    settings["data"]["train"] = [{"table": "train.csv", "audio": own}]
    settings["data"].pop("test")
    settings["stages"].pop("answer")
    other = outfold.run(Recipe.model_validate(settings), tmp_path / "run", data=calls, device="cpu")
    with pytest.raises(RecipeError, match="does not say where they are"):
        other.predict(pd.DataFrame({"name": ["a"]}), root=calls, device="cpu")


def test_members_that_read_columns_too_hear_what_is_kept(settings: dict[str, Any]) -> None:
    assert passes_by(Recipe.model_validate(settings))
    settings = copy.deepcopy(settings)
    settings["stages"]["fit"]["table"] = {"numeric": ["start_s"]}
    assert not passes_by(Recipe.model_validate(settings))
