"""Near-duplicates in a run: linked to one fold, dropped, or written to a page whose decisions the next run reads."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import timm
import torch
from rich.console import Console
from safetensors.torch import save_file

import outfold
from outfold.cli.progress import live
from outfold.errors import DataError
from outfold.settings.recipe import Recipe

COPIES = {"p003": "c003", "p010": "c010", "p050": "c050"}


@pytest.fixture
def copied(shapes: Path, tmp_path: Path) -> Path:
    """The photos of `shapes` as smooth scenes, three of them a second time: turned, flipped and recompressed."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for path in (shapes / "images").iterdir():
        scene = cv2.resize(
            generator.integers(0, 255, (6, 6, 3), dtype=np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC
        )
        cv2.imwrite(str(root / "images" / path.name), scene)
    table = pd.read_csv(shapes / "train.csv")
    rows = []
    for original, name in COPIES.items():
        photo = cv2.rotate(cv2.imread(str(root / "images" / f"{original}.png")), cv2.ROTATE_90_CLOCKWISE)
        _, packed = cv2.imencode(".jpg", cv2.flip(photo, 1), [cv2.IMWRITE_JPEG_QUALITY, 80])
        (root / "images" / f"{name}.png").write_bytes(packed.tobytes())
        rows.append({**table[table["photo"] == original].iloc[0].to_dict(), "photo": name, "site": f"new {name}"})
    pd.concat([table, pd.DataFrame(rows)]).to_csv(root / "train.csv", index=False)
    (root / "test.csv").write_text((shapes / "test.csv").read_text())
    torch.manual_seed(0)
    save_file(timm.create_model("test_efficientnet").state_dict(), root / "weights.safetensors")
    return root


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    tiny_recipe["folds"] = {"k": 3, "seed": 3}
    tiny_recipe["duplicates"] = {"backbone": "test_efficientnet", "weights": "file:weights.safetensors", "size": 64}
    return tiny_recipe


def run(recipe: dict[str, Any], out: Path, data: Path) -> outfold.Run:
    with live(Console(file=io.StringIO())) as emit:  # as the command runs it
        return outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu", emit=emit)


def pairs_of(folder: Path) -> set[tuple[str, str]]:
    return set(pd.read_csv(folder / "duplicates" / "pairs.csv")[["first", "second"]].itertuples(index=False, name=None))


@pytest.mark.slow
def test_copies_share_a_fold(recipe: dict[str, Any], copied: Path, tmp_path: Path) -> None:
    apart = run({**recipe, "duplicates": None}, tmp_path / "apart", copied)
    linked = run(recipe, tmp_path / "linked", copied)
    assert pairs_of(linked.path) == set(COPIES.items())
    folds = {done.path.name: pd.read_csv(done.path / "folds.csv").set_index("id")["fold"] for done in (apart, linked)}
    assert any(folds["apart"][original] != folds["apart"][name] for original, name in COPIES.items())
    assert all(folds["linked"][original] == folds["linked"][name] for original, name in COPIES.items())


def test_copies_are_dropped_and_counted(recipe: dict[str, Any], copied: Path, tmp_path: Path) -> None:
    recipe["duplicates"]["action"] = "drop"
    done = run(recipe, tmp_path / "run", copied)
    gone = {row["id"]: row["reason"] for row in done.summary["data"]["dropped"]}
    assert gone == {name: f"a copy of {original}, which stays" for original, name in COPIES.items()}
    assert not set(done.oof["id"]) & set(COPIES.values())
    assert len(done.oof) == 72
    dropped = pd.read_csv(done.path / "duplicates" / "dropped.csv")
    assert dict(zip(dropped["kept"], dropped["id"], strict=True)) == COPIES


@pytest.mark.slow
def test_a_run_reads_decisions_back(recipe: dict[str, Any], copied: Path, tmp_path: Path) -> None:
    recipe["duplicates"]["action"] = "review"
    first = run(recipe, tmp_path / "first", copied)
    assert (first.path / "duplicates" / "review.html").stat().st_size > 10_000
    (copied / "decisions.csv").write_text(
        "first,second,decision,similarity\np003,c003,different,0.99\nc010,p010,same,\np001,p002,same,\n"
    )
    recipe["duplicates"]["decisions"] = "decisions.csv"
    second = run(recipe, tmp_path / "second", copied)
    groups = pd.read_csv(second.path / "duplicates" / "groups.csv").set_index("id")["group"]
    assert groups["p003"] != groups["c003"]
    assert groups["p010"] == groups["c010"]
    assert groups["p001"] == groups["p002"]
    (copied / "decisions.csv").write_text("first,second,decision\np003,nobody,same\n")
    with pytest.raises(DataError, match=r"decisions\.csv.*nobody"):
        run(recipe, tmp_path / "third", copied)


@pytest.mark.slow
def test_own_folds_that_tear_near_copies_apart_are_refused(
    recipe: dict[str, Any], copied: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(copied / "train.csv")
    table["own"] = [row % 3 for row in range(72)] + [1, 2, 0]  # p003 is in 0, p010 in 1, p050 in 2
    table.to_csv(copied / "train.csv", index=False)
    recipe["folds"] = {"column": "own"}
    with pytest.raises(DataError, match="tear 3 groups apart") as caught:
        run(recipe, tmp_path / "run", copied)
    assert "p003, c003 in folds [0, 1]" in str(caught.value)


def test_looking_for_copies_must_have_an_effect(recipe: dict[str, Any]) -> None:
    recipe["folds"]["duplicates"] = "ignore"
    with pytest.raises(ValueError, match="leaves nothing for `duplicates` to do"):
        Recipe.model_validate(recipe)


@pytest.mark.parametrize("threshold", [0, 1.5, float("nan"), "most"])
def test_a_similarity_that_cannot_be_is_refused(recipe: dict[str, Any], threshold: object) -> None:
    recipe["duplicates"]["threshold"] = threshold
    with pytest.raises(ValueError, match="threshold"):
        Recipe.model_validate(recipe)


@pytest.mark.slow
def test_the_audit_gets_the_fingerprints_that_the_search_made(
    recipe: dict[str, Any], copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outfold.runs import audit

    seen: list[Any] = []
    own = audit.audit_dataset
    monkeypatch.setattr(audit, "audit_dataset", lambda *a, **known: seen.append(known) or own(*a, **known))
    monkeypatch.setattr(audit, "embeddings", lambda *a: pytest.fail("the fingerprints were made a second time"))
    recipe["duplicates"]["action"] = "drop"
    run(recipe, tmp_path / "run", copied)
    train, test = seen[0]["train"].embeddings, seen[0]["test"].embeddings
    assert (len(train), len(test)) == (72, 18)
    assert np.isfinite(train).all()
    assert len(np.unique(train, axis=0)) == 72


@pytest.mark.slow
def test_unlabelled_copies_of_held_out_rows_are_not_learned_from(
    recipe: dict[str, Any], copied: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(copied / "train.csv")
    copies = table["photo"].isin(COPIES.values())
    table[~copies].to_csv(copied / "train.csv", index=False)
    further = pd.read_csv(copied / "test.csv")
    pd.concat([table.loc[copies, ["photo"]], further]).to_csv(copied / "more.csv", index=False)
    recipe["data"] |= {"unlabelled": "more.csv"}
    del recipe["data"]["test"]
    fit = recipe["stages"]["fit"]
    label = {"kind": "label", "from": "fit", "per_class": "all"}
    recipe["stages"] = {"fit": fit, "labels": label, "student": {**fit, "labels": "labels"}}
    recipe["folds"]["only"] = [0]
    done = run(recipe, tmp_path / "run", copied)
    assert done.summary["stages"]["labels"]["not_compared"] == []
    left_out = pd.read_parquet(tmp_path / "run/stages/labels/fold0.parquet").set_index("id")["left_out"]
    held_out = set(done.oof["id"])
    for original, name in COPIES.items():
        assert left_out[name] == ("held_out" if original in held_out else "seen")
    assert (left_out.drop(list(COPIES.values())) == "").all()
