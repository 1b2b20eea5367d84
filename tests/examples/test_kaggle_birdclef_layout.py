"""The BirdCLEF layout of real sounds: the competition's columns, exact truth, no source on two sides."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import soundfile

from outfold.data.audio.clips import clips_of_row_ids
from outfold.data.audio.decode import decode_audio
from outfold.data.audio.labels import label_lists, soft_targets

CLASSES = ["bark", "crow", "rain_fall"]
COLUMNS = [
    "primary_label", "secondary_labels", "type", "latitude", "longitude", "scientific_name", "common_name", "author",
    "license", "rating", "url", "filename",
]  # fmt: skip
RATE = 32_000


@pytest.fixture(scope="module")
def layout() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "kaggle_birdclef_layout.py"
    spec = importlib.util.spec_from_file_location("kaggle_birdclef_layout", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Thirty clips of 1 s, a tone of its class in silence, two of each class and fold; six recordings of noise."""
    root, rng, rows = tmp_path_factory.mktemp("sources"), np.random.default_rng(0), []
    for folder in ("esc10/audio", "site/audio"):
        (root / folder).mkdir(parents=True)
    for number in range(30):
        label, fold = CLASSES[number % 3], number // 3 % 5 + 1
        clip, seconds = np.zeros(RATE, np.float32), rng.uniform(0.1, 0.8)
        tone = np.sin(2 * np.pi * (500 + 2000 * (number % 3)) * np.arange(round(seconds * RATE)) / RATE)
        clip[4000 : 4000 + len(tone)] = 0.4 * tone
        soundfile.write(root / f"esc10/audio/{number}.flac", clip, RATE)
        rows.append({"file": f"audio/{number}.flac", "label": label, "fold": fold, "src_file": 900 + number})
    pd.DataFrame(rows).to_csv(root / "esc10/labels.csv", index=False)
    for number in range(6):
        soundfile.write(root / f"site/audio/{number}.flac", rng.normal(0, 0.02, 3 * 22000), 22000)
    site = [{"file": f"audio/{number}.flac"} for number in range(6)]
    pd.DataFrame(site).to_csv(root / "site/labels.csv", index=False)
    return root / "esc10", root / "site"


@pytest.fixture(scope="module")
def written(layout: ModuleType, sources: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("birdclef")
    layout.write_layout(*sources, out, scored=3, unlabelled=4, seconds=20, sounds=3, mixed_share=0.4, seed=5)
    return out


def test_the_layout_is_the_competitions(written: Path) -> None:
    metadata = pd.read_csv(written / "train_metadata.csv")
    assert list(metadata.columns) == COLUMNS
    assert len(metadata) == 18
    for name, label in zip(metadata["filename"], metadata["primary_label"], strict=True):
        info = soundfile.info(written / "train_audio" / name)
        assert (info.format, info.samplerate, info.channels, info.frames) == ("OGG", RATE, 1, RATE)
        assert name.startswith(f"{label}/")
    assert len(list((written / "train_audio").rglob("*.ogg"))) == 18
    assert len(list((written / "unlabeled_soundscapes").glob("*.ogg"))) == 4
    submission, solution = (pd.read_csv(written / f"{name}.csv") for name in ("sample_submission", "solution"))
    assert list(submission.columns) == list(solution.columns) == ["row_id", *CLASSES]
    assert submission["row_id"].tolist() == solution["row_id"].tolist()
    for clip in clips_of_row_ids(solution["row_id"], 5.0):
        assert len(decode_audio(written / clip.file, RATE, clip.start_s, clip.end_s)) == 5 * RATE


def test_secondary_labels_become_masks(written: Path) -> None:
    metadata = pd.read_csv(written / "train_metadata.csv")
    primary = [(label,) for label in metadata["primary_label"]]
    secondary = label_lists(metadata, "secondary_labels")
    assert sum(map(bool, secondary)) == round(0.4 * 18)
    targets = soft_targets(primary, secondary, CLASSES)
    assert (targets.mask == 0).sum() == round(0.4 * 18)
    assert targets.left_out == {}


def test_a_second_sound_is_there_and_lower(layout: ModuleType, sources: tuple[Path, Path]) -> None:
    first, second = (layout.read(sources[0] / f"audio/{number}.flac") for number in (0, 1))
    added = layout.mix(first, layout.sounding_part(second), -6.0) - first
    levels = [np.sqrt(np.mean(layout.sounding_part(clip) ** 2)) for clip in (added, first)]
    assert 20 * np.log10(levels[0] / levels[1]) == pytest.approx(-6, abs=0.1)
    assert np.abs(layout.mix(first, second, 20.0)).max() <= 0.9001


def test_truth_follows_from_events(written: Path) -> None:
    events = pd.read_csv(written / "events.csv")
    for name in ("solution", "unlabeled_solution"):
        solution = pd.read_csv(written / f"{name}.csv").set_index("row_id")
        for row_id, truth in solution.iterrows():
            scape, _, end = str(row_id).rpartition("_")
            own = events[events["soundscape"] == scape]
            heard = own[(own["start_s"] < int(end)) & (own["end_s"] > int(end) - 5)]
            assert set(truth.index[truth == 1]) == set(heard["label"])
            overlap = np.minimum(heard["end_s"], int(end)) - np.maximum(heard["start_s"], int(end) - 5)
            assert (overlap >= np.minimum(0.25, heard["end_s"] - heard["start_s"]) - 1e-6).all()
        assert 0 < solution.to_numpy().mean() < 1


def test_sounds_are_where_events_say(layout: ModuleType, sources: tuple[Path, Path]) -> None:
    """What was added to the background has the given power between the given times, and is nowhere else."""
    files = [f"audio/{number}.flac" for number in range(12)]
    parts = {file: layout.sounding_part(layout.read(sources[0] / file)) for file in files}
    labels = {file: CLASSES[number % 3] for number, file in enumerate(files)}
    scape = np.random.default_rng(0).normal(0, 0.001, 20 * RATE).astype(np.float32)
    for seed in range(8):
        mixed, (event,) = layout.place_sounds(parts, labels, scape, 1, np.random.default_rng(seed))
        added = mixed - scape
        first, last = round(event.start_s * RATE), round(event.end_s * RATE)
        assert last - first == len(parts[event.source])
        ratio = np.mean(added[first:last].astype(np.float64) ** 2) / np.mean(scape[first:last] ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(event.snr_db, abs=0.05)
        added[first:last] = 0
        assert not added.any()


def test_no_source_is_on_two_sides(written: Path, sources: tuple[Path, Path]) -> None:
    labels = pd.read_csv(sources[0] / "labels.csv").set_index("file")
    metadata, events = pd.read_csv(written / "train_metadata.csv"), pd.read_csv(written / "events.csv")
    test = events["soundscape"].str.startswith("soundscape_")
    used = [
        set(metadata["author"].str.removeprefix("freesound ").astype(int)),
        set(labels.loc[events.loc[~test, "source"], "src_file"]),
        set(labels.loc[events.loc[test, "source"], "src_file"]),
    ]
    assert all(used)
    assert not used[0] & used[1]
    assert not used[0] & used[2]
    assert not used[1] & used[2]
    folds = pd.read_csv(written / "folds.csv")
    assert folds["filename"].tolist() == metadata["filename"].tolist()
    assert set(folds["fold"]) == {0, 1, 2}


def test_a_seed_decides_everything(layout: ModuleType, sources: tuple[Path, Path], tmp_path: Path) -> None:
    """Tables to the byte and sounds to the sample; Ogg files themselves carry a random serial number."""

    def contents(name: str, seed: int, scored: int = 1) -> tuple[bytes, bytes]:
        layout.write_layout(*sources, tmp_path / name, scored=scored, unlabelled=1, seconds=10, sounds=2, seed=seed)
        tables = b"".join(path.read_bytes() for path in sorted((tmp_path / name).glob("*.csv")))
        sounds = [decode_audio(path).tobytes() for path in sorted((tmp_path / name).rglob("*_000000.ogg"))]
        return tables, b"".join(sounds)

    one, more, other = contents("one", 1), contents("more", 1, scored=2), contents("other", 2)
    assert one[1] == more[1]
    assert one[0] != other[0]
    assert one[1] != other[1]
    assert contents("one", 1) == one


def test_the_command(
    layout: ModuleType, sources: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:  # type: ignore[no-untyped-def]
    command = ["x", *map(str, sources), str(tmp_path), "--soundscapes", "1", "--unlabelled", "1", "--seconds", "15"]
    monkeypatch.setattr(sys, "argv", command)
    layout.main()
    assert "test: 3 windows" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*command[:-1], "12"])
    with pytest.raises(SystemExit):
        layout.main()


def test_real_sounds(layout: ModuleType, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    """Two soundscapes of each kind, and the real table's split; the training clips are left out for time."""
    esc10, site = shared_data("esc10"), shared_data("soundscapes_unlabelled")
    labels = pd.read_csv(esc10 / "labels.csv")
    sides = [labels["fold"].isin(layout.TRAIN_FOLDS), labels["fold"] == 4, labels["fold"] == 5]
    groups = [set(labels.loc[side, "src_file"]) for side in sides]
    assert [side.sum() for side in sides] == [240, 80, 80]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    clips = labels[sides[2]].groupby("label").head(2)
    recordings = sorted((site / "audio").glob("*.ogg"))[:4]
    mixtures = layout.soundscapes(clips, esc10, recordings, 2, 60, 6, [0])
    truth, events = layout.write_soundscapes(mixtures, tmp_path, "soundscape", sorted(labels["label"].unique()), 60)
    assert truth["row_id"].tolist()[:12] == [f"soundscape_000000_{end}" for end in range(5, 61, 5)]
    assert len(decode_audio(tmp_path / "soundscape_000001.ogg")) == 60 * RATE
    assert (events["end_s"] - events["start_s"]).between(0.02, 7.5).all()
