"""Members that read vectors: given in files, without any photo, or made once by a frozen backbone."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_model, save_file

import outfold
from outfold.errors import DataError, OutfoldError, RecipeError
from outfold.runs.check import check_recipe
from outfold.settings.recipe import Recipe

GIVEN = {"kind": "embedding", "vectors": "vectors.npy", "ids": "ids.csv"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Tables without photos, and vectors that tell the amount, in no order and of more rows than the tables have."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "data"
    folder.mkdir()
    names = [f"s{number:02d}" for number in range(80)]
    vectors = generator.normal(3, 2, (80, 6))
    table = pd.DataFrame({"sample": names, "site": np.arange(80) // 4, "wind": vectors[:, 0] * 2})
    table["amount"] = 10 + vectors @ np.arange(6) + generator.normal(0, 0.1, 80)
    table[:60].to_csv(folder / "train.csv", index=False)
    table[60:70].drop(columns="amount").to_csv(folder / "test.csv", index=False)
    table[70:].drop(columns="amount").to_csv(folder / "later.csv", index=False)
    write_vectors(folder, names, vectors, generator.permutation(80))
    return folder


def write_vectors(root: Path, names: list[str], vectors: np.ndarray, order: np.ndarray) -> None:
    np.save(root / "vectors.npy", vectors[order])
    pd.DataFrame({"sample": [names[row] for row in order]}).to_csv(root / "ids.csv", index=False)


@pytest.fixture
def recipe() -> dict[str, Any]:
    return {
        "name": "heads",
        "data": {"train": "train.csv", "test": "test.csv", "id": "sample"},
        "task": {"kind": "regression", "target": "amount", "metric": "rmse"},
        "folds": {"k": 2, "group": "site"},
        "stages": {
            "fit": {
                "kind": "train",
                "view": GIVEN,
                "loss": {"name": "mse"},
                "optimizer": {"weight_decay": 0},
                "batch_size": 8,
                "phases": [{"name": "head", "epochs": 15, "lr": 5e-2}],
                "keep": {"best": "last"},
                "members": {"a": {}},
            },
            "answer": {"kind": "submit", "from": "fit"},
        },
    }


def run(recipe: dict[str, Any], folder: Path, root: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **given)


def left(recipe: dict[str, Any], folder: Path, root: Path) -> int:
    """How many jobs the run still does."""
    events: list[dict[str, Any]] = []
    run(recipe, folder, root, emit=events.append)
    (planned,) = [event for event in events if event["event"] == "planned"]
    return planned["jobs"] - planned["done"]


def model_of(folder: Path, fold: int = 0) -> Path:
    return folder / "stages" / "fit" / "a" / f"fold{fold}-seed0"


def record_of(folder: Path, fold: int = 0) -> dict[str, Any]:
    return json.loads((model_of(folder, fold) / "fit.json").read_text())


def change(root: Path, ids: list[str], by: float) -> None:
    """Move the vectors of some samples."""
    names = pd.read_csv(root / "ids.csv")["sample"]
    vectors = np.load(root / "vectors.npy")
    vectors[names.isin(ids)] += by
    np.save(root / "vectors.npy", vectors)


def test_a_recipe_without_photos(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    """Heads learn from given vectors, the test table and later rows are predicted, the report is written."""
    done = run(recipe, tmp_path / "run", root)
    spread = pd.read_csv(root / "train.csv")["amount"].std()
    assert done.score < 0.2 * spread
    assert (done.path / "report.html").exists()
    assert len(pd.read_csv(done.path / "submission.csv")) == 10
    again = done.predict(root / "test.csv", device="cpu")
    assert done.predictions is not None
    np.testing.assert_allclose(again["amount"], done.predictions["pred_amount"], rtol=1e-6)
    later = done.predict(root / "later.csv", device="cpu")
    assert later["sample"].tolist() == [f"s{number}" for number in range(70, 80)]


def test_the_order_of_the_files_does_not_matter(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    first = run(recipe, tmp_path / "first", root)
    names, vectors = pd.read_csv(root / "ids.csv")["sample"].tolist(), np.load(root / "vectors.npy")
    columns = {f"f{place}": column for place, column in enumerate(vectors.T)}
    pd.DataFrame({"sample": names, **columns}).sort_values("sample").to_parquet(root / "vectors.parquet", index=False)
    recipe["stages"]["fit"]["view"] = {"kind": "embedding", "vectors": "vectors.parquet"}
    second = run(recipe, tmp_path / "second", root)
    pd.testing.assert_frame_equal(first.oof, second.oof, check_exact=True)


def test_vectors_are_standardised_by_the_training_rows_of_the_fold(
    recipe: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    """Whatever the held-out rows' vectors are, they change neither what is stored nor a bit of the weights."""
    recipe["folds"]["only"] = [0]
    before = run(recipe, tmp_path / "before", root)
    folds = pd.read_csv(before.path / "folds.csv").set_index("id")["fold"]
    change(root, folds.index[folds == 0].tolist(), 1000)
    after = run(recipe, tmp_path / "after", root)
    one, two = record_of(before.path), record_of(after.path)
    assert (one["mean"], one["std"]) == (two["mean"], two["std"])
    weights = [load_file(model_of(part.path) / "weights.safetensors") for part in (before, after)]
    for name, tensor in weights[0].items():
        np.testing.assert_array_equal(tensor, weights[1][name], err_msg=name)
    assert not np.allclose(before.oof["pred_amount"], after.oof["pred_amount"])
    ids, vectors = pd.read_csv(root / "ids.csv")["sample"], np.load(root / "vectors.npy").astype(np.float32)
    train = ids.isin(folds.index[folds != 0]).to_numpy()
    np.testing.assert_allclose(one["mean"], vectors[train].astype(np.float64).mean(axis=0))
    np.testing.assert_allclose(one["std"], vectors[train].astype(np.float64).std(axis=0))


def test_vectors_as_they_are(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["folds"]["only"] = [0]
    recipe["stages"]["fit"]["view"] = {**GIVEN, "standardize": False}
    record = record_of(run(recipe, tmp_path / "run", root).path)
    assert set(record["mean"]) == {0.0}
    assert set(record["std"]) == {1.0}


def test_noise_is_for_training_alone(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    """It moves the weights, not what they predict; a member that never sees it is refused."""
    fit, weights = recipe["stages"]["fit"], []
    recipe["folds"]["only"], fit["phases"][0]["epochs"] = [0], 2
    for noise in (0.0, 0.5):
        fit["view"] = {**GIVEN, "noise": noise}
        done = run(recipe, tmp_path / f"noise{noise}", root)
        weights.append(load_file(model_of(done.path) / "weights.safetensors")["head.linear.weight"])
    assert not np.array_equal(*weights)
    one, two = (done.predict(root / "later.csv", device="cpu") for _ in range(2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)
    fit["phases"] = [{"name": "plain", "epochs": 1, "augment": False}]
    with pytest.raises(ValueError, match=r"`view\.noise` is added in no phase"):
        Recipe.model_validate(recipe)


def test_changed_vectors_redo_what_depends_on_them(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["folds"]["only"] = [0]
    assert left(recipe, tmp_path / "run", root) == 4  # fit, oof, test, file
    assert left(recipe, tmp_path / "run", root) == 0
    change(root, ["s75"], 1)  # in no table
    assert left(recipe, tmp_path / "run", root) == 0
    change(root, ["s65"], 1)
    assert left(recipe, tmp_path / "run", root) == 2  # test, file
    change(root, ["s05"], 1)
    assert left(recipe, tmp_path / "run", root) == 4


def test_table_inputs_and_mixing_beside_vectors(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["stages"]["fit"] |= {
        "mix": {"one_of": ["mixup"], "alpha": 0.2},
        "table": {"numeric": ["wind"], "widths": [8]},
        "phases": [{"name": "head", "epochs": 2, "lr": 1e-2}, {"name": "plain", "epochs": 1, "mix": False}],
    }
    done = run(recipe, tmp_path / "run", root)
    assert any(name.startswith("table.") for name in load_file(model_of(done.path) / "weights.safetensors"))
    change_wind = pd.read_csv(root / "later.csv").assign(wind=100.0)
    plain, windy = (done.predict(table, root=root) for table in (pd.read_csv(root / "later.csv"), change_wind))
    assert not np.allclose(plain["amount"], windy["amount"])


def test_equal_vectors_in_different_folds_are_told(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    """One photo given twice: where no file tells of it, its vector does."""
    names, vectors = pd.read_csv(root / "ids.csv")["sample"], np.load(root / "vectors.npy")
    folds = dict(zip((f"s{number:02d}" for number in range(60)), [0, 1] * 30, strict=True))
    vectors[names == "s03"] = vectors[names == "s00"]
    vectors[names == "s04"] = vectors[names == "s02"]  # of one fold
    np.save(root / "vectors.npy", vectors)
    pd.DataFrame({"id": folds.keys(), "fold": folds.values()}).to_csv(root / "folds.csv", index=False)
    recipe["folds"] = {"file": "folds.csv"}
    recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    done = run(recipe, tmp_path / "run", root)
    (warning,) = [text for text in done.summary["data"]["warnings"] if "share a vector" in text]
    assert warning.startswith("2 rows")


def test_stopped_and_resumed(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "epoch" and event["epoch"] == 5:
            raise Stop

    recipe["folds"]["only"] = [0]
    whole = run(recipe, tmp_path / "whole", root)
    with pytest.raises(Stop):
        run(recipe, tmp_path / "stopped", root, emit=stop)
    resumed = run(recipe, tmp_path / "stopped", root)
    pd.testing.assert_frame_equal(whole.oof, resumed.oof, check_exact=True)


def test_rows_without_a_vector_are_told_before_anything_trains(
    recipe: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    done = run(recipe, tmp_path / "run", root)
    with pytest.raises(DataError, match=r"1 of 1 rows of the new table have no vector in vectors.npy(.|\n)*'s99'"):
        done.predict(pd.DataFrame({"sample": ["s99"], "wind": [1.0]}), root=root)
    with pytest.raises(DataError, match=r"vectors.npy: there is no such file"):
        done.predict(root / "later.csv", root=tmp_path)
    more = pd.read_csv(root / "test.csv")
    pd.concat([more, more.assign(sample="new" + more["sample"])]).to_csv(root / "test.csv", index=False)
    events: list[dict[str, Any]] = []
    with pytest.raises(DataError, match="10 of 20 rows of the test table have no vector"):
        run(recipe, tmp_path / "other", root, emit=events.append)
    assert not any(event["event"] == "job" for event in events)
    checked = check_recipe(Recipe.model_validate(recipe), root)
    assert not checked.ok
    assert any("10 of 20 rows of the test table" in finding.what for finding in checked.findings)


def test_vectors_of_another_length_are_refused(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    done = run(recipe, tmp_path / "run", root)
    np.save(root / "vectors.npy", np.load(root / "vectors.npy")[:, :5])
    with pytest.raises(DataError, match=r"of another length than those that the model learned from(.|\n)*5(.|\n)*6"):
        done.predict(root / "later.csv")


def test_the_cost_of_heads_is_told(recipe: dict[str, Any], root: Path) -> None:
    checked = check_recipe(Recipe.model_validate(recipe), root, device="cpu")
    assert checked.ok
    (what,) = [finding.what for finding in checked.findings if finding.what.startswith("estimate")]
    assert "2 models" in what


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"backbone": "test_resnet"}, "backbone"),
        ({"weights": "none"}, "weights"),
        ({"drop_path_rate": 0.1}, "drop_path_rate"),
        ({"augment": ["hflip"]}, "augment"),
        ({"mix": {"one_of": ["mixup", "cutmix"]}}, "cutmix"),
        ({"predict": {"tta": "flips"}}, "predict.tta"),
        ({"phases": [{"name": "p", "epochs": 1, "size": 32}]}, "phases.p.size"),
        ({"phases": [{"name": "p", "epochs": 1, "train": {"first": 0.5}}]}, "phases.p.train"),
        ({"phases": [{"name": "p", "epochs": 1, "lr": {"backbone": 1, "head": 1}}]}, "phases.p.lr.backbone"),
        ({"phases": [{"name": "p", "epochs": 1, "layer_decay": 0.5}]}, "phases.p.layer_decay"),
        ({"view": {**GIVEN, "image": {"size": 64}}}, "`image` is for a `backbone`"),
        ({"view": {"kind": "embedding"}}, "one origin"),
        ({"view": {"kind": "embedding", "vectors": "a.npy"}}, "expected 1 files, got 0"),
        ({"view": {"kind": "embedding", "backbone": "test_resnet", "weights": "none"}}, "random weights"),
    ],
)
def test_what_has_no_effect_on_vectors_is_refused(changes: dict[str, Any], named: str, recipe: dict[str, Any]) -> None:
    recipe["stages"]["fit"] |= changes
    with pytest.raises(ValueError, match=named):
        Recipe.model_validate(recipe)


@pytest.fixture
def photos(shapes: Path, tmp_path: Path) -> Path:
    """The photos of `shapes`, and weights that a frozen backbone of them has."""
    root = tmp_path / "photos"
    shutil.copytree(shapes, root)
    torch.manual_seed(5)
    save_file(timm.create_model("test_efficientnet", num_classes=0).state_dict(), root / "w.safetensors")
    return root


@pytest.fixture
def frozen(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """A head on what a frozen backbone makes of photos."""
    fit = tiny_recipe["stages"]["fit"]
    for name in ("backbone", "weights", "augment", "predict"):
        del fit[name]
    image = {"size": 32, "resize": "squash"}
    fit["view"] = {"kind": "embedding", "backbone": "test_efficientnet", "weights": "file:w.safetensors"}
    fit["view"] |= {"image": image, "batch_size": 7}
    tiny_recipe["folds"]["only"] = [0]
    return tiny_recipe


def test_vectors_of_a_frozen_backbone_are_made_once(frozen: dict[str, Any], photos: Path, tmp_path: Path) -> None:
    """Training and later rows get the features of the weights file, which later rows need no more."""
    events: list[dict[str, Any]] = []
    done = run(frozen, tmp_path / "run", photos, emit=events.append)
    assert {event["table"] for event in events if event["event"] == "embedding"} == {"train", "test"}
    assert done.predictions is not None
    (photos / "w.safetensors").unlink()
    again = done.predict(photos / "test.csv", device="cpu")
    np.testing.assert_allclose(
        again.filter(like="prob_"), done.predictions.filter(like="prob_"), rtol=1e-6
    )  # of the cached vectors
    fewer = done.predict(pd.read_csv(photos / "test.csv")[3:9], root=photos, device="cpu")  # anew
    np.testing.assert_allclose(
        fewer.filter(like="prob_"), done.predictions.filter(like="prob_")[3:9], rtol=1e-4, atol=1e-6
    )


def test_heads_on_made_vectors_equal_heads_on_given_ones(frozen: dict[str, Any], photos: Path, tmp_path: Path) -> None:
    """What the backbone makes is its plain features, row by row."""
    import cv2

    done = run(frozen, tmp_path / "run", photos)
    backbone = timm.create_model("test_efficientnet", num_classes=0).eval()
    load_model(backbone, photos / "w.safetensors")
    ids = pd.concat([pd.read_csv(photos / name)[["photo"]] for name in ("train.csv", "test.csv")])
    pixels = [cv2.imread(str(photos / "images" / f"{name}.png"))[..., ::-1] for name in ids["photo"]]
    small = np.stack([cv2.resize(photo, (32, 32), interpolation=cv2.INTER_AREA) for photo in pixels])
    config = backbone.pretrained_cfg
    batch = (torch.from_numpy(small).float() / 255 - torch.tensor(config["mean"])) / torch.tensor(config["std"])
    with torch.no_grad():
        np.save(photos / "vectors.npy", backbone(batch.permute(0, 3, 1, 2)).numpy())
    ids.to_csv(photos / "ids.csv", index=False)
    frozen["stages"]["fit"]["view"] = GIVEN
    given = run(frozen, tmp_path / "given", photos)
    np.testing.assert_allclose(given.oof.filter(like="prob_"), done.oof.filter(like="prob_"), rtol=1e-3, atol=1e-5)


def test_frozen_backbones_need_photos_and_weights(frozen: dict[str, Any], photos: Path, tmp_path: Path) -> None:
    del frozen["data"]["image"]
    with pytest.raises(RecipeError, match="the stages need photos"):
        run(frozen, tmp_path / "run", photos)
    frozen["data"]["image"] = {"path": "images/{photo}.png"}
    (photos / "w.safetensors").unlink()
    with pytest.raises(OutfoldError, match=r"member 'a'(.|\n)*w.safetensors does not exist"):
        run(frozen, tmp_path / "run", photos)


def test_photos_that_no_member_reads_still_tell_copies(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    """Equal files share a fold even where the members read given vectors alone."""
    root = tmp_path / "copies"
    shutil.copytree(shapes, root)
    shutil.copy(root / "images" / "p000.png", root / "images" / "p070.png")
    ids = [f"p{number:03d}" for number in range(90)]
    np.save(root / "vectors.npy", np.random.default_rng(0).normal(size=(90, 4)))
    pd.DataFrame({"photo": ids}).to_csv(root / "ids.csv", index=False)
    recipe["data"] |= {"id": "photo", "image": {"path": "images/{photo}.png"}}
    done = run(recipe, tmp_path / "run", root)
    folds = pd.read_csv(done.path / "folds.csv").set_index("id")["fold"]
    assert folds["p000"] == folds["p070"]
