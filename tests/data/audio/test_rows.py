"""Rows that are seconds of recordings, and tables whose rows are the windows of recordings."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from pydantic import ValidationError

from outfold.data.audio.decode import probe_audio
from outfold.data.audio.rows import RowClips, clips_of_rows, rows_of_recordings
from outfold.data.table import load_samples, samples_from_frame
from outfold.errors import DataError, MediaError
from outfold.settings.data import Data, Source
from outfold.settings.recordings import Audio, Recordings

RATE = 8000
Write = Callable[[str, float], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def recording(name: str, seconds: float) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)), RATE)
        return path

    return recording


def test_a_row_for_each_window(write: Write, tmp_path: Path) -> None:
    write("calls/b.wav", 12.0)
    write("calls/a_1.flac", 10.0)
    write("calls/short.wav", 3.0)
    table = rows_of_recordings(Recordings(path="calls/*.*"), tmp_path, "row_id")
    assert list(table.columns) == ["row_id", "file", "recording", "start_s", "end_s"]
    assert table["row_id"].tolist() == ["a_1_5", "a_1_10", "b_5", "b_10"]
    assert table["file"].tolist() == ["calls/a_1.flac"] * 2 + ["calls/b.wav"] * 2
    assert table["start_s"].tolist() == [0, 5, 0, 5]
    padded = rows_of_recordings(Recordings(path="calls/*.*", last="pad"), tmp_path, "row_id")
    assert padded["row_id"].tolist() == ["a_1_5", "a_1_10", "b_5", "b_10", "b_15", "short_5"]
    every_second = rows_of_recordings(Recordings(path="calls/b.wav", hop_s=1), tmp_path, "row_id")
    assert every_second["end_s"].tolist() == [5, 6, 7, 8, 9, 10, 11, 12]


def test_recordings_that_give_no_rows_are_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file fits the pattern 'calls/\*.ogg'"):
        rows_of_recordings(Recordings(path="calls/*.ogg"), tmp_path, "id")
    with pytest.raises(DataError, match=r"calls/a\.wav: the file does not exist"):
        rows_of_recordings(Recordings(path="calls/a.wav"), tmp_path, "id")
    write("calls/short.wav", 3.0)
    with pytest.raises(DataError, match="calls is a folder") as caught:
        rows_of_recordings(Recordings(path="calls"), tmp_path, "id")
    assert "calls/*.ogg" in str(caught.value.fix)
    with pytest.raises(DataError, match="shorter than a window of 5 s"):
        rows_of_recordings(Recordings(path="calls/*.wav"), tmp_path, "id")


def test_windows_between_whole_seconds_have_rows(write: Write, tmp_path: Path) -> None:
    write("calls/b.wav", 12.0)
    table = rows_of_recordings(Recordings(path="calls/b.wav", hop_s=2.5), tmp_path, "id")
    assert table["id"].tolist() == ["b_5", "b_7.5", "b_10"]


def test_a_file_that_is_no_recording_is_one_row(write: Write, tmp_path: Path) -> None:
    """Its window is wanted like all others, and so the run stops at it or drops it."""
    write("calls/b.wav", 12.0)
    (tmp_path / "calls" / "a.ogg").touch()
    (tmp_path / "calls" / "c.wav").write_text("no sound")
    table = rows_of_recordings(Recordings(path="calls/*", hop_s=5, last="pad"), tmp_path, "id")
    assert table["id"].tolist() == ["a_5", "b_5", "b_10", "b_15", "c_5"]


def test_a_file_that_cannot_be_read_just_now_is_an_error(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("calls/b.wav", 12.0)

    def busy(path: Path) -> float:
        raise MediaError("b.wav: the file cannot be read") from OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("outfold.data.audio.rows.duration_s", busy)
    with pytest.raises(MediaError, match="cannot be read"):
        rows_of_recordings(Recordings(path="calls/*"), tmp_path, "id")


def test_recordings_of_one_name_are_called_by_their_paths(write: Write, tmp_path: Path) -> None:
    """Recorders that write the date alone give files of one name at every site."""
    for name in ("north/0522.wav", "south/0522.wav", "south/0523.wav"):
        write(name, 5.0)
    table = rows_of_recordings(Recordings(path="*/*.wav"), tmp_path, "id")
    assert table["id"].tolist() == ["north/0522_5", "south/0522_5", "south/0523_5"]
    assert table["recording"].tolist() == ["north/0522", "south/0522", "south/0523"]
    alone = rows_of_recordings(Recordings(path="south/*.wav"), tmp_path, "id")
    assert alone["id"].tolist() == ["0522_5", "0523_5"]
    write("south/0522.flac", 5.0)
    table = rows_of_recordings(Recordings(path="south/*"), tmp_path, "id")
    assert table["id"].tolist() == ["south/0522.flac_5", "south/0522.wav_5", "south/0523.wav_5"]


def test_recordings_of_one_name_in_two_tables_are_refused(write: Write, tmp_path: Path) -> None:
    for name in ("north/0522.wav", "south/0522.wav"):
        write(name, 5.0)
    patterns = [{"recordings": {"path": f"{site}/*.wav"}} for site in ("north", "south")]
    data = Data.model_validate({"train": "t.csv", "id": "name", "unlabelled": patterns})
    with pytest.raises(DataError, match="given more than once") as caught:
        load_samples(data, tmp_path, "unlabelled")
    assert caught.value.got == "'0522_5' in north/*.wav:1, south/*.wav:1"
    assert "one pattern" in str(caught.value.fix)


def test_an_mp3_that_does_not_say_its_length_is_cut_whole(write: Write, tmp_path: Path) -> None:
    """The first frames are quiet, of fewer bits than the others, so that a guess by them is far too long."""
    loud, quiet = np.random.default_rng(0).normal(0, 0.3, 10 * 32000), np.zeros(2 * 32000)
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.concatenate([quiet, loud]), 32000, bitrate_mode="VARIABLE")
    whole = path.read_bytes()
    path.write_bytes(whole[whole.index(whole[:2], 4) :])
    assert probe_audio(path).length_is_guess
    table = rows_of_recordings(Recordings(path="a.mp3", window_s=2), tmp_path, "id")
    assert table["end_s"].tolist() == [2, 4, 6, 8, 10, 12]


@pytest.mark.parametrize("pattern", ["../*.wav", "/etc/*", "a/../../*.wav", ""])
def test_patterns_stay_below_the_root(pattern: str) -> None:
    with pytest.raises(ValidationError, match="below the data root"):
        Recordings(path=pattern)


def test_files_outside_the_root_are_refused(write: Write, tmp_path: Path) -> None:
    outside, root = write("outside.wav", 6.0), tmp_path / "root"
    root.mkdir()
    (root / "link.wav").symlink_to(outside)
    with pytest.raises(DataError, match=r"link.wav: the file's real place lies outside") as caught:
        rows_of_recordings(Recordings(path="*.wav"), root, "id")
    assert caught.value.got == str(outside)
    assert "name a root that holds both" in str(caught.value.fix)


def test_seconds_by_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"file": ["a.wav", "b/c.wav"], "from": [0.5, 2], "to": [5.5, 7]})
    media = [tmp_path / "a.wav", tmp_path / "b" / "c.wav"]
    clips = clips_of_rows(frame, Audio(path="{file}", start_s="from", end_s="to"), media, tmp_path)
    assert clips.recording.tolist() == ["a.wav", "b/c.wav"]
    assert (clips.start_s.tolist(), clips.end_s.tolist()) == ([0.5, 2], [5.5, 7])
    whole = clips_of_rows(frame, Audio(path="{file}"), media, tmp_path)
    assert (whole.start_s.tolist(), whole.end_s.tolist()) == ([0, 0], [np.inf, np.inf])
    both = RowClips.stacked([clips, whole]).take(np.array([3, 0]))
    assert (both.recording.tolist(), both.start_s.tolist()) == (["b/c.wav", "a.wav"], [0, 0.5])
    with pytest.raises(DataError, match="1 rows are no seconds of a recording"):
        clips_of_rows(frame.assign(to=[5, 1]), Audio(path="{file}", start_s="from", end_s="to"), media, tmp_path)
    with pytest.raises(DataError, match="no number of seconds"):
        changed = frame.assign(**{"from": ["soon", "2"]})
        clips_of_rows(changed, Audio(path="{file}", start_s="from"), media, tmp_path)


def test_samples_know_their_seconds(write: Write, tmp_path: Path) -> None:
    write("train/x.wav", 3.0)
    write("test/y.wav", 11.0)
    pd.DataFrame({"name": ["x"], "label": ["bird"]}).to_csv(tmp_path / "train.csv", index=False)
    given = {
        "train": "train.csv",
        "test": {"recordings": {"path": "test/*.wav"}},
        "id": "name",
        "audio": {"path": "train/{name}.wav"},
    }
    data = Data.model_validate(given)
    train, test = load_samples(data, tmp_path), load_samples(data, tmp_path, "test")
    assert train.clips is not None and test.clips is not None
    assert train.clips.end_s.tolist() == [np.inf]
    assert test.ids.tolist() == ["y_5", "y_10"]
    assert test.clips.recording.tolist() == ["test/y.wav"] * 2
    assert test.media == (tmp_path / "test" / "y.wav",) * 2
    assert test.take([1]).clips.start_s.tolist() == [5.0]
    later = samples_from_frame(test.frame, data, tmp_path)
    assert later.clips is not None
    assert later.clips.start_s.tolist() == [0, 5]


def test_media_are_of_one_kind() -> None:
    both = {"train": "t.csv", "id": "i", "audio": {"path": "{i}.wav"}, "image": {"path": "{i}.png"}}
    with pytest.raises(ValidationError, match=r"photos \(`image`\) or recordings \(`audio`\), not both"):
        Data.model_validate(both)
    with pytest.raises(ValidationError, match="from a `table` or from `recordings`"):
        Source.model_validate({"table": "t.csv", "recordings": {"path": "*.wav"}})
    with pytest.raises(ValidationError, match="say themselves where the sound is"):
        Source.model_validate({"recordings": {"path": "*.wav"}, "audio": {"path": "x"}})
    assert Source.model_validate({"recordings": "*.wav"}).table == "*.wav"
