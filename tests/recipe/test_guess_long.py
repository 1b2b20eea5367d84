"""Long tables are recognised: what `outfold init` writes for them loads and reads the table."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from outfold.data.table import load_samples
from outfold.recipe.guess import draft_from_table
from outfold.recipe.guess.long import guess_long
from outfold.recipe.load import load_recipe

TARGETS = ("leaf_g", "stem_g", "total_g")


def plots(folder: Path, n: int = 36) -> pd.DataFrame:
    """A long table of n photos with three masses each, and the photos."""
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(
        {
            "photo": [f"p{number}.png" for number in range(n)],
            "date": [f"2020-05-{number // 3 + 10}" for number in range(n)],
        }
    )
    wide["height"] = rng.random(n).round(3)
    wide["leaf_g"], wide["stem_g"] = rng.gamma(2, 5, (2, n)).round(2)
    wide["total_g"] = wide["leaf_g"] + wide["stem_g"]
    for name in wide["photo"]:
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    long = wide.melt(id_vars=["photo", "date", "height"], var_name="what", value_name="grams")
    long.insert(0, "row", "plot" + long["photo"].str.extract(r"(\d+)")[0] + "--" + long["what"])
    return long.sample(frac=1, random_state=0, ignore_index=True)


def test_a_long_table_becomes_a_recipe(tmp_path: Path) -> None:
    table = plots(tmp_path)
    table.to_csv(tmp_path / "train.csv", index=False)
    table[["row", "photo", "what"]].to_csv(tmp_path / "test.csv", index=False)
    draft = draft_from_table(tmp_path / "train.csv", tmp_path / "recipe.yaml")
    assert draft.text is not None
    (tmp_path / "recipe.yaml").write_text(draft.text)
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert recipe.data.long is not None
    assert recipe.data.long.model_dump() == {"row": "row", "name": "what", "value": "grams", "separator": "--"}
    assert (recipe.data.id, recipe.task.kind, set(recipe.task.target)) == ("id", "regression", set(TARGETS))
    assert recipe.data.test is not None
    assert recipe.folds.group == ("date",)
    assert any("`total_g` is the sum of the other targets" in text for text in draft.roles.warnings)
    samples = load_samples(recipe.data, tmp_path, targets=recipe.task.target)
    assert len(samples) == 36
    assert draft.roles.rows == 36
    test = load_samples(recipe.data, tmp_path, "test", targets=recipe.task.target)
    assert test.long is not None
    assert len(test.long) == 108


def test_a_column_that_names_the_samples_is_used(tmp_path: Path) -> None:
    table = plots(tmp_path)
    table["plot"] = table["row"].str.split("--").str[0]
    found = guess_long(table)
    assert found is not None
    assert found.id_column == "plot"
    assert found.wide["plot"].is_unique


@pytest.mark.parametrize("spoiled", ["row", "photo", "grams", "one"])
def test_tables_that_are_not_long(tmp_path: Path, spoiled: str) -> None:
    table = plots(tmp_path)
    if spoiled == "row":
        table.loc[3, "row"] = "plot3"
    elif spoiled == "photo":
        table.loc[3, "photo"] = "p99.png"
    elif spoiled == "grams":
        table = table.drop(columns="grams")
    else:
        table = table.drop(index=3).reset_index(drop=True)
    assert guess_long(table) is None


def test_the_real_table(shared_data: Callable[[str], Path]) -> None:
    found = guess_long(pd.read_csv(shared_data("csiro") / "train.csv"))
    assert found is not None
    assert found.long.columns == ("sample_id", "target_name", "target")
    assert found.long.separator == "__"
    assert len(found.wide) == 357
