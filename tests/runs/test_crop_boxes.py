"""Crop boxes in a run: what models see, what is done again when a box changes, later rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import outfold

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """48 photos whose left half tells the class and whose right half tells another one; boxes of the left halves."""
    rng, rows = np.random.default_rng(0), []
    for number in range(48):
        kind, other = number % 2, (number // 2) % 2
        pixels = rng.integers(0, 60, (32, 64, 3), np.uint8)
        pixels[:, :32, 0] += np.uint8(150 * kind)
        pixels[:, 32:, 0] += np.uint8(150 * other)
        Image.fromarray(pixels).save(tmp_path / f"p{number:02d}.png")
        rows.append({"name": f"p{number:02d}", "kind": "ab"[kind], "site": number // 4})
    table = pd.DataFrame(rows)
    table[:40].to_csv(tmp_path / "train.csv", index=False)
    table[40:][["name"]].to_csv(tmp_path / "test.csv", index=False)
    boxes = table[["name"]].rename(columns={"name": "id"}).assign(left=0, top=0, right=32, bottom=32)
    boxes.to_csv(tmp_path / "crops.csv", index=False)
    return tmp_path


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    data = {
        "train": "train.csv",
        "test": "test.csv",
        "id": "name",
        "image": {"path": "{name}.png"},
        "crops": "crops.csv",
    }
    task = {"kind": "binary", "target": "kind", "metric": "roc_auc"}
    fit = {**tiny_recipe["stages"]["fit"], "augment": []}
    folds = {"k": 2, "group": "site"}
    return {**tiny_recipe, "data": data, "task": task, "folds": folds, "stages": {"fit": fit}}


def run(recipe: dict[str, Any], root: Path, **changes: Any) -> tuple[outfold.Run, list[dict[str, Any]]]:
    path = root / "recipe.yaml"
    path.write_text(yaml.safe_dump({**recipe, "data": {**recipe["data"], **changes}}))
    events: list[dict[str, Any]] = []
    return outfold.run(path, root / "run", data=root, device="cpu", emit=events.append), events


def done(events: list[dict[str, Any]]) -> list[str]:
    return [event["job"] for event in events if event["event"] == "job"]


@pytest.mark.parametrize("prepare", [None, {"crop": "none", "sizes": [32], "quality": 100}])
def test_models_see_the_part_in_the_box(recipe: dict[str, Any], root: Path, prepare: dict[str, Any] | None) -> None:
    """The same numbers as a run on photos that were cut by hand."""
    boxed, events = run(recipe, root, prepare=prepare)
    told = [(event["table"], event["boxes"], event["whole"]) for event in events if event["event"] == "crops"]
    assert told == [("train", 40, 0), ("test", 8, 0)]
    scores, predicted = boxed.oof, boxed.predictions
    for path in root.glob("p*.png"):
        Image.fromarray(np.asarray(Image.open(path))[:, :32]).save(path)
    by_hand, _ = run(recipe, root, prepare=prepare, crops=None)
    pd.testing.assert_frame_equal(scores, by_hand.oof)
    pd.testing.assert_frame_equal(predicted, by_hand.predictions)


def test_a_box_that_changes_is_trained_again_and_nothing_else_is(recipe: dict[str, Any], root: Path) -> None:
    _, first = run(recipe, root)
    assert len(done(first)) == 6  # fit, oof and test of two folds
    assert done(run(recipe, root)[1]) == []
    boxes = pd.read_csv(root / "crops.csv")
    boxes.loc[boxes["id"] == "p44", "right"] = 31  # of the test table
    boxes.to_csv(root / "crops.csv", index=False)
    assert [job.split()[-1] for job in done(run(recipe, root)[1])] == ["test", "test"]
    boxes.loc[boxes["id"] == "p04", "right"] = 31
    boxes.to_csv(root / "crops.csv", index=False)
    assert len(done(run(recipe, root)[1])) == 6


def test_later_rows_are_cut_to_the_boxes_beside_them(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    finished, _ = run(recipe, root)
    rows = pd.read_csv(root / "test.csv")
    assert finished.predictions is not None
    expected = finished.predictions.drop(columns="id").to_numpy()
    found = finished.predict(rows, root=root, device="cpu")
    assert np.allclose(found[["prob_a", "prob_b"] if "prob_a" in found else found.columns[-1:]], expected, atol=1e-5)
    (root / "crops.csv").unlink()
    events: list[dict[str, Any]] = []
    whole = finished.predict(rows, root=root, device="cpu", emit=events.append)
    assert [(event["boxes"], event["whole"]) for event in events if event["event"] == "crops"] == [(0, 8)]
    assert not np.allclose(whole.iloc[:, -1], found.iloc[:, -1], atol=1e-3)


def test_boxes_of_nobody_are_in_the_report(recipe: dict[str, Any], root: Path) -> None:
    with (root / "crops.csv").open("a") as file:
        file.write("nobody,0,0,9,9\n")
    finished, _ = run(recipe, root)
    assert any("1 crop box for ids that no table has" in warning for warning in finished.summary["data"]["warnings"])


def test_boxes_of_nobody_alone_stop_the_run(recipe: dict[str, Any], root: Path) -> None:
    (root / "crops.csv").write_text("id,left,top,right,bottom\np00.png,0,0,9,9\n")
    with pytest.raises(outfold.errors.DataError, match=r"none of its 1 box is for an id of the tables(.|\n)*p00.png"):
        run(recipe, root)


def test_a_box_that_leaves_its_photo_stops_the_run(recipe: dict[str, Any], root: Path) -> None:
    boxes = pd.read_csv(root / "crops.csv")
    boxes.loc[3, "bottom"] = 33
    boxes.to_csv(root / "crops.csv", index=False)
    with pytest.raises(outfold.errors.DataError, match=r"crops.csv:5(.|\n)*bottom is 33"):
        run(recipe, root, on_bad_media="drop")
