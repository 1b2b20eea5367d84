"""The recipe of docs/audio.md is one, and what its tables name are settings."""

import re
from pathlib import Path

import pytest
import yaml

from outfold.settings.mel_presets import PRESETS
from outfold.settings.recipe import Recipe
from outfold.views.audio.chain import parse_sound_chain

PAGE = (Path(__file__).parents[2] / "docs" / "audio.md").read_text()
RECIPE, DATA = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S))


def test_the_recipe_is_valid() -> None:
    assert Recipe.model_validate(RECIPE).final_stage() == "post"
    Recipe.model_validate(RECIPE | DATA | {"task": RECIPE["task"] | {"secondary": None}, "folds": {"k": 5}})


@pytest.mark.parametrize(
    "changes",
    [
        {"augment": ["gain"]},
        {"augment": ["gaussian_noise", "pink_noise"]},
        {"augment": [{"background": {"path": "noise/*.ogg"}}]},
        {"augment": ["spec_augment"]},
        {"add_clips": {"gain": [0.2, 1.0], "p": 0.5}},
        {"add_clips": None, "mix": {"one_of": ["mixup"], "waveforms": True}},
        {"head": {"name": "sed"}, "loss": {"name": "bce", "frame_share": 0.5}},
        {"view": {"kind": "audio", "mel": {"preset": "birdclef_224", "hop": 500}}},
        {"view": {"kind": "audio", "mel": "yamnet", "patches": {"frames": 96, "hop": 48}, "transpose": True}},
        {"view": {"kind": "audio", "span_s": float("inf"), "channels": "deltas"}},
    ],
)
def test_settings_that_the_page_names(changes: dict[str, object]) -> None:
    fit = RECIPE["stages"]["fit"] | changes
    recipe = Recipe.model_validate(RECIPE | {"stages": RECIPE["stages"] | {"fit": fit}})
    chain = parse_sound_chain(recipe.members_of("fit")["a"].augment, pictures=True)
    assert len(chain.waveforms) + len(chain.pictures) == len(fit.get("augment", ()))


def test_presets_and_pages_are_there() -> None:
    for name in PRESETS:
        assert f"`{name}`" in PAGE
    for page in re.findall(r"\]\(([a-z-]+\.md)\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / page).exists()
