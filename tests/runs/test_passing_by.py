"""Later recordings are heard once by all members: the run's own numbers, without a copy of the sound on disk."""

import copy
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
from outfold.errors import DataError, MediaError
from outfold.runs.passing_by import passes_by
from outfold.settings.recipe import Recipe
from outfold.stages import hearing


@pytest.fixture(scope="module")
def settings(calls_settings: dict[str, Any]) -> dict[str, Any]:
    """Two members that are shown one picture in two ways, and one that is shown another."""
    recipe = copy.deepcopy(calls_settings)
    fit = recipe["stages"]["fit"]
    fit["phases"][0]["epochs"] = 1
    fit["members"] = {
        "ramp": {},
        "repeat": {"view": {**fit["view"], "channels": "repeat"}, "predict": {"batch_size": 3}},
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


def test_blocks_are_whole_batches_of_every_member(run: outfold.Run) -> None:
    members = run.recipe.members_of("fit").values()
    listeners = [hearing.Listener(one, None, Path()) for one in members]  # type: ignore[arg-type]
    assert hearing.block_rows(listeners) == 96
    odd = [one.model_copy(update={"batch_size": size}) for one, size in zip(members, (31, 50, 37), strict=True)]
    assert hearing.block_rows([hearing.Listener(odd[0], None, Path())]) == 124  # type: ignore[arg-type]
    many = [hearing.Listener(one, None, Path()) for one in odd]  # type: ignore[arg-type]
    assert hearing.block_rows(many) == hearing.MOST_ROWS


def test_many_blocks_give_the_same(run: outfold.Run, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run.predict(calls / "soundscapes", device="cpu")
    monkeypatch.setattr(hearing, "block_rows", lambda listeners: 5)
    again = run.predict(calls / "soundscapes", device="cpu")
    pd.testing.assert_frame_equal(found, again, atol=1e-5)


@pytest.mark.slow
def test_processes_share_the_rows(run: outfold.Run, calls: Path, tmp_path: Path) -> None:
    rows = pd.DataFrame({"start_s": np.arange(140) % 7, "file": "soundscapes/s0.wav"})
    rows = rows.assign(end_s=rows["start_s"] + 1.0, name=[f"r{number}" for number in range(140)])
    told: list[dict[str, Any]] = []
    alone = run.predict(rows, root=calls, device="cpu")
    shared = run.predict(rows, root=calls, device="cpu", processes=2, emit=told.append)
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
    settings: dict[str, Any], run: outfold.Run, calls: Path, torn: Path
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
    pd.testing.assert_frame_equal(there, whole.loc[there.index], atol=1e-3)
    for name in ("s0", "s2"):
        (torn / f"{name}.flac").unlink()
    (torn / "s1.flac").write_bytes((torn / "s1.flac").read_bytes()[:9000])
    with pytest.raises(DataError, match="no row is left"):
        dropping.predict(torn, device="cpu")


def test_members_that_read_columns_too_hear_what_is_kept(settings: dict[str, Any]) -> None:
    assert passes_by(Recipe.model_validate(settings))
    settings = copy.deepcopy(settings)
    settings["stages"]["fit"]["table"] = {"numeric": ["start_s"]}
    assert not passes_by(Recipe.model_validate(settings))
