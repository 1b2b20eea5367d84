"""The Python interface: run a recipe, load a run, compare variants of a recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outfold.errors import RecipeError
from outfold.recipe.load import load_recipe
from outfold.recipe.study import load_study
from outfold.report.ablation import Ablation
from outfold.runs.ablate import ablate as run_study
from outfold.runs.execute import execute
from outfold.runs.loaded import Run
from outfold.settings.recipe import Recipe
from outfold.stages.base import Emit

__all__ = ["Ablation", "Run", "ablate", "load_run", "run"]


def run(
    recipe: Recipe | Path | str,
    out: Path | str,
    *,
    data: Path | str = ".",
    overrides: Sequence[str] = (),
    profile: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    emit: Emit = lambda event: None,
) -> Run:
    """Run a recipe, or go on where an earlier process stopped, and return the finished run.

    Args:
        recipe: a recipe, the path of one, or the name of a built-in one.
        out: the run folder; made when missing.
        data: folder that the recipe's relative paths start from.
        overrides: texts like "fit.batch_size=16", laid over the recipe.
        profile: name of one of the recipe's profiles.
        device: auto, cpu, cuda, cuda:1, mps.
        workers: threads that read samples; one a core, at most 8, when not given.
        emit: is told what happens, one dictionary an event.

    Raises:
        OutfoldError: something the user can mend; finished work is kept.
    """
    if isinstance(recipe, Recipe) and (overrides or profile):
        raise RecipeError(
            "overrides and profile are laid over a recipe as it is loaded", fix="give them to outfold.load_recipe"
        )
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides=overrides, profile=profile)
    execute(recipe, Path(out), root=Path(data).resolve(), device=device, workers=workers, emit=emit)
    return load_run(out)


def load_run(path: Path | str) -> Run:
    """A finished run: `.score`, `.oof`, `.predictions`, `.predict(rows)`.

    Raises:
        RunError: the folder holds no complete run.
    """
    return Run(path)


def ablate(
    recipe: Recipe | Path | str,
    vary: Path | str | Mapping[str, Any],
    out: Path | str,
    *,
    data: Path | str = ".",
    overrides: Sequence[str] = (),
    profile: str | None = None,
    only: Sequence[str] = (),
    device: str = "auto",
    workers: int | None = None,
    emit: Emit = lambda event: None,
) -> Ablation:
    """Run variants of a recipe against a baseline, on the same folds with the same seeds, and compare them.

    Args:
        recipe: a recipe, the path of one, or the name of a built-in one.
        vary: a YAML file, the name of one that comes with outfold, or its content:
            `{"baseline": {path: value}, "variants": {name: {path: value}}}`.
        out: folder of all runs, and of ablation.csv, ablation.json and ablation.html.
        data: folder that the recipe's relative paths start from.
        overrides: texts like "fit.batch_size=16", for the baseline and all variants.
        profile: name of one of the recipe's profiles.
        only: names of the variants to run; all when not given.
        device: auto, cpu, cuda, cuda:1, mps.
        workers: threads that read samples; one a core, at most 8, when not given.
        emit: is told what happens, one dictionary an event.

    Raises:
        OutfoldError: something the user can mend; finished work is kept.
    """
    study = load_study(recipe, vary, overrides=overrides, profile=profile, only=only)
    return run_study(study, Path(out), root=Path(data).resolve(), device=device, workers=workers, emit=emit)
