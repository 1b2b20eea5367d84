"""The recipes of docs/pasture.md are recipes."""

import re
from pathlib import Path

import yaml

from outfold.settings.recipe import Recipe

PAGE = Path(__file__).parents[2] / "docs" / "pasture.md"
REST = {
    "name": "pasture",
    "data": {"train": "train.csv", "test": "test.csv", "id": "photo", "image": {"path": "{photo}"}},
    "task": {"kind": "regression", "target": "grams", "metric": "r2"},
}


def test_the_recipes_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(stages:\n.*?)```", PAGE.read_text(), flags=re.S)
    assert len(blocks) == 4
    finals = [Recipe.model_validate({**REST, **yaml.safe_load(block)}).final_stage() for block in blocks]
    assert finals == ["fit", "served", "fit", "both"]
