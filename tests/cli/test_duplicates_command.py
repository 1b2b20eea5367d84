"""`outfold duplicates` on a table and on a recipe."""

import cv2
import numpy as np
import pandas as pd
import pytest
import typer
import yaml
from typer.testing import CliRunner

from outfold.cli.duplicates import duplicates
from outfold.duplicates.copies import turned
from outfold.errors import DataError, RecipeError

app = typer.Typer()
app.command()(duplicates)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """24 photos of blobs, a turned copy of the first with another label, an exact copy of the second in the test."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for row in range(24):
        photo = cv2.resize(rng.integers(0, 255, (5, 6, 3), dtype=np.uint8), (72, 64), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / "images" / f"p{row:02d}.png"), photo)
    first = cv2.imread(str(folder / "images" / "p00.png"))
    cv2.imwrite(str(folder / "images" / "copy.png"), turned(first, rng))
    (folder / "images" / "other.png").write_bytes((folder / "images" / "p01.png").read_bytes())
    names = [*[f"p{row:02d}" for row in range(24)], "copy"]
    table = pd.DataFrame({"name": names, "kind": ["a", "b"] * 12 + ["b"]})
    table.to_csv(folder / "train.csv", index=False)
    pd.DataFrame({"name": ["other"]}).to_csv(folder / "test.csv", index=False)
    recipe = {
        "name": "blobs",
        "data": {"train": "train.csv", "test": "test.csv", "id": "name", "image": {"path": "images/{name}.png"}},
        "task": {"kind": "binary", "target": "kind", "metric": "roc_auc"},
        "stages": {"fit": {"kind": "train", "backbone": "test_efficientnet", "weights": "none",
                           "phases": [{"name": "all", "epochs": 1}], "members": {"a": {}}}},
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


COLUMNS = ("--id", "name", "--image", "images/{name}.png", "--label", "kind")


@pytest.mark.slow
def test_a_table(root, tmp_path):
    out = tmp_path / "out"
    arguments = (root / "train.csv", *COLUMNS, "--test", root / "test.csv", "--action", "drop", "--out", out)
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert "exact copies: 0 within train, 1 between train and test" in result.output
    assert "conflicting labels: 1 pair" in result.output
    assert "similarity of" in result.output
    pairs = pd.read_csv(out / "pairs.csv")
    assert set(zip(pairs["first"], pairs["second"], strict=True)) == {("p00", "copy"), ("p01", "other")}
    groups = pd.read_csv(out / "groups.csv").set_index("id")["group"]
    assert groups["p00"] == groups["copy"]
    assert groups.nunique() == 24
    dropped = pd.read_csv(out / "dropped.csv")
    assert dropped[["id", "kept", "conflict"]].to_numpy().tolist() == [["copy", "p00", True]]

    decisions = tmp_path / "decisions.csv"
    decisions.write_text("first,second,decision,similarity\ncopy,p00,different,0.99\n")
    result = invoke(*arguments, "--decisions", decisions)
    assert "decided different: 1 pair" in result.output
    assert pd.read_csv(out / "groups.csv")["group"].nunique() == 25


def test_a_recipe_gives_tables_and_labels_and_a_page(root, tmp_path):
    out = tmp_path / "out"
    result = invoke(root / "recipe.yaml", "--data", root, "--action", "review", "--out", out)
    assert result.exit_code == 0, result.output
    assert "conflicting labels: 1 pair" in result.output
    assert "p00" in (out / "review.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("train.csv",), DataError, "needs --id and --image"),
        (("train.csv", *COLUMNS, "--set", "a=1"), RecipeError, "for recipes"),
        (("train.csv", *COLUMNS, "--threshold", "high"), RecipeError, "--threshold"),
        (("train.csv", *COLUMNS, "--weights", "none"), Exception, "random weights"),
        (("train.csv", *COLUMNS[:4], "--label", "kid"), DataError, "did you mean 'kind'"),
        (("recipe.yaml", "--id", "name"), RecipeError, "leave out --id"),
    ],
)
def test_mistakes(root, arguments, error, words, monkeypatch):
    monkeypatch.chdir(root)
    with pytest.raises(error, match=words):
        invoke(*arguments)
