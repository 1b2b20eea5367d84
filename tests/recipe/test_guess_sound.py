"""Tables and folders of recordings: what is heard of them, their weak labels, and recipes that load and can be run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from outfold.data.audio.rows import rows_of_recordings
from outfold.recipe.guess import draft_from_folder, draft_from_table
from outfold.recipe.guess.columns import listed_labels, task_kind
from outfold.recipe.guess.sound import guess_sound
from outfold.recipe.guess.weak import guess_rating
from outfold.recipe.load import load_recipe
from outfold.runs.validate import validate
from outfold.settings.recipe import Recipe

RATE = 32_000
N = 40


def record(path: Path, seconds: float = 1.0, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).normal(0, 0.1, round(seconds * rate)).clip(-1, 1)
    soundfile.write(path, noise, rate)
    return path


@pytest.fixture
def birds(tmp_path: Path) -> pd.DataFrame:
    """40 recordings of 4 species by 20 recordists, a third with a further species, and two soundscapes."""
    species = [("owl", "wren", "rook", "coot")[i % 4] for i in range(N)]
    frame = pd.DataFrame(
        {
            "primary_label": species,
            "secondary_labels": [f"['{species[i - 1]}']" if i % 3 == 0 else "[]" for i in range(N)],
            "type": ["['song']" if i % 2 else "['call', 'song']" for i in range(N)],
            "latitude": np.linspace(-60, 60, N).round(3),
            "author": [f"{['Ann', 'Bea', 'Cid', 'Dee'][i % 4]} {chr(65 + i // 8)}." for i in range(N)],
            "rating": [0.0, 3.5, 5.0, 4.0, 2.5] * (N // 5),
            "filename": [f"{label}/X{i}.wav" for i, label in enumerate(species)],
        }
    )
    for name in frame["filename"]:
        record(tmp_path / "train_audio" / name)
    for i in range(2):
        record(tmp_path / "test_soundscapes" / f"s{i}.wav", 2.0)
    frame.to_csv(tmp_path / "train_metadata.csv", index=False)
    return frame


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Recipe]:
    def write(table: str, **options: object) -> Recipe:
        text = draft_from_table(tmp_path / table, tmp_path / "recipe.yaml", **options).text
        (tmp_path / "recipe.yaml").write_text(text)
        return load_recipe(tmp_path / "recipe.yaml")

    return write


def test_a_table_of_weak_labels(birds: pd.DataFrame, written: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe = written("train_metadata.csv")
    data, task, fit = recipe.data, recipe.task, recipe.stages["fit"]
    assert (data.audio.path, data.rating.column, data.rating.best) == ("train_audio/{filename}", "rating", 5)
    assert (data.test.recordings.path, data.test.recordings.window_s) == ("test_soundscapes/*.wav", 1)
    assert (task.kind, task.target, task.label_sets) == ("multilabel", ("primary_label",), True)
    assert (task.secondary.column, task.secondary.mask, task.metric) == ("secondary_labels", True, "macro_roc_auc")
    assert (recipe.folds.group, recipe.folds.stratify) == (("author",), ("primary_label",))
    assert (fit.view.window_s, fit.view.height_width, fit.add_clips.p) == (1, (224, 224), 0.5)
    assert list(recipe.stages) == ["fit", "answer"]
    validate(recipe, tmp_path)


def test_folders_that_hold_rows_of_the_table_are_not_to_be_predicted(
    written: Callable[..., Recipe], tmp_path: Path
) -> None:
    names = [f"x{i}" for i in range(30)]
    for name in names:
        record(tmp_path / "field_test_2024" / f"{name}.wav", 0.1)
    pd.DataFrame({"name": names, "label": ["owl", "wren"] * 15}).to_csv(tmp_path / "train.csv", index=False)
    recipe = written("train.csv")
    assert (recipe.data.audio.path, recipe.data.test) == ("field_test_2024/{name}.wav", None)
    record(tmp_path / "later_test" / "a.wav", 0.1)
    assert written("train.csv").data.test.recordings.path == "later_test/*.wav"
    (tmp_path / "a_test").symlink_to(tmp_path / "field_test_2024")
    assert written("train.csv").data.test.recordings.path == "later_test/*.wav"


def test_a_class_folder_is_not_to_be_predicted(tmp_path: Path) -> None:
    for label in ("owl", "test tone"):
        for i in range(3):
            record(tmp_path / "test sounds" / label / f"{i}.flac", 0.1)
    record(tmp_path / "test sounds" / "stray.flac", 0.1)
    assert "  test:" not in draft_from_folder(tmp_path / "test sounds", tmp_path / "calls.yaml").text


def test_only_recordings_of_a_folder_are_to_be_predicted(
    birds: pd.DataFrame, written: Callable[..., Recipe], tmp_path: Path
) -> None:
    folder = tmp_path / "test_soundscapes"
    record(folder / "s2.flac", 2.0)
    (folder / "readme.txt").write_text("of last year")
    data = written("train_metadata.csv").data
    assert data.test.recordings.path == "test_soundscapes/*.{flac,wav}"
    files = rows_of_recordings(data.test.recordings, tmp_path, "id")["file"].unique()
    assert files.tolist() == [f"test_soundscapes/{name}" for name in ("s0.wav", "s1.wav", "s2.flac")]


def test_one_label_is_multiclass_in_the_tables_own_folds(
    birds: pd.DataFrame, written: Callable[..., Recipe], tmp_path: Path
) -> None:
    birds["fold"] = np.arange(N) // 8
    birds[["filename", "primary_label", "fold", "author"]].to_csv(tmp_path / "clips.csv", index=False)
    recipe = written("clips.csv")
    assert (recipe.task.kind, recipe.task.secondary, recipe.data.rating) == ("multiclass", None, None)
    assert (recipe.folds.column, recipe.folds.group) == ("fold", ())
    assert recipe.stages["fit"].mix.one_of == ("mixup",)
    validate(recipe, tmp_path)


def test_lists_of_labels_are_a_target(birds: pd.DataFrame, written: Callable[..., Recipe], tmp_path: Path) -> None:
    birds["labels"] = [
        f"['{label}', 'wind']" if i % 2 else f"['{label}']" for i, label in enumerate(birds.primary_label)
    ]
    birds[["filename", "labels"]].to_csv(tmp_path / "clips.csv", index=False)
    recipe = written("clips.csv")
    assert (recipe.task.kind, recipe.task.target, recipe.task.label_sets) == ("multilabel", ("labels",), True)
    assert recipe.folds.stratify == ("labels",)


def test_a_folder_of_class_folders_of_recordings(tmp_path: Path) -> None:
    for label in ("owl", "wren", "rook"):
        for i in range(3):
            record(tmp_path / "calls" / label / f"{i}.flac")
    draft = draft_from_folder(tmp_path / "calls", tmp_path / "calls.yaml")
    (tmp_path / "calls.yaml").write_text(draft.text)
    recipe = load_recipe(tmp_path / "calls.yaml")
    assert (recipe.data.audio.path, recipe.task.kind) == ("calls/{file}", "multiclass")
    assert "(a recordist, a site, a night)" in draft.text


@pytest.mark.parametrize(
    ("lengths", "rate", "window", "span", "mel"),
    [
        ([5, 5, 4.9], 32_000, 5, float("inf"), "birdclef_224"),
        ([1, 1.02], 32_000, 1, float("inf"), {"preset": "birdclef_224", "hop": 143}),
        ([0.2], 32_000, 0.5, float("inf"), {"preset": "birdclef_224", "hop": 71}),
        ([9.8, 10], 44_100, 10, float("inf"), "birdclef_224"),
        ([3, 20, 60, 90], 48_000, 5, 6, "birdclef_224"),
        (
            [3, 20, 60],
            16_000,
            5,
            6,
            {"preset": "birdclef_224", "sample_rate": 16_000, "n_fft": 2048, "f_max": 8000, "hop": 358},
        ),
    ],
)
def test_what_is_heard(
    tmp_path: Path, lengths: list[float], rate: int, window: float, span: float, mel: object
) -> None:
    paths = [record(tmp_path / f"{i}.wav", seconds, rate) for i, seconds in enumerate(lengths)]
    (tmp_path / "empty.wav").touch()
    sound = guess_sound([*paths, tmp_path / "empty.wav"], tmp_path)
    assert (sound.window_s, sound.span_s, sound.mel, sound.test) == (window, span, mel, None)


def test_nothing_is_known_of_recordings_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    assert guess_sound([tmp_path / "empty.wav"], tmp_path).window_s == 5


def test_cells_that_are_lists() -> None:
    assert listed_labels(pd.Series(["['a', 'b']", "[]", None])) == [("a", "b"), ()]
    assert listed_labels(pd.Series(["['a']", "b"])) is None
    assert listed_labels(pd.Series(["[a", "['b']"])) is None
    assert task_kind(pd.Series(["['a', 'b']", "['c']"] * 3, name="labels")) == ("multilabel", "lists of 3 labels")


@pytest.mark.parametrize(
    ("name", "values", "best"),
    [
        ("rating", [1, 5, 3], 5),
        ("quality_rating", [0, 7.5, None], 10),
        ("rating", [4, 4, 4], None),
        ("rating", [-1, 3, 5], None),
        ("rating", [12, 55, 80], None),
        ("rating", ["A", "B", "C"], None),
        ("stars", [1, 5, 3], None),
    ],
)
def test_ratings(name: str, values: list[object], best: float | None) -> None:
    found = guess_rating(pd.DataFrame({name: values}), ())
    assert (found.best if found else None) == best
