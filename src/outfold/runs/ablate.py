"""An ablation: the baseline and every variant as a run of its own, on the same folds with the same seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.table import Samples, load_samples
from outfold.errors import OutfoldError, RecipeError
from outfold.files import write_text
from outfold.metrics import metric_of
from outfold.recipe.files import require_files
from outfold.recipe.study import Study
from outfold.report.ablation import Ablation, Variant
from outfold.run_folder import FOLDS, variant_file
from outfold.runs.ablated import LEVEL, judged_against, variant_of, write_ablation
from outfold.runs.execute import execute
from outfold.runs.validate import validate
from outfold.settings.ablation import BASELINE
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainStage
from outfold.stages.base import Emit
from outfold.tracking import require_packages

KEPT = ("group", "unknown_group", "cut", "only", "duplicates", "k")
"""Settings of folds that still mean something when the folds come from a file."""


def ablate(
    study: Study,
    out: Path,
    *,
    root: Path,
    device: str = "auto",
    workers: int | None = None,
    emit: Emit = lambda event: None,
) -> Ablation:
    """Run what is not done yet, and compare every variant with the baseline.

    Each recipe's run folder is `out`/NAME. A model that another of them trained with the very same settings, rows and
    seed is taken over. A variant that fails is left out, and said.

    Args:
        study: the recipes.
        out: folder of all run folders and of the outcome; made when missing.
        root: folder that tables and media lie in.
        device: auto, cpu, cuda, cuda:1, mps.
        workers: threads that read samples.
        emit: is told {"event": "variant", "name", "number", "of"} before each run, {"event": "variant_failed", "name",
            "reason"}, and what the runs tell.

    Raises:
        OutfoldError: something the user can mend, in whichever recipe, before anything runs; or the baseline fails.
    """
    check_study(study, root)
    recipes = {BASELINE: study.baseline, **study.variants}
    trained: dict[str, int] = {}
    failed: dict[str, str] = {}
    for number, (name, recipe) in enumerate(recipes.items(), 1):
        emit({"event": "variant", "name": name, "number": number, "of": len(recipes)})
        counter = _Counter(emit)
        siblings = [path for path in sorted(out.glob("*/")) if path.name != name]
        try:
            shared = recipe if name == BASELINE else with_shared_folds(name, recipe, study.baseline, out, root)
            execute(shared, out / name, root=root, device=device, workers=workers, emit=counter, siblings=siblings)
        except OutfoldError as error:
            if name == BASELINE:
                raise
            failed[name] = error.problem
            emit({"event": "variant_failed", "name": name, "reason": str(error)})
        trained[name] = counter.fits
    ablation = outcome(study, out, trained, failed)
    write_ablation(out, ablation)
    return ablation


def check_study(study: Study, root: Path) -> None:
    """Look at every recipe before anything runs: files, names, weights, and rows that have no fold in the baseline.

    Raises:
        OutfoldError: names the variant.
    """
    require_files(study.baseline, root)
    ids = _samples(study.baseline, root).ids
    for name, recipe in {BASELINE: study.baseline, **study.variants}.items():
        try:
            require_files(recipe, root)
            require_packages(recipe.track)
            validate(recipe, root)
            if recipe.data != study.baseline.data:
                _refuse_rows_without_folds(recipe, ids, root)
            if needs_fold_files(recipe, study.baseline):
                _refuse_folds_without_files(recipe, study.baseline)
        except OutfoldError as error:
            problem = f"variant {name!r}: {error.problem}" if name != BASELINE else error.problem
            raise type(error)(problem, got=error.got, expected=error.expected, fix=error.fix) from error


def needs_fold_files(recipe: Recipe, baseline: Recipe) -> bool:
    """Whether folds made anew for a variant could differ from the baseline's, which it then reads from files."""
    return recipe.folds.column is None and _dealt_out(recipe) != _dealt_out(baseline)


def with_shared_folds(name: str, recipe: Recipe, baseline: Recipe, out: Path, root: Path) -> Recipe:
    """The recipe on the baseline's folds: as it is where it has the same rows, else by files of its rows' folds.

    Args:
        name: of the variant.
        recipe: its recipe.
        baseline: the baseline's recipe, which has run.
        out: folder of the run folders; the files are written here.
        root: folder that the tables lie in.
    """
    if not needs_fold_files(recipe, baseline):
        return recipe
    samples = _samples(recipe, root)
    ids = samples.ids
    folds: dict[str, Any] = recipe.folds.model_dump(exclude_unset=True, include=set(KEPT))
    # A table that was taken away may have brought a group column; the folds that are handed on know its groups.
    folds["group"] = [name for name in recipe.folds.group if name in samples.frame.columns]
    folds["file"] = _own_rows(out / BASELINE / FOLDS, ids, out / f"folds-of-{name}.csv")
    for variant in recipe.fold_variants():
        own = out / f"folds-of-{name}-{variant}.csv"
        file = _own_rows(out / BASELINE / variant_file(variant), ids, own)
        folds.setdefault("variants", {})[variant] = {"file": file}
    return Recipe.model_validate({**recipe.model_dump(by_alias=True, exclude_unset=True), "folds": folds})


def outcome(study: Study, out: Path, trained: Mapping[str, int], failed: Mapping[str, str]) -> Ablation:
    """What the runs came to.

    Args:
        study: the recipes.
        out: folder of the run folders.
        trained: by name, how many models were trained now.
        failed: by name, why a variant did not come to an end.
    """
    final = study.baseline.final_stage()
    baseline = variant_of(BASELINE, study.changes[BASELINE], out / BASELINE, final, trained=trained[BASELINE])
    finished = {
        name: (
            variant_of(
                name,
                study.changes[name],
                out / name,
                recipe.final_stage(),
                trained=trained[name],
                notes=tuple(_notes(recipe, study.baseline)),
            ),
            out / name,
        )
        for name, recipe in study.variants.items()
        if name not in failed
    }
    task = study.baseline.task
    judged, each_level, resamples = judged_against(out / BASELINE, finished, task)
    stopped = {name: Variant(name, study.changes[name], problem=problem) for name, problem in failed.items()}
    return Ablation(
        recipe=study.baseline.name,
        description=study.description,
        metric=task.metric,
        greater_is_better=metric_of(task.answer).greater_is_better,
        baseline=baseline,
        variants=tuple({**judged, **stopped}[name] for name in study.variants),
        level=LEVEL,
        each_level=each_level,
        resamples=resamples,
    )


def _dealt_out(recipe: Recipe) -> tuple[object, ...]:
    """What decides, beside the settings of folds, which rows are dealt out and which of them are linked as copies."""
    data, look = recipe.data, recipe.duplicates
    tests = data.test if look is not None and look.test else None
    unlabelled = data.unlabelled if look is not None and recipe.labels_unlabelled() else ()
    return data.train, data.on_bad_media, look, tests, unlabelled


def _refuse_rows_without_folds(recipe: Recipe, known: np.ndarray, root: Path) -> None:
    ids = _samples(recipe, root).ids
    new = ids[~np.isin(ids.astype(str), known.astype(str))]
    if len(new):
        raise RecipeError(
            "it has rows that the baseline lacks, and that have no fold there",
            got=f"{len(new):,} rows, e.g. {new[0]}",
            fix="make the recipe with the most rows the baseline, and take rows out in the variants",
        )


def _refuse_folds_without_files(recipe: Recipe, baseline: Recipe) -> None:
    """A file of folds does not say that they follow each other in time, and the baseline writes those it uses alone."""
    if recipe.folds.time is not None:
        raise RecipeError(
            "its rows, or the copies among them, may differ from the baseline's, and folds by time cannot be handed on",
            got=f"folds.time: {recipe.folds.time}",
            expected="the same data.train, data.on_bad_media and duplicates; with duplicates, also the same data.test "
            "and the same rows to label",
            fix="leave these as they are in the baseline, or change them for all variants",
        )
    missing = sorted(set(recipe.fold_variants()) - set(baseline.fold_variants()))
    if missing:
        raise RecipeError(
            f"its members use folds.variants.{missing[0]}, which no member of the baseline uses",
            expected=f"one of {list(baseline.fold_variants())}, or the recipe's folds",
        )


def _notes(recipe: Recipe, baseline: Recipe) -> list[str]:
    """What else but its changes could make a difference."""
    seeds = [
        {name: stage.seeds for name, stage in one.stages.items() if isinstance(stage, TrainStage)}
        for one in (recipe, baseline)
    ]
    shared = [name for name in seeds[0] if name in seeds[1] and seeds[0][name] != seeds[1][name]]
    return [f"{name} trains with other seeds than the baseline: chance is part of the difference" for name in shared]


def _samples(recipe: Recipe, root: Path) -> Samples:
    return load_samples(recipe.data, root, targets=recipe.task.target)


def _own_rows(folds: Path, ids: Sequence[str] | np.ndarray, place: Path) -> str:
    """Write the folds of some rows, and return where."""
    table = pd.read_csv(folds, dtype=str, keep_default_na=False)
    columns = [name for name in table.columns if name == "id" or name.startswith("fold")]
    own = table.loc[np.isin(table["id"], list(map(str, ids))), columns]
    return str(write_text(place, own.to_csv(index=False)).resolve())


class _Counter:
    """Passes events on, and counts the models that are trained."""

    def __init__(self, emit: Emit) -> None:
        self.emit, self.fits = emit, 0

    def __call__(self, event: dict[str, Any]) -> None:
        self.fits += event["event"] == "job_done" and str(event["job"]).endswith(" fit")
        self.emit(event)
