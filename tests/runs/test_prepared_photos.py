"""Runs on photos that are brought once to stored sizes."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import typer
from typer.testing import CliRunner

import outfold
from outfold.cli.prepare import prepare as prepare_command
from outfold.data.cache import default_cache_folder
from outfold.data.jpeg import stored_pixels
from outfold.data.media import decode_image
from outfold.data.table import load_samples
from outfold.errors import DataError, RecipeError
from outfold.models.network import InputStats
from outfold.recipe.yaml_text import dump_yaml
from outfold.runs.check import check_recipe
from outfold.runs.estimate import estimate
from outfold.runs.prepare import load_dataset, load_rows
from outfold.runs.prepared import prepare_recipe, sizes_needed
from outfold.runs.table_inputs import check_table_inputs
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute
from outfold.stages.inputs import image_input, photo_key, pixels_name
from outfold.views.image import evaluate

COMPUTE = Compute(torch.device("cpu"), 2)
STATS = InputStats((0.5,) * 3, (0.25,) * 3)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTFOLD_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """Photos of 48 x 40 pixels, stored as squares of 24 and 36."""
    tiny_recipe["data"]["prepare"] = {"sizes": [36, 24]}
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    return tiny_recipe


def stored_files() -> list[str]:
    folder = default_cache_folder() / "prepared"
    return sorted(str(path.relative_to(folder).parts[0]) for path in folder.rglob("*.jpg"))


def settings_of(recipe: Recipe) -> dict[str, Any]:
    return {member: settings for _, member, settings in recipe.members()}


def test_members_of_several_sizes_read_the_next_stored_one(recipe: dict[str, Any], shapes: Path) -> None:
    sizes = {"a": 16, "b": 24, "c": 30, "d": 64}
    recipe["stages"]["fit"]["members"] = {name: {"view": {"size": size}} for name, size in sizes.items()}
    loaded = Recipe.model_validate(recipe)
    assert sizes_needed(loaded) == {24: ["fit/a", "fit/b"], 36: ["fit/c", "fit/d"]}
    rows, _ = load_rows(loaded, load_samples(loaded.data, shapes), "train", COMPUTE, shapes)
    assert stored_files() == ["square-24-q95-v1"] * 72 + ["square-36-q95-v1"] * 72
    sides = {name: rows.photos[photo_key(settings)][0].shape for name, settings in settings_of(loaded).items()}
    assert sides == {"a": (24, 24, 3), "b": (24, 24, 3), "c": (36, 36, 3), "d": (36, 36, 3)}
    assert len(rows.content) == 72


def test_only_sizes_that_some_member_needs_are_stored(recipe: dict[str, Any], shapes: Path) -> None:
    recipe["stages"]["fit"]["view"]["size"] = 20
    loaded = Recipe.model_validate(recipe)
    load_rows(loaded, load_samples(loaded.data, shapes), "train", COMPUTE, shapes)
    assert set(stored_files()) == {"square-24-q95-v1"}


@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
@pytest.mark.parametrize("crop", ["square", "none"])
@pytest.mark.parametrize("size", [24, [20, 30]])
def test_views_of_stored_photos(
    recipe: dict[str, Any], shapes: Path, resize: str, crop: str, size: int | list[int]
) -> None:
    """Validation sees what the view makes of the stored photo; training the same where nothing is random."""
    recipe["data"]["prepare"] = {"crop": crop, "sizes": [32], "quality": 100}
    recipe["stages"]["fit"] |= {"view": {"size": size, "resize": resize}, "augment": []}
    loaded = Recipe.model_validate(recipe)
    samples = load_samples(loaded.data, shapes)
    rows, _ = load_rows(loaded, samples, "train", COMPUTE, shapes)
    settings = settings_of(loaded)["a"]
    assert samples.media is not None
    photos = image_input(settings, STATS, rows)
    read, train = photos.reader(augment=False), photos.reader(augment=True)
    for row in range(5):
        original = stored_pixels(decode_image(samples.media[row]), crop, 32)  # type: ignore[arg-type]
        expected = evaluate(original, settings.view, settings.view.height_width)
        seen = read(row, np.random.default_rng(0))
        assert seen.shape == expected.shape
        assert np.abs(seen.astype(int) - expected).mean() < 9
        augmented = train(row, np.random.default_rng(0))
        assert np.abs(augmented.astype(int) - seen).mean() < 9


def test_a_square_of_a_wide_photo_is_not_squashed(recipe: dict[str, Any], tmp_path: Path) -> None:
    """A disc stays a disc; without the square, `squash` makes an ellipse of it."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    disc = np.zeros((300, 400, 3), np.uint8)
    cv2.circle(disc, (200, 150), 100, (255, 255, 255), -1)
    cv2.imwrite(str(root / "images" / "p.png"), disc)
    pd.DataFrame({"photo": ["p"], "colour": ["red"]}).to_csv(root / "train.csv", index=False)
    spans = {}
    for crop in ("square", "none"):
        recipe["data"] |= {"test": None, "prepare": {"crop": crop, "sizes": [64]}}
        loaded = Recipe.model_validate(recipe)
        rows, _ = load_rows(loaded, load_samples(loaded.data, root), "train", COMPUTE, root)
        photo = image_input(settings_of(loaded)["a"], STATS, rows).reader(augment=False)(0, np.random.default_rng(0))
        spans[crop] = tuple((photo[..., 0] > 127).any(axis=axis).sum() for axis in (0, 1))
    assert abs(spans["square"][0] - spans["square"][1]) <= 1
    assert spans["none"][0] < 0.85 * spans["none"][1]


def test_a_run_on_stored_photos(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    """Later rows are read as the test table was; another stored size trains anew, one that nobody reads does not."""

    recipe["folds"]["only"] = [0]

    def run(**changes: Any) -> tuple[outfold.Run, int]:
        loaded = Recipe.model_validate({**recipe, "data": {**recipe["data"], "prepare": {"sizes": [36], **changes}}})
        events: list[dict[str, Any]] = []
        done = outfold.run(loaded, tmp_path / "run", data=shapes, device="cpu", emit=events.append)
        return done, sum(event["event"] == "epoch" for event in events)

    done, epochs = run()
    assert epochs == 1
    assert set(stored_files()) == {"square-36-q95-v1"}
    assert done.predictions is not None
    again = done.predict(shapes / "test.csv", root=shapes)
    assert np.array_equal(again["prob_red"], done.predictions["prob_red"])
    assert run(sizes=[36, 64])[1] == 0
    assert run(sizes=[64])[1] == 1


def test_the_name_of_the_pixels(recipe: dict[str, Any]) -> None:
    loaded = Recipe.model_validate(recipe)
    settings, prepare = settings_of(loaded)["a"], loaded.data.prepare
    assert prepare is not None
    assert pixels_name(settings, None) == photo_key(settings)
    assert pixels_name(settings, prepare).endswith("of square-36-q95-v1")
    assert pixels_name(settings, prepare.model_copy(update={"quality": 80})).endswith("of square-36-q80-v1")


def test_a_check_says_what_is_read_and_what_it_takes(recipe: dict[str, Any], shapes: Path) -> None:
    recipe["stages"]["fit"]["members"] = {"small": {"view": {"size": 24}}, "large": {"view": {"size": 64}}}
    recipe["data"]["prepare"] = {"sizes": [24, 44]}
    loaded = Recipe.model_validate(recipe)
    checked = check_recipe(loaded, shapes, workers=2)
    said = [finding.what for finding in checked.findings if finding.level == "note"]
    assert "photos are stored once at 24 px for fit/small; 44 px for fit/large" in said
    assert any("1 member at sizes above the 44 px that are stored, for which photos" in what for what in said)
    assert not any("smaller than" in what for what in said)
    recipe["data"]["prepare"] = {"sizes": [44]}
    said = [finding.what for finding in check_recipe(Recipe.model_validate(recipe), shapes, workers=2).findings]
    assert any(what.startswith("72 photos smaller than 44 px") for what in said)


def test_the_estimate_counts_stored_photos(recipe: dict[str, Any], shapes: Path) -> None:
    def cache(sizes: list[int], crop: str) -> int:
        recipe["data"]["prepare"] = {"sizes": sizes, "crop": crop}
        loaded = Recipe.model_validate(recipe)
        folds = load_dataset(loaded, shapes, COMPUTE).folds
        return estimate(loaded, folds, 18, device=torch.device("cpu"), aspect=1.5).cache

    one, wide = cache([512], "square"), cache([512], "none")
    assert one == pytest.approx(90 * 512 * 512 * 0.4, rel=1e-6)
    assert wide == pytest.approx(1.5 * one, rel=1e-6)
    assert cache([512, 1024], "square") == one


def test_photos_are_prepared_from_the_command_line(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(prepare_command)
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_yaml(recipe))
    done = CliRunner().invoke(app, [str(path), "--data", str(shapes)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "36 px: 90 photos, 0." in done.output
    assert "square-36-q95-v1" in done.output
    assert len(stored_files()) == 90
    with pytest.raises(RecipeError, match=r"data\.prepare is not set"):
        CliRunner().invoke(
            app, [str(path), "--data", str(shapes), "--set", "data.prepare=null"], catch_exceptions=False
        )


def test_rows_that_no_stage_labels_are_left_alone(recipe: dict[str, Any], shapes: Path) -> None:
    recipe["data"] |= {"test": None, "unlabelled": "nowhere.csv"}
    recipe["stages"]["fit"]["table"] = {"numeric": ["amount"]}
    loaded = Recipe.model_validate(recipe)
    check_table_inputs(loaded, shapes)
    (stored,) = prepare_recipe(loaded, shapes, COMPUTE)
    assert stored.files == 72
    recipe["stages"]["labels"] = {"kind": "label", "from": "fit"}
    loaded = Recipe.model_validate(recipe)
    with pytest.raises(DataError, match="nowhere"):
        check_table_inputs(loaded, shapes)
    with pytest.raises(DataError, match="nowhere"):
        prepare_recipe(loaded, shapes, COMPUTE)


def test_dropped_photos_are_said(recipe: dict[str, Any], tmp_path: Path, shapes: Path) -> None:
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    for name in ("p000", "p001"):
        (root / "images" / f"{name}.png").write_bytes((shapes / "images" / f"{name}.png").read_bytes())
    pd.DataFrame({"photo": ["p000", "p001", "p002"], "colour": list("abc")}).to_csv(root / "train.csv", index=False)
    recipe["data"] |= {"test": None, "on_bad_media": "drop"}
    events: list[dict[str, Any]] = []
    (stored,) = prepare_recipe(Recipe.model_validate(recipe), root, Compute(torch.device("cpu"), 2, events.append))
    assert stored.files == 2
    (dropped,) = [event for event in events if event["event"] == "dropped"]
    assert (dropped["table"], dropped["rows"], dropped["first"][0][0]) == ("train", 1, "p002")
