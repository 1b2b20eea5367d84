from pathlib import Path
from typing import Any

import pytest
import torch

import outfold
from outfold.audit.provenance import leaks
from outfold.runs.lineage import lineage
from outfold.runs.prepare import load_dataset
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute


@pytest.fixture
def quick_recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    return tiny_recipe


def artefacts(recipe: dict[str, Any], root: Path, folder: Path | None = None) -> list[Any]:
    loaded = Recipe.model_validate(recipe)
    return lineage(loaded, load_dataset(loaded, root, Compute(torch.device("cpu"))), folder)


def test_a_run_knows_what_its_weights_have_seen(quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    done = outfold.run(Recipe.model_validate(quick_recipe), tmp_path / "run", data=shapes, device="cpu")
    found = artefacts(quick_recipe, shapes, tmp_path / "run")
    assert [artefact.name for artefact in found] == [f"fit/a/fold{fold}-seed0" for fold in range(3)]
    by_fold = done.oof.groupby("fold")["id"].agg(set)
    for fold, artefact in enumerate(found):
        assert artefact.judged_on == by_fold[fold]
        assert artefact.fitted_on == set(done.oof["id"]) - by_fold[fold]
    assert found == artefacts(quick_recipe, shapes)  # what was planned is what was done
    assert leaks(found) == []


@pytest.mark.slow
def test_weights_of_another_run_that_saw_the_validation_rows_are_caught(
    quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    outfold.run(Recipe.model_validate(quick_recipe), tmp_path / "first", data=shapes, device="cpu")
    moved = tmp_path / "weights.safetensors"  # even when the file leaves its run
    moved.write_bytes((tmp_path / "first/stages/fit/a/fold0-seed0/weights.safetensors").read_bytes())
    quick_recipe["stages"]["fit"]["weights"] = f"file:{moved}"
    second = outfold.run(Recipe.model_validate(quick_recipe), tmp_path / "second", data=shapes, device="cpu")
    for folder in (None, tmp_path / "second"):
        (finding,) = leaks(artefacts(quick_recipe, shapes, folder))
        assert (finding.level, finding.rule) == ("error", "fitted-on-judged-rows")
        assert {place.id for place in finding.places} == set(second.oof["id"][second.oof["fold"] > 0])
        assert f"weights file {moved}" in finding.what


def test_weights_that_do_not_say_what_they_saw_are_noted(
    quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    outfold.run(Recipe.model_validate(quick_recipe), tmp_path / "first", data=shapes, device="cpu")
    from safetensors.torch import load_file

    torch.save(load_file(tmp_path / "first/stages/fit/a/fold0-seed0/weights.safetensors"), tmp_path / "weights.pth")
    quick_recipe["stages"]["fit"]["weights"] = f"file:{tmp_path / 'weights.pth'}"
    (finding,) = leaks(artefacts(quick_recipe, shapes))
    assert (finding.level, finding.rule) == ("note", "unknown-origin")


@pytest.mark.slow
@pytest.mark.parametrize("teachers", ["same_fold", "all"])
def test_students_descend_from_their_teachers(
    teachers: str, quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    quick_recipe["folds"]["only"] = [0, 1]
    stages = quick_recipe["stages"]
    stages["fit"]["members"]["b"] = {}
    label = {"kind": "label", "from": "fit", "rows": "test", "teachers": teachers}
    quick_recipe["stages"] = {"fit": stages["fit"], "said": label, "student": {**stages["fit"], "labels": "said"}}
    outfold.run(Recipe.model_validate(quick_recipe), tmp_path / "run", data=shapes, device="cpu")
    found = artefacts(quick_recipe, shapes, tmp_path / "run")
    assert found == artefacts(quick_recipe, shapes)  # what was planned is what was done
    by_name = {artefact.name: artefact for artefact in found}
    told = {f"fit/{member}/fold{fold}-seed0" for member in "ab" for fold in ((0, 1) if teachers == "all" else (0,))}
    assert set(by_name["said/fold0"].inherits) == told
    assert by_name["student/a/fold0-seed0"].inherits == ("said/fold0",)
    assert bool(leaks(found)) == (teachers == "all")
