"""Lay ESC-10 and unlabelled soundscapes out like BirdCLEF 2024, to try its system on real sounds whose truth is known.

    python examples/kaggle_birdclef_layout.py ESC10_FOLDER SOUNDSCAPES_FOLDER OUT --soundscapes 24 --unlabelled 48
        --weights yamnet_mobilenetv1_100.safetensors

ESC10_FOLDER holds labels.csv (columns file, label, fold, src_file) and clips of 5 s, ten sounds; SOUNDSCAPES_FOLDER
holds labels.csv (column file) and recordings of one site without labels. The author's folds of ESC-10 keep clips cut
from one source recording together, so they decide what goes where, and no source is on two sides:

    folds 1 to 3    training clips
    fold 4          sounds in the unlabelled soundscapes, which students learn from
    fold 5          sounds in the soundscapes for scoring

A share of the training clips gets a second clip of another class and the same fold, 3 to 12 dB lower: its class is
their secondary label. A soundscape is made of the site's recordings, faded into each other, and of sounds at random
times and signal-to-noise ratios: power of the sound over power of the background, in the same seconds. The site's
recordings are dealt to the two sides too. OUT then holds

    train_metadata.csv, train_audio/<label>/<file>.ogg     as the competition gives them
    unlabeled_soundscapes/<name>.ogg                       as the competition gives them
    test_soundscapes/<name>.ogg, sample_submission.csv     as the competition gives them
    folds.csv             the training clips' folds, 0 to 2, for those who bring their own
    solution.csv          which classes sound in each 5 s of the test soundscapes, which a competition keeps to itself
    unlabeled_solution.csv    the same of the unlabelled ones, to see how good pseudo-labels are
    events.csv            every sound in a soundscape: soundscape, label, source, start_s, end_s, snr_db

A class is present in a window where any part of one of its sounds lies in it. Sounds are placed so that no more or less
is a matter of taste: in each window they touch they last 0.25 s at least, or as long as they are.
"""

import argparse
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr

RATE = 32_000
WINDOW_S = 5
TRAIN_FOLDS, UNLABELLED_FOLD, TEST_FOLD = (1, 2, 3), 4, 5
SNRS_DB = (-5.0, 0.0, 5.0, 10.0)
LEAST_S = 0.25
"""A sound lasts so long in each window that it touches, if it lasts so long at all."""
FADE_S = 0.5
PEAK = 0.9
"""Louder mixtures are turned down to this, for files hold samples up to 1."""
METADATA = [
    "primary_label", "secondary_labels", "type", "latitude", "longitude", "scientific_name", "common_name", "author",
    "license", "rating", "url", "filename",
]  # fmt: skip
EVENTS = ["soundscape", "label", "source", "start_s", "end_s", "snr_db"]


@dataclass(frozen=True)
class Event:
    """A sound in a soundscape."""

    label: str
    source: str
    """File it was taken from."""
    start_s: float
    end_s: float
    snr_db: float


def read(path: Path) -> np.ndarray:
    """A recording as float32 (n,) at RATE."""
    waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = waveform.mean(axis=1)
    return mono if rate == RATE else soxr.resample(mono, rate, RATE)


def write(path: Path, waveform: np.ndarray) -> None:
    """Write Ogg Vorbis, a second at a time: libsndfile's encoder crashes on minutes at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", RATE, 1, "VORBIS", format="OGG") as file:
        for start in range(0, len(waveform), RATE):
            file.write(waveform[start : start + RATE])


def sounding_part(clip: np.ndarray) -> np.ndarray:
    """A clip without what is 40 dB below its loudest 20 ms, before its first and after its last sound."""
    step = RATE // 50
    power = np.add.reduceat(np.square(clip, dtype=np.float64), np.arange(0, len(clip), step))
    loud = np.flatnonzero(power > 1e-4 * power.max())
    return clip[loud[0] * step : (loud[-1] + 1) * step] if len(loud) else clip[:0]


def mix(first: np.ndarray, second: np.ndarray, level_db: float) -> np.ndarray:
    """`first` with the beginning of `second` at a level relative to its own, both measured where they sound."""
    own, other = (np.sqrt(np.mean(np.square(sounding_part(clip)))) for clip in (first, second))
    shorter = second[: len(first)]
    mixed = first.copy()
    mixed[: len(shorter)] += shorter * (10 ** (level_db / 20) * own / other)
    return quieter(mixed)


def quieter(waveform: np.ndarray) -> np.ndarray:
    """The waveform with its peak at PEAK where it would be above."""
    return waveform * min(1.0, PEAK / max(float(np.abs(waveform).max()), 1e-9))


def background(recordings: Sequence[np.ndarray], seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Recordings in random order, faded into each other with equal power, float32 (seconds * RATE,)."""
    fade, length = round(FADE_S * RATE), round(seconds * RATE)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    out = np.zeros(0, np.float32)
    while len(out) < length:
        for row in rng.permutation(len(recordings)):
            piece = recordings[row].copy()
            if len(out):
                piece[:fade] = piece[:fade] * ramp + out[-fade:] * ramp[::-1]
                out = out[:-fade]
            out = np.concatenate([out, piece])
    return out[:length]


def lasts_long_enough(start: float, end: float) -> bool:
    """Whether a sound lasts LEAST_S, or as long as it is, in every window that it touches."""
    least = min(LEAST_S, end - start) - 1e-9
    edges = np.arange(start // WINDOW_S, end // WINDOW_S + 1) * WINDOW_S
    inside = np.minimum(end, edges + WINDOW_S) - np.maximum(start, edges)
    return bool(((inside <= 0) | (inside >= least)).all())


def place_sounds(
    sounds: Mapping[str, np.ndarray],
    labels: Mapping[str, str],
    scape: np.ndarray,
    number: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[Event]]:
    """Add sounds to a background.

    Args:
        sounds: the sounding parts by file.
        labels: class of each file.
        scape: float32 (n,), the background.
        number: of sounds; classes are drawn first, so that all are as frequent.
        rng: decides files, times and ratios.

    Returns:
        The mixture, float32 (n,), and its events in the order of time.
    """
    mixed, events, classes = scape.copy(), [], sorted(set(labels.values()))
    while len(events) < number:
        label = classes[rng.integers(len(classes))]
        files = sorted(file for file in sounds if labels[file] == label)
        file = files[rng.integers(len(files))]
        first = int(rng.integers(len(scape) - len(sounds[file]) + 1))
        last, snr_db = first + len(sounds[file]), float(rng.choice(SNRS_DB))
        if not lasts_long_enough(first / RATE, last / RATE):
            continue
        noise, signal = (np.mean(np.square(part, dtype=np.float64)) for part in (scape[first:last], sounds[file]))
        gain = np.sqrt(max(noise, 1e-8) / signal * 10 ** (snr_db / 10))
        mixed[first:last] += np.float32(gain) * sounds[file]
        events.append(Event(label, file, first / RATE, last / RATE, snr_db))
    return quieter(mixed), sorted(events, key=lambda event: event.start_s)


def truth_of(name: str, events: Sequence[Event], classes: Sequence[str], seconds: int) -> pd.DataFrame:
    """The classes that sound in each window: row_id and a column of 0 or 1 for each class."""
    ends = np.arange(WINDOW_S, seconds + 1, WINDOW_S)
    truth = pd.DataFrame(0, index=[f"{name}_{end}" for end in ends], columns=list(classes))
    for event in events:
        heard = (event.start_s < ends) & (event.end_s > ends - WINDOW_S)
        truth.loc[heard, event.label] = 1
    return truth.rename_axis("row_id").reset_index()


def metadata_row(clip: Mapping[str, object], secondary: Sequence[str]) -> dict[str, object]:
    """The competition's columns of one training clip; what ESC-10 does not know stays empty."""
    label, source = str(clip["label"]), str(clip["src_file"])
    return {
        "primary_label": label,
        "secondary_labels": str(list(secondary)),
        "type": "['mixed']" if secondary else "['original']",
        "scientific_name": label,
        "common_name": label.replace("_", " ").capitalize(),
        "author": f"freesound {source}",
        "license": "Creative Commons Attribution 3.0",
        "rating": 3.5 if secondary else 5.0,
        "url": f"https://freesound.org/s/{source}/",
        "filename": f"{label}/{Path(str(clip['file'])).stem}.ogg",
    }


def write_training(
    labels: pd.DataFrame, source: Path, out: Path, share: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Write the training clips, some with a second sound, and their tables; returns the metadata."""
    mixed = set(rng.permutation(len(labels))[: round(share * len(labels))].tolist())
    rows = []
    for number, clip in enumerate(labels.to_dict("records")):
        waveform, secondary = read(source / str(clip["file"])), []
        if number in mixed:
            others = labels[(labels["fold"] == clip["fold"]) & (labels["label"] != clip["label"])]
            second = others.iloc[int(rng.integers(len(others)))]
            waveform = mix(waveform, sounding_part(read(source / second["file"])), -float(rng.uniform(3, 12)))
            secondary = [second["label"]]
        rows.append(metadata_row(clip, secondary))
        write(out / "train_audio" / str(rows[-1]["filename"]), waveform)
    metadata = pd.DataFrame(rows, columns=METADATA).assign(fold=labels["fold"].to_numpy())
    metadata = metadata.sort_values("filename", ignore_index=True)
    metadata[METADATA].to_csv(out / "train_metadata.csv", index=False)
    metadata.assign(fold=metadata["fold"] - 1)[["filename", "fold"]].to_csv(out / "folds.csv", index=False)
    return metadata


def soundscapes(
    clips: pd.DataFrame,
    source: Path,
    recordings: Sequence[Path],
    number: int,
    seconds: int,
    sounds: int,
    seed: Sequence[int],
) -> Iterator[tuple[np.ndarray, list[Event]]]:
    """So many mixtures of the site's recordings and the clips' sounds; each has a seed of its own."""
    parts = {file: part for file in clips["file"] if len(part := sounding_part(read(source / file)))}
    labels = dict(zip(clips["file"], clips["label"], strict=True))
    site = [read(path) for path in recordings]
    for row in range(number):
        rng = np.random.default_rng([*seed, row])
        yield place_sounds(parts, labels, background(site, seconds, rng), int(rng.integers(1, 2 * sounds)), rng)


def write_soundscapes(
    mixtures: Iterator[tuple[np.ndarray, list[Event]]], folder: Path, prefix: str, classes: Sequence[str], seconds: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write soundscapes; returns the truth of their windows, and their events."""
    truths, events = [], []
    for number, (waveform, heard) in enumerate(mixtures):
        name = f"{prefix}_{number:06d}"
        write(folder / f"{name}.ogg", waveform)
        truths.append(truth_of(name, heard, classes, seconds))
        events += [{"soundscape": name, **vars(event)} for event in heard]
    return pd.concat(truths, ignore_index=True), pd.DataFrame(events, columns=EVENTS)


def write_layout(
    esc10: Path,
    site: Path,
    out: Path,
    *,
    scored: int = 24,
    unlabelled: int = 48,
    seconds: int = 60,
    sounds: int = 6,
    mixed_share: float = 0.3,
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Write everything; returns the metadata, the solutions and the events by name."""
    labels = pd.read_csv(esc10 / "labels.csv").sort_values("file", ignore_index=True)
    classes = sorted(labels["label"].unique())
    recordings = [site / file for file in sorted(pd.read_csv(site / "labels.csv")["file"])]
    dealt = np.random.default_rng([seed, 0]).permutation(len(recordings))
    halves = [[recordings[row] for row in sorted(dealt[side::2])] for side in (0, 1)]
    train = labels[labels["fold"].isin(TRAIN_FOLDS)].reset_index(drop=True)
    tables = {"train": write_training(train, esc10, out, mixed_share, np.random.default_rng([seed, 1]))}
    sides = (("unlabeled", UNLABELLED_FOLD, unlabelled), ("test", TEST_FOLD, scored))
    for side, (name, fold, number) in enumerate(sides):
        clips = labels[labels["fold"] == fold]
        mixtures = soundscapes(clips, esc10, halves[side], number, seconds, sounds, [seed, 2 + side])
        prefix = "soundscape" if name == "test" else "field"
        folder = out / f"{name}_soundscapes"
        tables[name], tables[f"{name} events"] = write_soundscapes(mixtures, folder, prefix, classes, seconds)
    tables["test"].to_csv(out / "solution.csv", index=False)
    tables["unlabeled"].to_csv(out / "unlabeled_solution.csv", index=False)
    events = pd.concat([tables["unlabeled events"], tables["test events"]], ignore_index=True)
    events.to_csv(out / "events.csv", index=False)
    tables["test"].assign(**dict.fromkeys(classes, 1 / len(classes))).to_csv(out / "sample_submission.csv", index=False)
    return tables


def main() -> None:
    """Read the arguments and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("esc10", type=Path, help="folder of ESC-10's labels.csv")
    parser.add_argument("site", type=Path, help="folder of the unlabelled soundscapes' labels.csv")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--soundscapes", type=int, default=24, help="for scoring")
    parser.add_argument("--unlabelled", type=int, default=48, help="soundscapes for students")
    parser.add_argument("--seconds", type=int, default=60, help="length of a soundscape, a multiple of 5")
    parser.add_argument("--sounds", type=int, default=6, help="in a soundscape, on average")
    parser.add_argument("--mixed-share", type=float, default=0.3, help="of training clips that get a second sound")
    parser.add_argument("--seed", type=int, default=0, help="decides everything that is drawn")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="files of weights to put into OUT/weights")
    given = parser.parse_args()
    if given.seconds < 10 or given.seconds % WINDOW_S:
        parser.error(f"--seconds {given.seconds}: 10 or more, and a multiple of {WINDOW_S}")
    if min(given.soundscapes, given.unlabelled, given.sounds) < 1:
        parser.error("at least one soundscape of each kind, and one sound in each")
    tables = write_layout(
        given.esc10,
        given.site,
        given.out,
        scored=given.soundscapes,
        unlabelled=given.unlabelled,
        seconds=given.seconds,
        sounds=given.sounds,
        mixed_share=given.mixed_share,
        seed=given.seed,
    )
    for file in given.weights:
        (given.out / "weights").mkdir(exist_ok=True)
        shutil.copyfile(file, given.out / "weights" / file.name)
    second = (tables["train"]["secondary_labels"] != "[]").mean()
    print(f"train: {len(tables['train']):,} clips, {second:.0%} with a secondary label")
    for name in ("unlabeled", "test"):
        present = tables[name].drop(columns="row_id").to_numpy()
        print(f"{name}: {len(present):,} windows, {present.any(axis=1).mean():.0%} with a sound, "
              f"{present.sum(axis=0).min()} to {present.sum(axis=0).max()} of a class")  # fmt: skip


if __name__ == "__main__":
    main()
