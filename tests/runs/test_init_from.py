"""Stages that start from what another stage learned: of the same fold, or of one that has seen what is judged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import outfold
from outfold.audit.provenance import leaks
from outfold.errors import RecipeError, WeightsError
from outfold.models.seen import seen_by
from outfold.runs.lineage import lineage
from outfold.runs.prepare import load_dataset
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """One epoch of a small network, and a regression that starts from its backbone and hardly moves."""
    fit = {**tiny_recipe["stages"]["fit"], "phases": [{"name": "all", "epochs": 1, "lr": 3e-3}]}
    more = {**fit, "target": "amount", "init_from": "fit", "phases": [{"name": "all", "epochs": 1, "lr": 1e-30}]}
    del more["weights"]
    tiny_recipe["folds"]["only"] = [0, 1]
    last = {"kind": "blend", "from": ["fit"]}
    return {**tiny_recipe, "stages": {"fit": fit, "amounts": more, "last": last}}


def run(recipe: dict[str, Any], folder: Path, root: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **given)


def artefacts(recipe: dict[str, Any], root: Path, folder: Path | None = None) -> list[Any]:
    loaded = Recipe.model_validate(recipe)
    return lineage(loaded, load_dataset(loaded, root, Compute(torch.device("cpu"))), folder)


def weights(folder: Path, place: str) -> Path:
    return folder / "stages" / place / "weights.safetensors"


def parameters(folder: Path, place: str, part: str = "backbone.") -> dict[str, np.ndarray]:
    """What training moves; running statistics of batch norms move without a rate."""
    state = load_file(weights(folder, place))
    return {name: value for name, value in state.items() if name.startswith(part) and ".running_" not in name}


def test_a_stage_starts_from_the_model_of_its_own_fold(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    done = run(recipe, tmp_path / "run", shapes)
    for fold in (0, 1):
        started, came = (parameters(done.path, f"{stage}/a/fold{fold}-seed0") for stage in ("amounts", "fit"))
        for name in came:
            if "num_batches" not in name:
                np.testing.assert_allclose(started[name], came[name], rtol=1e-6, err_msg=name)
        seen = seen_by(weights(done.path, f"amounts/a/fold{fold}-seed0"))
        assert set(seen) == set(seen_by(weights(done.path, f"fit/a/fold{fold}-seed0")))
    found = artefacts(recipe, shapes, done.path)
    assert found == artefacts(recipe, shapes)  # what was planned is what was done
    assert leaks(found) == []
    by_name = {one.name: one for one in found}
    assert by_name["amounts/a/fold1-seed0"].inherits == ("fit/a/fold1-seed0",)


@pytest.mark.slow
def test_another_folds_weights_have_seen_what_is_judged(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    """As the published fourth place: all auxiliary folds went on from the main model's fold 0."""
    recipe["stages"]["amounts"]["init_from"] = {"stage": "fit", "fold": 0}
    done = run(recipe, tmp_path / "run", shapes)
    for folder in (None, done.path):
        (finding,) = leaks(artefacts(recipe, shapes, folder))
        assert (finding.level, finding.rule) == ("error", "fitted-on-judged-rows")
        assert "amounts/a/fold1-seed0 descend from weights fit/a/fold0-seed0" in finding.what
        assert {place.id for place in finding.places} == set(done.oof["id"][done.oof["fold"] == 1])
    assert any("descend from weights fit/a/fold0-seed0" in what for what in done.summary["audit"]["errors"])
    recipe["stages"]["amounts"]["init_from"]["fold"] = 2
    with pytest.raises(RecipeError, match="names a fold that 'fit' lacks"):
        run(recipe, tmp_path / "run", shapes)


def test_a_network_as_a_whole_starts_another(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    del recipe["stages"]["amounts"]["target"]
    recipe["stages"]["amounts"]["init_from"] = {"stage": "fit", "part": "all"}
    done = run(recipe, tmp_path / "run", shapes)
    started, came = (parameters(done.path, f"{stage}/a/fold0-seed0", "head.") for stage in ("amounts", "fit"))
    assert came
    for name in came:
        np.testing.assert_allclose(started[name], came[name], rtol=1e-6)


@pytest.mark.slow
def test_what_the_start_learned_decides_what_comes_of_it(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    def left() -> list[str]:
        events: list[dict[str, Any]] = []
        run(recipe, tmp_path / "run", shapes, emit=events.append)
        return [event["job"] for event in events if event["event"] == "job"]

    assert len(left()) == 14
    assert left() == []
    recipe["stages"]["fit"]["phases"][0]["lr"] = 1e-3
    assert len(left()) == 14
    recipe["stages"]["fit"]["predict"] = {"tta": "none"}
    assert not any(job.startswith("amounts") for job in left())


@pytest.mark.parametrize("part", ["backbone", "all"])
def test_weights_that_do_not_fit_are_refused_before_training(
    part: str, recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    recipe["stages"]["amounts"] |= {"backbone": "test_resnet", "init_from": {"stage": "fit", "part": part}}
    events: list[dict[str, Any]] = []
    error = (WeightsError, r"missing: backbone\.") if part == "backbone" else (RecipeError, "other outputs")
    with pytest.raises(error[0], match=error[1]):
        run(recipe, tmp_path / "run", shapes, emit=events.append)
    assert not any(event["event"] == "photos" for event in events)
