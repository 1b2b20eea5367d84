"""Runs that differ from the plain one: other tasks, several members and seeds, own folds, weights, watched scores."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.errors import OutfoldError
from outfold.settings.recipe import Recipe


def run(recipe: dict[str, Any], out: Path, data: Path) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu")


@pytest.fixture
def table(shapes: Path) -> pd.DataFrame:
    return pd.read_csv(shapes / "train.csv")


@pytest.fixture
def with_table(shapes: Path, tmp_path: Path) -> Any:
    """Writes another training table beside the same photos; returns the data root."""

    def write(frame: pd.DataFrame) -> Path:
        root = tmp_path / "data"
        (root / "images").mkdir(parents=True)
        for path in (shapes / "images").iterdir():
            (root / "images" / path.name).write_bytes(path.read_bytes())
        frame.to_csv(root / "train.csv", index=False)
        (root / "test.csv").write_text((shapes / "test.csv").read_text())
        return root

    return write


def test_several_labels_at_once(
    tiny_recipe: dict[str, Any], table: pd.DataFrame, with_table: Any, tmp_path: Path
) -> None:
    table["warm"] = (table["colour"] == "red").astype(int)
    table["cold"] = (table["colour"] != "red").astype(int)
    tiny_recipe["task"] = {"kind": "multilabel", "target": ["warm", "cold"], "metric": "macro_roc_auc"}
    tiny_recipe["folds"] = {"k": 3, "stratify": ["warm"]}
    done = run(tiny_recipe, tmp_path / "run", with_table(table))
    assert {"prob_warm", "prob_cold"} <= set(done.oof.columns)
    submission = pd.read_csv(tmp_path / "run" / "submission.csv")
    assert list(submission.columns) == ["photo", "warm", "cold"]
    assert submission[["warm", "cold"]].to_numpy().max() <= 1
    assert done.score > 0.5


@pytest.mark.slow
def test_several_targets_on_their_own_scales(
    tiny_recipe: dict[str, Any], table: pd.DataFrame, with_table: Any, tmp_path: Path
) -> None:
    table["far"] = table["amount"] * 1000 + 5000
    tiny_recipe["task"] = {"kind": "regression", "target": ["amount", "far"], "metric": "r2"}
    tiny_recipe["folds"] = {"k": 3}
    tiny_recipe["stages"]["fit"]["phases"] = [{"name": "all", "epochs": 6, "lr": 3e-3}]
    done = run(tiny_recipe, tmp_path / "run", with_table(table))
    assert done.oof["pred_far"].mean() == pytest.approx(table["far"].mean(), rel=0.2)
    assert done.score > 0.3


@pytest.mark.slow
def test_members_and_seeds_are_averaged(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    fit = tiny_recipe["stages"]["fit"]
    fit["members"] = {"small": {}, "large": {"view": {"size": 40}}}
    fit["seeds"] = [0, 1]
    fit["phases"][0]["epochs"] = 1
    done = run(tiny_recipe, tmp_path / "run", shapes)
    columns = ["blue", "green", "red"]

    def member(name: str) -> np.ndarray:
        logits = []
        for seed in (0, 1):
            folders = [tmp_path / "run" / "stages" / "fit" / name / f"fold{fold}-seed{seed}" for fold in range(3)]
            parts = pd.concat([pd.read_parquet(folder / "oof.parquet") for folder in folders]).set_index("id")
            logits.append(parts.loc[done.oof["id"], columns].to_numpy(np.float64))
        raised = np.exp(np.mean(logits, axis=0))
        return raised / raised.sum(axis=1, keepdims=True)

    expected = (member("small") + member("large")) / 2
    np.testing.assert_allclose(done.oof[[f"prob_{name}" for name in columns]], expected, atol=1e-5)
    assert set(done.summary["stages"]["fit"]["members"]) == {"small", "large"}


def test_an_earlier_runs_folds_are_brought_along_and_bad_photos_dropped(
    tiny_recipe: dict[str, Any], table: pd.DataFrame, with_table: Any, tmp_path: Path
) -> None:
    root = with_table(table)
    generator = np.random.default_rng(0)
    folds = pd.DataFrame({"id": table["photo"], "fold": generator.permutation(np.arange(72) % 3)})
    folds.sample(frac=1, random_state=0).to_csv(root / "my_folds.csv", index=False)
    (root / "images" / "p005.png").write_bytes(b"")
    tiny_recipe["folds"] = {"file": "my_folds.csv"}
    tiny_recipe["data"]["on_bad_media"] = "drop"
    done = run(tiny_recipe, tmp_path / "run", root)
    assert len(done.oof) == 71
    assert done.oof["fold"].tolist() == folds.set_index("id").loc[done.oof["id"], "fold"].tolist()


def test_the_watched_score_may_be_another_metric_or_the_loss(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    fit = tiny_recipe["stages"]["fit"]
    tiny_recipe["folds"]["only"] = [0]
    for watched, best in (("valid_loss", "idxmin"), ("log_loss", "idxmin"), ("accuracy", "idxmax")):
        fit["keep"] = {"best": watched}
        done = run(tiny_recipe, tmp_path / watched, shapes)
        history = pd.read_csv(tmp_path / watched / "stages" / "fit" / "a" / "fold0-seed0" / "history.csv")
        (job,) = done.summary["stages"]["fit"]["members"]["a"]["jobs"]
        assert job["best_epoch"] == history["epoch"][getattr(history[watched], best)()]


def test_the_label_of_a_row_of_weight_zero_does_not_matter(
    tiny_recipe: dict[str, Any], table: pd.DataFrame, with_table: Any, tmp_path: Path
) -> None:
    table["trust"] = (np.arange(72) % 4 > 0).astype(float)
    table["fold"] = np.arange(72) // 6 % 3
    tiny_recipe["data"]["weight"] = "trust"
    tiny_recipe["folds"] = {"column": "fold", "only": [0]}
    tiny_recipe["stages"]["fit"]["keep"] = {"best": "last"}
    root = with_table(table)
    first = run(tiny_recipe, tmp_path / "first", root)
    table.loc[table["trust"] == 0, "colour"] = "blue"
    table.to_csv(root / "train.csv", index=False)
    second = run(tiny_recipe, tmp_path / "second", root)
    assert (first.oof["colour"] != second.oof["colour"]).any()
    names = ["prob_blue", "prob_green", "prob_red"]
    pd.testing.assert_frame_equal(first.oof[names], second.oof[names], check_exact=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"augment": ["hflop"]}, "hflip"),
        ({"loss": {"name": "mse"}}, "does not fit a multiclass task"),
        ({"backbone": "test_efficientnett"}, "test_efficientnet"),
        ({"keep": {"best": "macro_f2"}}, "macro_f1"),
        ({"keep": {"best": ["valid_loss", "acuracy"]}}, "accuracy"),
        ({"weights": "file:nowhere.safetensors"}, "nowhere.safetensors"),
        ({"phases": [{"name": "all", "epochs": 1, "train": {"blocks": ["block.0"]}}]}, "blocks.0"),
    ],
)
def test_what_cannot_work_is_refused_before_photos_are_read(
    change: dict[str, Any], says: str, tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    tiny_recipe["stages"]["fit"] |= change
    told: list[str] = []
    recipe = Recipe.model_validate(tiny_recipe)
    with pytest.raises(OutfoldError, match="stage 'fit', member 'a'") as raised:
        outfold.run(recipe, tmp_path / "run", data=shapes, device="cpu", emit=lambda event: told.append(event["event"]))
    assert says in str(raised.value)
    assert "photos" not in told


@pytest.mark.parametrize(
    ("part", "change", "says"),
    [
        ("task", {"scores": {"late": {"where": {"colour": "violet"}}}}, "no row meets `where`"),
        ("folds", {"variants": {"new": {"column": "nowhere"}}}, "no column 'nowhere'"),
        ("folds", {"variants": {"new": {"stratify": [], "time": "amount"}}}, "predicts other rows"),
        ("stages", {"mix": {"kind": "blend", "from": ["fit", "fit/a"]}}, "blends 'fit/a' twice"),
    ],
)
def test_scores_folds_and_blends_are_refused_before_photos_are_read(
    part: str, change: dict[str, Any], says: str, tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    tiny_recipe[part] |= change
    if part == "folds":
        tiny_recipe["stages"]["fit"]["members"]["a"] = {"folds": "new"}
    recipe, told = Recipe.model_validate(tiny_recipe), []
    with pytest.raises(OutfoldError, match=says):
        outfold.run(recipe, tmp_path / "run", data=shapes, device="cpu", emit=lambda event: told.append(event["event"]))
    assert "photos" not in told


def test_a_mistake_leaves_an_earlier_outcome(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    tiny_recipe["folds"]["only"] = [0]
    before = run(tiny_recipe, tmp_path / "run", shapes)
    tiny_recipe["task"]["target"] = "color"
    with pytest.raises(OutfoldError, match="colour"):
        run(tiny_recipe, tmp_path / "run", shapes)
    assert outfold.load_run(tmp_path / "run").summary == before.summary


def test_a_deleted_submission_is_written_again(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    tiny_recipe["folds"]["only"] = [0]
    run(tiny_recipe, tmp_path / "run", shapes)
    text = (tmp_path / "run" / "submission.csv").read_text()
    (tmp_path / "run" / "submission.csv").unlink()
    run(tiny_recipe, tmp_path / "run", shapes)
    assert (tmp_path / "run" / "submission.csv").read_text() == text


def test_a_part_file_of_a_killed_process_is_cleared(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    tiny_recipe["folds"]["only"] = [0]
    folder = tmp_path / "run" / "stages" / "fit" / "a" / "fold0-seed0" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / ".resume.1.part.pt").write_bytes(b"half")
    (tmp_path / "run" / "log.jsonl").write_text("")
    run(tiny_recipe, tmp_path / "run", shapes)
    assert not folder.exists()


def test_an_early_phase_that_ends_early_does_not_end_the_training(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    fit = tiny_recipe["stages"]["fit"]
    tiny_recipe["folds"]["only"] = [0]
    fit["keep"] = {"best": "log_loss", "patience": 1}
    fit["phases"] = [
        {"name": "hopeless", "epochs": 5, "lr": 10.0, "schedule": "constant"},
        {"name": "sound", "epochs": 2, "lr": 1e-3},
    ]
    run(tiny_recipe, tmp_path / "run", shapes)
    history = pd.read_csv(tmp_path / "run" / "stages" / "fit" / "a" / "fold0-seed0" / "history.csv")
    assert (history["phase"] == "hopeless").sum() < 5
    assert (history["phase"] == "sound").any()
