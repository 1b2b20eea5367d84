"""`outfold review crops` on a table and on a recipe."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from outfold.cli.review import review_app
from outfold.errors import DataError, RecipeError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three photos in a table, one in a test table, and a recipe for both."""
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"p{number}.png")
    pd.DataFrame({"name": ["p0", "p1", "p2"], "kind": ["a", "b", "a"]}).to_csv(tmp_path / "train.csv", index=False)
    pd.DataFrame({"name": ["p3"]}).to_csv(tmp_path / "test.csv", index=False)
    recipe = {
        "name": "plots",
        "data": {"train": "train.csv", "test": "test.csv", "id": "name", "image": {"path": "{name}.png"}},
        "task": {"kind": "binary", "target": "kind", "metric": "roc_auc"},
        "stages": {"fit": {"kind": "train", "backbone": "test_efficientnet", "weights": "none",
                           "phases": [{"name": "all", "epochs": 1}], "members": {"a": {}}}},
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(review_app, ["crops", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_table(root: Path) -> None:
    (root / "known.csv").write_text("id,left,top,right,bottom\np1,1,2,30,30\n")
    options = ("--id", "name", "--image", "{name}.png", "--crops", root / "known.csv", "--out", root / "page.html")
    output = invoke(root / "train.csv", *options)
    assert "3 photos: 0 with a plain border" in output
    assert "1 with a box already" in output
    assert "page.html" in output
    assert (root / "page.html").read_text(encoding="utf-8").count("data:image/jpeg") == 3


def test_a_recipe_with_all_its_tables(root: Path) -> None:
    out = root / "page.html"
    assert "4 photos" in invoke(root / "recipe.yaml", "--data", root, "--out", out)
    crops = ("--set", "data.crops=crops.csv")
    assert "0 with a box already" in invoke(root / "recipe.yaml", "--data", root, "--out", out, *crops)
    (root / "crops.csv").write_text("id,left,top,right,bottom\np3,1,2,30,30\n")
    output = invoke(root / "recipe.yaml", "--data", root, "--out", out, *crops, "--most", 3)
    assert "3 photos" in output
    assert "1 more photo not on the page" in output


def test_long_tables(root: Path) -> None:
    """A photo of several rows is shown once."""
    for table, rows in (("train", ("p0", "p1")), ("test", ("p3",))):
        long = pd.DataFrame([{"row": f"{name}:{mass}", "mass": mass, "g": 1} for name in rows for mass in "ab"])
        (long.drop(columns="g") if table == "test" else long).to_csv(root / f"{table}.csv", index=False)
    recipe = yaml.safe_load((root / "recipe.yaml").read_text())
    recipe["data"]["long"] = {"row": "row", "name": "mass", "value": "g", "separator": ":"}
    recipe["task"] = {"kind": "regression", "target": ["a", "b"], "metric": "rmse"}
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert "3 photos: 0 with" in invoke(root / "recipe.yaml", "--data", root, "--out", root / "page.html")


def test_options_that_do_not_go_together(root: Path) -> None:
    with pytest.raises(DataError, match="needs --id and --image"):
        invoke(root / "train.csv")
    with pytest.raises(RecipeError, match="a recipe says where"):
        invoke(root / "recipe.yaml", "--id", "name")
    with pytest.raises(RecipeError, match="are for recipes"):
        invoke(root / "train.csv", "--id", "name", "--image", "{name}.png", "--set", "a=b")
    with pytest.raises(DataError, match="cannot be read"):
        invoke(root / "train.csv", "--id", "name", "--image", "{name}.png", "--crops", root / "none.csv")
