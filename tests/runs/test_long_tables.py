"""A run on long tables: what is trained, and the exact long answer for the test table and for later rows."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from pydantic import ValidationError
from sklearn.metrics import r2_score

import outfold
from outfold.cli.outcome import print_outcome
from outfold.errors import DataError, RecipeError
from outfold.settings.recipe import Recipe

TARGETS = ["amount", "number"]
LONG = {"row": "sample_id", "name": "target_name", "value": "target", "separator": "__"}


def long_form(wide: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row a photo and target, the targets of a photo together."""
    shared = ["photo", *columns]
    long = wide.melt(id_vars=shared, value_vars=TARGETS, var_name="target_name", value_name="target")
    long = long.sort_values(["photo", "target_name"], ignore_index=True)
    long.insert(0, "sample_id", long["photo"] + "__" + long["target_name"])
    return long.assign(image_path=long["photo"] + ".png").drop(columns="photo")


@pytest.fixture(scope="module")
def root(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos with long tables; those to answer are in an order of their own, with some rows missing."""
    root = tmp_path_factory.mktemp("long") / "data"
    shutil.copytree(shapes, root)
    train = pd.read_csv(root / "train.csv")
    train["number"] = train["is_red"].astype(float) * 3 + train["amount"] / 10
    long_form(train, ["site"]).to_csv(root / "train.csv", index=False)
    test = pd.read_csv(root / "test.csv").assign(amount=0.0, number=0.0)
    asked = long_form(test, []).drop(columns="target").sample(frac=1, random_state=3).iloc[:30]
    asked.to_csv(root / "test.csv", index=False)
    return root


def recipe_of(**answer: Any) -> dict[str, Any]:
    return {
        "name": "tiny",
        "data": {
            "train": "train.csv",
            "test": "test.csv",
            "id": "photo",
            "long": LONG,
            "image": {"path": "images/{image_path}"},
        },
        "task": {"kind": "regression", "target": TARGETS, "metric": "rmse"},
        "folds": {"k": 2, "group": "site"},
        "stages": {
            "fit": {
                "kind": "train",
                "backbone": "test_efficientnet",
                "weights": "none",
                "view": {"size": 32, "resize": "squash"},
                "batch_size": 24,
                "phases": [{"name": "all", "epochs": 1, "lr": 1e-2}],
                "members": {"a": {}},
            },
            "answer": {"kind": "submit", "from": "fit", **answer},
        },
    }


def run(recipe: dict[str, Any], folder: Path, root: Path, **options: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **options)


@pytest.fixture(scope="module")
def done(root: Path, tmp_path_factory: pytest.TempPathFactory) -> outfold.Run:
    return run(recipe_of(), tmp_path_factory.mktemp("run") / "run", root)


def test_samples_are_trained_on_not_rows(done: outfold.Run) -> None:
    assert len(done.oof) == done.summary["data"]["rows"] == 72
    assert done.oof.columns.tolist() == ["id", "fold", *TARGETS, *(f"pred_{name}" for name in TARGETS)]


def test_the_submission_is_as_long_as_the_test_table(done: outfold.Run, root: Path) -> None:
    asked, answer = pd.read_csv(root / "test.csv"), pd.read_csv(done.path / "submission.csv")
    assert answer.columns.tolist() == ["sample_id", "target"]
    assert answer["sample_id"].tolist() == asked["sample_id"].tolist()
    wide = done.predictions
    assert wide is not None
    assert len(wide) == asked["image_path"].nunique()
    places = pd.Index(wide["id"]).get_indexer(asked["image_path"].str.removesuffix(".png"))
    columns = wide.columns.get_indexer("pred_" + asked["target_name"])
    assert_array_equal(answer["target"].astype(np.float32), wide.to_numpy()[places, columns].astype(np.float32))


def test_later_rows_are_answered_as_they_come(done: outfold.Run, root: Path, tmp_path: Path) -> None:
    asked, answer = pd.read_csv(root / "test.csv"), pd.read_csv(done.path / "submission.csv")
    later = done.predict(root / "test.csv", root=root, device="cpu")
    assert later.columns.tolist() == ["sample_id", "target"]
    assert later["sample_id"].tolist() == asked["sample_id"].tolist()
    np.testing.assert_allclose(later["target"], answer["target"], rtol=1e-5)
    later.to_csv(tmp_path / "later.csv", index=False)
    back = pd.read_csv(tmp_path / "later.csv")["target"].to_numpy(np.float32)
    assert_array_equal(back, later["target"].to_numpy(np.float32))
    photos = asked[["image_path"]].drop_duplicates()
    wide = done.predict(photos.assign(photo=photos["image_path"].str.removesuffix(".png")), root=root, device="cpu")
    assert wide.columns.tolist() == ["photo", *TARGETS]
    assert len(wide) == len(photos)
    with pytest.raises(DataError, match=r"test\.csv:4"):
        asked.assign(target_name=[*asked["target_name"][:2], "mass", *asked["target_name"][3:]]).to_csv(
            tmp_path / "test.csv", index=False
        )
        done.predict(tmp_path / "test.csv", root=root, device="cpu")


def test_another_order_of_the_test_table_writes_the_answer_anew(done: outfold.Run, root: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(root, data)
    shutil.copytree(done.path, out)
    asked = pd.read_csv(data / "test.csv")
    # The samples keep their order and only rows within them change places.
    photo = pd.Categorical(asked["image_path"], asked["image_path"].unique(), ordered=True)
    order = asked.assign(photo=photo).sort_values(["photo", "target_name"], kind="stable").index
    asked.loc[order].to_csv(data / "test.csv", index=False)
    events: list[dict[str, Any]] = []
    run(recipe_of(), out, data, emit=events.append)
    assert [event["job"] for event in events if event["event"] == "job"] == ["answer file"]
    first = pd.read_csv(done.path / "submission.csv")
    pd.testing.assert_frame_equal(pd.read_csv(out / "submission.csv"), first.loc[order].reset_index(drop=True))
    run(recipe_of(columns={"target": "grams"}), out, data)
    assert pd.read_csv(out / "submission.csv").columns.tolist() == ["sample_id", "grams"]


def test_scores_by_target_stand_beside_the_metric(done: outfold.Run, capsys: pytest.CaptureFixture[str]) -> None:
    targets = done.summary["stages"]["fit"]["targets"]
    assert list(targets) == TARGETS
    for name in TARGETS:
        truth, guess = (done.oof[column].to_numpy(np.float64) for column in (name, f"pred_{name}"))
        assert targets[name]["r2"]["value"] == pytest.approx(r2_score(truth, guess), abs=1e-5)
        assert targets[name]["rmse"]["value"] == pytest.approx(np.sqrt(((truth - guess) ** 2).mean()), rel=1e-5)
        assert targets[name]["r2"]["low"] < targets[name]["r2"]["value"] < targets[name]["r2"]["high"]
    assert (done.path / "report.html").read_text().count("95% interval") >= 3
    print_outcome(done.path, done.summary)
    printed = capsys.readouterr().out
    assert "by target" in printed
    assert f"{targets['amount']['r2']['value']:.4f}" in printed


def test_a_column_that_the_answer_does_not_have_is_refused_before_training(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="renames column 'amount', which its file does not have"):
        run(recipe_of(columns={"amount": "grams"}), tmp_path / "run", root)
    assert not (tmp_path / "run" / "stages").exists()


def test_one_label_of_several_is_not_a_value_for_each_target(tiny_recipe: dict[str, Any]) -> None:
    tiny_recipe["data"]["long"] = LONG
    with pytest.raises(ValidationError, match="a multiclass task has one label a sample"):
        Recipe.model_validate(tiny_recipe)
