"""Checks of recordings: every kind of bad file, recordings that are odd, lengths that do not fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from outfold.data.audio.decode import decode_audio
from outfold.data.audio.findings import recording_findings
from outfold.data.audio.inspection import inspect_audio, inspect_recordings, listen
from outfold.data.findings import Finding
from outfold.data.media import content_key
from outfold.data.table import Samples
from outfold.errors import DataError

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sound: Make, write_sound: Write) -> Path:
    """One file of each kind of trouble; the name says which."""
    root, good = tmp_path_factory.mktemp("odd"), sound(2, 8000)
    write_sound(root / "good.flac", good, 8000)
    write_sound(root / "stereo.wav", sound(3, 16000, 2), 16000)
    write_sound(root / "silent.flac", np.zeros(16000, np.float32), 8000)
    write_sound(root / "one.wav", np.full(1, 0.5, np.float32), 8000)
    write_sound(root / "nothing.wav", np.empty(0, np.float32), 8000)
    write_sound(root / "clipped.flac", np.clip(20 * good, -1, 1), 8000)
    write_sound(root / "nan.wav", np.where(np.arange(16000) == 77, np.nan, good).astype(np.float32), 8000)
    whole = write_sound(root / "whole.mp3", sound(8, 44100), 44100).read_bytes()
    (root / "cut.mp3").write_bytes(whole[: len(whole) // 2])
    (root / "untold.mp3").write_bytes(whole[whole.index(whole[:2], 4) :])
    flac = (root / "good.flac").read_bytes()
    (root / "cut.flac").write_bytes(flac[: len(flac) // 2])
    ogg = write_sound(root / "whole.ogg", good, 8000).read_bytes()
    (root / "chained.ogg").write_bytes(ogg + ogg)
    for path in (write_sound(root / "long.ogg", sound(20, 16000), 16000), root / "stereo.wav"):
        whole = path.read_bytes()
        (root / f"cut{path.suffix}").write_bytes(whole[: len(whole) // 2])
    two = sound(2, 8000, 2)
    write_sound(root / "turned.wav", np.stack([two[:, 0], 0.01 * two[:, 1] - two[:, 0]], axis=1), 8000)
    (root / "empty.ogg").touch()
    (root / "text.ogg").write_text("no sound")
    return root


FAULTS = {
    "none.ogg": "missing",
    "empty.ogg": "empty",
    "text.ogg": "unreadable",
    "cut.flac": "damaged",
    "nothing.wav": "soundless",
    "nan.wav": "not_finite",
}


@pytest.mark.parametrize(("name", "fault"), FAULTS.items())
def test_faults(folder: Path, name: str, fault: str) -> None:
    assert inspect_audio(folder / name).fault == fault


def test_a_good_recording(folder: Path) -> None:
    found = inspect_audio(folder / "stereo.wav")
    assert (found.fault, found.key, found.duration_s) == (None, content_key(folder / "stereo.wav"), 3.0)
    sound = listen(folder / "good.flac")
    assert sound.frames == 16000
    assert sound.peak == np.abs(decode_audio(folder / "good.flac")).max()
    assert (sound.clipped, sound.not_finite) == (0, 0)
    assert listen(folder / "nan.wav").not_finite == 1


def samples_of(names: list[str], folder: Path, **columns: list[object]) -> Samples:
    frame = pd.DataFrame({"file": names, **columns}).assign(source="train.csv", source_row=np.arange(2, len(names) + 2))
    return Samples(frame, np.array(names, dtype=object), tuple(folder / name for name in names), "file")


def findings_of(folder: Path, names: list[str], level: str = "error", **columns: list[object]) -> dict[str, Finding]:
    samples = samples_of(names, folder, **columns)
    files = inspect_recordings(samples.media or (), workers=3)
    durations = next(iter(columns), None)
    found = recording_findings(samples, files, folder, level=level, table="train.csv", durations=durations)  # type: ignore[arg-type]
    assert len({finding.what for finding in found}) == len(found)
    return {finding.what: finding for finding in found}


def test_findings_name_rows_and_files(folder: Path) -> None:
    found = findings_of(folder, ["good.flac", *FAULTS])
    errors = [finding for finding in found.values() if finding.level == "error"]
    assert [finding.places[0].file for finding in errors] == list(FAULTS)
    assert [finding.places[0].row for finding in errors] == [f"train.csv:{row}" for row in range(3, 9)]
    assert all(finding.fix and "on_bad_media" in finding.fix for finding in errors)
    assert {one.level for one in findings_of(folder, list(FAULTS), level="warning").values()} == {"warning"}


@pytest.mark.parametrize(
    ("name", "level", "words", "note"),
    [
        ("silent.flac", "warning", "silent", "peak 0.0e+00"),
        ("one.wav", "warning", "shorter than 0.1 s", "1 sample, 0.0001 s"),
        ("cut.mp3", "warning", "another length than its header says", "the header says 8.0 s, the file holds"),
        ("cut.wav", "warning", "cut short", "the header promises 3.0 s, the file holds 1.5 s"),
        ("cut.ogg", "warning", "cut short", "the stream does not end, the file holds"),
        ("turned.wav", "warning", "cancel each other", "2 channels, whose mean has 0.0"),
        ("chained.ogg", "warning", "several streams", "2 streams"),
        ("untold.mp3", "note", "does not say how long it is", "8.0 s"),
        ("clipped.flac", "note", "clipped", "% of the samples"),
    ],
)
def test_odd_recordings(folder: Path, name: str, level: str, words: str, note: str) -> None:
    found = findings_of(folder, ["good.flac", name, "stereo.wav"])
    (odd,) = [finding for finding in found.values() if finding.places]
    assert odd.level == level
    assert words in odd.what
    assert (odd.places[0].file, note in odd.places[0].note) == (name, True)


def test_long_recordings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outfold.data.audio.findings.LONG_S", 2.5)
    (found,) = [one for one in findings_of(folder, ["good.flac", "stereo.wav"]).values() if one.places]
    assert found.places[0].file == "stereo.wav"


def test_lengths_of_the_table(folder: Path) -> None:
    names = ["good.flac", "stereo.wav", "one.wav", "silent.flac", "whole.ogg"]
    found = findings_of(folder, names, seconds=[2.05, 30, None, "two", 2.0])
    (other,) = [finding for what, finding in found.items() if "another length than column 'seconds'" in what]
    assert [(place.file, place.note) for place in other.places] == [
        ("stereo.wav", "the table says 30.0 s, the file holds 3.0 s")
    ]
    (nonsense,) = [finding for what, finding in found.items() if "no number of seconds" in what]
    assert [place.note for place in nonsense.places] == ["'two'"]
    with pytest.raises(DataError, match="no column 'length'"):
        recording_findings(samples_of(names, folder), [], folder, level="error", table="t", durations="length")


def test_formats_are_summed_up(folder: Path) -> None:
    found = list(findings_of(folder, ["good.flac", "stereo.wav", "whole.ogg", "whole.ogg"]))
    assert found[0].startswith("train.csv: 3 recordings: 1 FLAC PCM_16, 1 WAV FLOAT, 1 OGG VORBIS; 2 8,000 Hz, ")
    assert "2.0 to 3.0 s" in found[0]
    assert "parts of 1 recording are reached by decoding all that precedes them (OGG VORBIS)" in found[1]


def test_files_are_decoded_once_in_order(folder: Path) -> None:
    paths = [folder / name for name in ("good.flac", "none.ogg", "good.flac", "stereo.wav")]
    seen: list[tuple[int, int]] = []
    files = inspect_recordings(paths, workers=2, progress=lambda *counts: seen.append(counts))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [file.duration_s for file in files] == [2.0, None, 2.0, 3.0]


def test_real_recordings_are_sound(shared_data: Callable[[str], Path]) -> None:
    root = shared_data("esc10")
    labels = pd.read_csv(root / "labels.csv")[::20].reset_index(drop=True)
    samples = samples_of(labels["file"].tolist(), root, duration_s=labels["duration_s"].tolist())
    files = inspect_recordings(samples.media or (), workers=2)
    found = recording_findings(samples, files, root, level="error", table="labels.csv", durations="duration_s")
    assert {finding.level for finding in found if "clipped" not in finding.what} == {"note"}
