"""Backbones that cannot read the log-mel pictures of their view, and options that change nothing, are refused."""

from pathlib import Path
from typing import Any

import pytest

from outfold.errors import RecipeError
from outfold.runs.check import check_recipe
from outfold.runs.validate import validate
from outfold.settings.recipe import Recipe


def look(recipe: dict[str, Any], folder: Path, view: dict[str, Any] | None = None, **settings: Any) -> None:
    fit = recipe["stages"]["fit"]
    fit = fit | settings | {"view": fit["view"] | (view or {})}
    validate(Recipe.model_validate(recipe | {"stages": {"fit": fit}}), folder)


def mel_of(recipe: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"mel": recipe["stages"]["fit"]["view"]["mel"] | settings}


@pytest.mark.parametrize("channels", ["single", "repeat"])
def test_pictures_that_are_no_whole_patches_are_refused(
    calls_recipe: dict[str, Any], tmp_path: Path, channels: str
) -> None:
    size = mel_of(calls_recipe, size=[32, 64])
    with pytest.raises(RecipeError, match="'a': the backbone test_vit cannot read log-mel pictures of 32 x ") as told:
        look(calls_recipe, tmp_path, {"channels": channels}, backbone="test_vit")
    assert told.value.expected == "multiples of its patches of 16 x 16"
    assert "set view.mel.size: [height, width]" in str(told.value.fix)
    look(calls_recipe, tmp_path, size | {"channels": channels}, backbone="test_vit")


def test_other_families_of_fixed_sizes(calls_recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="levit_128s cannot read log-mel pictures"):
        look(calls_recipe, tmp_path, backbone="levit_128s")
    look(calls_recipe, tmp_path, mel_of(calls_recipe, size=[64, 64]), backbone="levit_128s")


def test_pictures_are_tried_as_the_backbone_sees_them(calls_recipe: dict[str, Any], tmp_path: Path) -> None:
    """Turned, and patch by patch: what is named is what decides the size."""
    turned = mel_of(calls_recipe, size=[32, 40]) | {"transpose": True}
    with pytest.raises(RecipeError, match="of 40 x 32 pixels") as told:
        look(calls_recipe, tmp_path, turned, backbone="test_vit")
    assert "view.mel.size: [width, height]" in str(told.value.fix)
    with pytest.raises(RecipeError, match="of 32 x 20 pixels") as told:
        look(calls_recipe, tmp_path, {"patches": {"frames": 20, "hop": 10}}, backbone="test_vit")
    assert "view.patches.frames" in str(told.value.fix)
    look(calls_recipe, tmp_path, {"patches": {"frames": 16, "hop": 10}}, backbone="test_vit")


def test_tokens_are_no_frames(calls_recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="makes no map of features"):
        look(calls_recipe, tmp_path, mel_of(calls_recipe, size=[32, 64]), backbone="test_vit", head={"name": "sed"})


def test_check_says_what_does_not_fit(calls_recipe: dict[str, Any], calls: Path) -> None:
    calls_recipe["stages"]["fit"]["backbone"] = "test_vit"
    check = check_recipe(Recipe.model_validate(calls_recipe), calls)
    assert not check.ok
    assert "cannot read log-mel pictures" in "\n".join(finding.what for finding in check.findings)


def test_options_that_change_nothing(calls_recipe: dict[str, Any], tmp_path: Path) -> None:
    def options(**given: str) -> dict[str, Any]:
        return {"backbone": "mobilenetv1_100", "backbone_options": given}

    look(calls_recipe, tmp_path, **options(pad_type="same", act_layer="relu"))
    with pytest.raises(RecipeError, match="'a': the backbone mobilenetv1_100 is the same with the option 'act_layer'"):
        look(calls_recipe, tmp_path, **options(pad_type="same", act_layer="relu6"))
