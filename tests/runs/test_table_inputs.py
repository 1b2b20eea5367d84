"""A run whose members read columns of the table: encoders see training rows alone, and every table goes one way."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

import outfold
from outfold.data.table_columns import read_columns
from outfold.data.table_encoding import TableEncoder
from outfold.errors import DataError, RecipeError
from outfold.settings.recipe import Recipe
from outfold.settings.table_inputs import TableInputs

INPUTS = {
    "numeric": ["age"],
    "categorical": [{"column": "sex", "codes": {"male": 1, "female": 0}}, "region"],
    "derived": ["log_group_rows", "log_file_bytes"],
    "group": "patient",
    "widths": [16, 8],
}


@pytest.fixture
def clinic(shapes: Path, tmp_path: Path) -> Path:
    """The photos of `shapes` with what a clinic knows of its patients, here and there missing."""
    root = tmp_path / "clinic"
    shutil.copytree(shapes, root)
    generator = np.random.default_rng(1)
    for name in ("train.csv", "test.csv"):
        table = pd.read_csv(root / name)
        n = len(table)
        table["patient"] = [f"p{number // 4}" if number % 5 else None for number in range(n)]
        table["age"] = np.where(generator.random(n) < 0.2, np.nan, generator.integers(20, 80, n))
        table["sex"] = generator.choice(["male", "female", None], n)
        table["region"] = generator.choice(["arm", "leg", "back", None], n)
        table.to_csv(root / name, index=False)
    return root


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """One fold; a head phase on ready features, then everything, with mixing."""
    tiny_recipe["folds"]["only"] = [0]
    tiny_recipe["stages"]["fit"] |= {
        "table": INPUTS,
        "mix": {"one_of": ["mixup", "cutmix"]},
        "keep": {"best": "last"},
        "phases": [
            {"name": "head", "epochs": 2, "train": "head", "lr": 1e-2, "augment": False, "mix": False},
            {"name": "all", "epochs": 1, "lr": 3e-3},
        ],
    }
    return tiny_recipe


def run(recipe: dict[str, Any], folder: Path, root: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **given)


def model_of(folder: Path) -> Path:
    return folder / "stages" / "fit" / "a" / "fold0-seed0"


def encoder_of(folder: Path) -> dict[str, Any]:
    return json.loads((model_of(folder) / "fit.json").read_text())["table"]


def change(root: Path, table: str, rows: np.ndarray, column: str, value: object) -> None:
    frame = pd.read_csv(root / table)
    frame[column] = frame[column].astype(object).mask(rows, value)
    frame.to_csv(root / table, index=False)


def held_out(folder: Path, root: Path) -> np.ndarray:
    folds = pd.read_csv(folder / "folds.csv").set_index("id")["fold"]
    return (folds[pd.read_csv(root / "train.csv")["photo"]] == 0).to_numpy()


def test_encoders_never_see_validation_rows(recipe: dict[str, Any], clinic: Path, tmp_path: Path) -> None:
    """Outliers and new names in held-out rows change neither the encoder nor a bit of the weights."""
    before = run(recipe, tmp_path / "before", clinic)
    valid = held_out(before.path, clinic)
    for column, value in (("age", 1e6), ("sex", "other"), ("region", "moon")):
        change(clinic, "train.csv", valid, column, value)
    after = run(recipe, tmp_path / "after", clinic)
    assert encoder_of(before.path) == encoder_of(after.path)
    weights = [load_file(model_of(one.path) / "weights.safetensors") for one in (before, after)]
    assert weights[0].keys() == weights[1].keys()
    assert any(name.startswith("table.") for name in weights[0])
    for name, tensor in weights[0].items():
        np.testing.assert_array_equal(tensor, weights[1][name], err_msg=name)
    assert not np.array_equal(before.oof.filter(like="prob_"), after.oof.filter(like="prob_"))


def test_the_stored_encoder_is_the_one_of_the_training_rows(
    recipe: dict[str, Any], clinic: Path, tmp_path: Path
) -> None:
    done = run(recipe, tmp_path / "run", clinic)
    inputs, frame = TableInputs.model_validate(INPUTS), pd.read_csv(clinic / "train.csv")
    media = [clinic / "images" / f"{photo}.png" for photo in frame["photo"]]
    train = np.flatnonzero(~held_out(done.path, clinic))
    by_hand = TableEncoder.fit(inputs, read_columns([inputs], frame, media), train)
    assert encoder_of(done.path) == json.loads(json.dumps(by_hand.to_dict()))
    age = encoder_of(done.path)["columns"][0]
    assert age["shift"] == pytest.approx(frame["age"][train].mean())
    assert age["shift"] != pytest.approx(frame["age"].mean())


def test_stopped_and_resumed(recipe: dict[str, Any], clinic: Path, tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            raise Stop

    whole = run(recipe, tmp_path / "whole", clinic)
    with pytest.raises(Stop):
        run(recipe, tmp_path / "stopped", clinic, emit=stop)
    resumed = run(recipe, tmp_path / "stopped", clinic)
    pd.testing.assert_frame_equal(whole.oof, resumed.oof, check_exact=True)
    pd.testing.assert_frame_equal(whole.predictions, resumed.predictions, check_exact=True)


def test_later_rows_are_predicted_as_the_test_table(recipe: dict[str, Any], clinic: Path, tmp_path: Path) -> None:
    done = run(recipe, tmp_path / "run", clinic)
    table = pd.read_csv(clinic / "test.csv")
    again = done.predict(table, root=clinic, device="cpu")
    expected = done.predictions.filter(like="prob_")
    np.testing.assert_allclose(again.filter(like="prob_"), expected, rtol=1e-6)
    older = done.predict(table.assign(age=table["age"] + 30), root=clinic, device="cpu")
    assert not np.allclose(older.filter(like="prob_"), expected)
    with pytest.raises(DataError, match="new table: no column 'region', needed as a table input"):
        done.predict(table.drop(columns="region"), root=clinic, device="cpu")
    with pytest.raises(DataError, match="'age' are no usable numbers: frame:3"):
        done.predict(table.assign(age=["old" if row == 2 else 50 for row in range(len(table))]), root=clinic)

    events: list[dict[str, Any]] = []
    strange = table.assign(region="moon", age=None)
    answers = done.predict(strange, root=clinic, device="cpu", emit=events.append)
    assert np.isfinite(answers.filter(like="prob_")).all(axis=None)
    (event,) = [event for event in events if event["event"] == "unfamiliar"]
    assert event["cells"] == {"name region": len(table)}


def test_changed_cells_redo_what_depends_on_them(recipe: dict[str, Any], clinic: Path, tmp_path: Path) -> None:
    def left() -> int:
        events: list[dict[str, Any]] = []
        run(recipe, tmp_path / "run", clinic, emit=events.append)
        (planned,) = [event for event in events if event["event"] == "planned"]
        return planned["jobs"] - planned["done"]

    assert left() == 4  # fit, oof, test, file
    assert left() == 0
    change(clinic, "test.csv", np.arange(18) == 3, "age", 99)
    assert left() == 2  # test, file
    change(clinic, "train.csv", np.arange(72) == 5, "amount", 7)
    assert left() == 0
    change(clinic, "train.csv", np.arange(72) == 5, "sex", "other")
    assert left() == 4


@pytest.mark.parametrize("table", ["train", "test"])
def test_a_column_that_a_table_lacks_is_told_before_photos_are_read(
    table: str, recipe: dict[str, Any], clinic: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(clinic / f"{table}.csv").rename(columns={"region": "regions"})
    frame.to_csv(clinic / f"{table}.csv", index=False)
    events: list[dict[str, Any]] = []
    with pytest.raises(DataError, match=f"the {table} table: no column 'region'") as raised:
        run(recipe, tmp_path / "run", clinic, emit=events.append)
    assert "did you mean 'regions'" in str(raised.value)
    assert not any(event["event"] == "photos" for event in events)


def test_a_column_that_a_fold_cannot_learn_from(recipe: dict[str, Any], clinic: Path, tmp_path: Path) -> None:
    change(clinic, "train.csv", np.ones(72, dtype=bool), "age", None)
    events: list[dict[str, Any]] = []
    with pytest.raises(DataError, match="'age' is empty in all 48 training rows"):
        run(recipe, tmp_path / "run", clinic, emit=events.append)
    assert not any(event["event"] == "job" for event in events)


def test_batches_of_one_row_are_refused(recipe: dict[str, Any], clinic: Path, tmp_path: Path) -> None:
    recipe["stages"]["fit"]["batch_size"] = 1
    with pytest.raises(RecipeError, match="member 'a': table inputs cannot train on batches of one row"):
        run(recipe, tmp_path / "run", clinic)


def test_students_encode_by_labelled_rows_alone(recipe: dict[str, Any], clinic: Path, tmp_path: Path) -> None:
    """Rows without labels train the student's network, in the head phase on ready features too, but no encoder."""
    more = pd.read_csv(clinic / "test.csv").assign(region="moon")
    more["age"] = 1000.0
    more.to_csv(clinic / "more.csv", index=False)
    recipe["data"] = {**recipe["data"], "unlabelled": "more.csv"}
    del recipe["data"]["test"]
    student = {"kind": "noisy_student", "from": "fit", "label": {"confidence": 0.0}, "student": {"mix": None}}
    recipe["stages"] = {"fit": recipe["stages"]["fit"], "noisy": student}
    done = run(recipe, tmp_path / "run", clinic)
    records = [json.loads(path.read_text()) for path in sorted(done.path.glob("stages/*/a/fold0-seed0/fit.json"))]
    teacher, taught = records
    assert taught["pseudo_rows"] > 0
    assert teacher["table"] == taught["table"]
    assert "moon" not in json.dumps(taught["table"])


def test_cells_that_students_alone_read_decide_what_they_learned(
    recipe: dict[str, Any], clinic: Path, tmp_path: Path
) -> None:
    pd.read_csv(clinic / "test.csv").to_csv(clinic / "more.csv", index=False)
    recipe["data"] = {**recipe["data"], "unlabelled": "more.csv"}
    del recipe["data"]["test"]
    fit = {**recipe["stages"]["fit"], "mix": None, "phases": [{"name": "all", "epochs": 1, "lr": 3e-3}]}
    table = fit.pop("table")
    recipe["stages"] = {
        "fit": fit,
        "noisy": {"kind": "noisy_student", "from": "fit", "label": {}, "student": {"table": table}},
    }
    run(recipe, tmp_path / "run", clinic)
    change(clinic, "more.csv", np.arange(18) < 3, "age", 33)
    events: list[dict[str, Any]] = []
    run(recipe, tmp_path / "run", clinic, emit=events.append)
    assert [event["job"] for event in events if event["event"] == "job"] == [
        "noisy1/a/fold0-seed0 fit",
        "noisy1/a/fold0-seed0 oof",
    ]
