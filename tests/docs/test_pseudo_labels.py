"""The recipes of docs/pseudo-labels.md are recipes, and their labels can be made."""

import re
from pathlib import Path

import yaml

from outfold.runs.labels import check_labels
from outfold.settings.recipe import Recipe

PAGE = Path(__file__).parents[2] / "docs" / "pseudo-labels.md"
REST = {
    "name": "birds",
    "data": {
        "train": "train.csv",
        "unlabelled": {"recordings": "soundscapes/*.ogg"},
        "id": "row_id",
        "audio": {"path": "clips/{row_id}.ogg"},
    },
    "task": {"kind": "multilabel", "target": ["owl", "wren"], "metric": "macro_roc_auc"},
}


def test_the_recipes_are_valid() -> None:
    blocks = re.findall(r"```yaml\n(stages:\n.*?)```", PAGE.read_text(), flags=re.S)
    assert len(blocks) == 3
    finals = []
    for block in blocks:
        values = {**REST, **yaml.safe_load(block)}
        if "per_class" in block:
            values["task"] = {"kind": "multiclass", "target": "bird", "metric": "macro_f1"}
        for stage in values["stages"].values():
            if stage["kind"] == "train":
                stage["view"] = {"kind": "audio"}
        recipe = Recipe.model_validate(values)
        check_labels(recipe)
        finals.append(recipe.final_stage())
    assert finals == ["student", "noisy2", "fit"]
