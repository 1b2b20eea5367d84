"""Rows that come after a run: in the words of its test table or in the recipe's own, with photos of their own."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.errors import RecipeError
from outfold.settings.recipe import Recipe


@pytest.fixture
def quick_recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    tiny_recipe["folds"]["only"] = [0]
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    return tiny_recipe


def run(recipe: dict[str, Any], folder: Path, root: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **given)


def test_the_test_tables_own_words_and_the_recipes_words_say_the_same(
    quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(shapes, root)
    train = pd.read_csv(root / "train.csv")
    train.assign(sex=np.where(np.arange(72) % 2, "male", "female")).to_csv(root / "train.csv", index=False)
    own = pd.read_csv(root / "test.csv").rename(columns={"photo": "file"})
    own["gender"] = np.where(np.arange(18) % 3, "m", "f")
    own.to_csv(root / "test.csv", index=False)
    words = {"m": "male", "f": "female"}
    renames = {"file": "photo", "gender": "sex"}
    quick_recipe["data"]["test"] = {"table": "test.csv", "rename": renames, "map": {"sex": words}}
    quick_recipe["stages"]["fit"]["table"] = {"categorical": ["sex"], "widths": [4]}
    done = run(quick_recipe, tmp_path / "run", root)
    assert done.predictions is not None
    expected = done.predictions.filter(like="prob_")
    events: list[dict[str, Any]] = []
    told = done.predict(root / "test.csv", device="cpu", emit=events.append)
    assert told["photo"].tolist() == done.predictions["id"].tolist()
    np.testing.assert_allclose(told.filter(like="prob_"), expected, rtol=1e-6)
    recipes = own.rename(columns=renames).replace({"sex": words})
    for table in (own, recipes, recipes.assign(gender="m")):
        later = done.predict(table, root=root, device="cpu", emit=events.append)
        np.testing.assert_allclose(later.filter(like="prob_"), expected, rtol=1e-6)
    assert not [event for event in events if event["event"] == "unfamiliar"]


def test_a_run_whose_tables_all_have_photos_of_their_own_says_how_to_predict_other_rows(
    quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    image = quick_recipe["data"].pop("image")
    quick_recipe["data"]["train"] = [{"table": "train.csv", "image": image}]
    del quick_recipe["data"]["test"], quick_recipe["stages"]["answer"]
    done = run(quick_recipe, tmp_path / "run", shapes)
    with pytest.raises(RecipeError, match="not where those of other rows are") as raised:
        done.predict(shapes / "test.csv", device="cpu")
    assert "what is trained stays" in str(raised.value)
    quick_recipe["data"]["image"] = image
    events: list[dict[str, Any]] = []
    again = run(quick_recipe, tmp_path / "run", shapes, emit=events.append)
    assert not [event for event in events if event["event"] == "job"]
    assert len(again.predict(shapes / "test.csv", device="cpu")) == 18
