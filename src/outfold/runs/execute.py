"""One execution of a recipe: lock the folder, load the data, do what is not done yet, write down what came out."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from outfold.data.findings import LEVELS
from outfold.data.folds import write_folds
from outfold.duplicates.find import Duplicates
from outfold.duplicates.outcome import summary as found_lines
from outfold.errors import OutfoldError
from outfold.files import read_json, write_json, write_text
from outfold.recipe.load import dump_recipe
from outfold.report import write_report
from outfold.run_folder import AUDIT, FOLDS, RECIPE, SUMMARY, EventLog, locked, variant_file
from outfold.runs.audit import audit_finished
from outfold.runs.borrow import borrow
from outfold.runs.diagnose import write_diagnosis
from outfold.runs.duplicates import FOLDER as DUPLICATES
from outfold.runs.duplicates import write_found
from outfold.runs.member_files import ensemble_stage, member_names
from outfold.runs.plan import plan
from outfold.runs.prepare import load_dataset
from outfold.runs.summary import data_summary, environment_summary, stage_summary, write_codecs, write_tables
from outfold.runs.validate import validate
from outfold.runs.vectors import keep_backbones
from outfold.settings.adapt import AdaptStage
from outfold.settings.blend import BlendStage
from outfold.settings.recipe import Recipe
from outfold.settings.serve import ServeStage
from outfold.settings.train import TrainStage
from outfold.stages import STAGE_KINDS
from outfold.stages.base import Compute, Context, Emit, Job
from outfold.stages.scope import context_for
from outfold.tracking import tracking_listener
from outfold.training.device import choose_device, prepare_process, tiny_numbers_as_zero
from outfold.work import default_workers


def execute(
    recipe: Recipe,
    folder: Path,
    *,
    root: Path,
    device: str = "auto",
    workers: int | None = None,
    emit: Emit = lambda event: None,
    siblings: Sequence[Path] = (),
) -> dict[str, Any]:
    """Run a recipe in a folder, or go on where an earlier process stopped.

    Args:
        recipe: the effective recipe.
        folder: the run folder; made when missing.
        root: folder that tables and media lie in.
        device: auto, cpu, cuda, cuda:1, mps.
        workers: threads that read samples; as many as cores, at most 8, when not given.
        emit: is told what happens, besides the run's own log.
        siblings: run folders whose finished models are taken over where they are the very same.

    Returns:
        The summary, as written to summary.json.

    Raises:
        OutfoldError: something the user can mend; finished jobs are kept.
    """
    started = time.perf_counter()
    prepare_process()
    with ExitStack() as stack:
        stack.enter_context(locked(folder))
        stack.enter_context(tiny_numbers_as_zero())
        log = EventLog(folder)
        stack.callback(log.close)
        told = _both(emit, log)
        tell = _both(told, tracking_listener(recipe, folder, told))
        tell({"event": "started", "recipe": recipe.name, "folder": str(folder), "pid": os.getpid()})
        head = {"recipe": recipe.name, "task": recipe.task.kind, "metric": recipe.task.metric}
        try:
            found: list[Duplicates] = []
            compute = Compute(choose_device(device), workers or default_workers(), tell)
            validate(recipe, root)
            context = Context(recipe, load_dataset(recipe, root, compute, keep=found.append), folder, compute)
            plan(context)
            if siblings:
                tell({"event": "borrowed", "jobs": borrow(context, siblings)})
            todo = [job for job in context.jobs if not context.is_done(job)]
            # Only now, for what the folder holds of an earlier run stays its outcome until this one has a plan.
            write_text(folder / RECIPE, dump_recipe(recipe))
            write_json(folder / SUMMARY, head | {"status": "running"})
            _note_duplicates(recipe, found, folder, tell)
            summary = head | _run(todo, context)
            summary |= {"seconds": round(time.perf_counter() - started, 2), "status": "complete"}
            write_json(folder / SUMMARY, summary)
            tell({"event": "report"})
            _diagnose(recipe, folder, root, tell)
            write_report(folder)
        except BaseException as error:
            reason = error.problem if isinstance(error, OutfoldError) else f"{type(error).__name__}: {error}"
            _note_failure(folder, head, reason, tell)
            raise
        tell({"event": "finished", "score": summary.get("score"), "seconds": summary["seconds"]})
    return summary


def _run(todo: Sequence[Job], context: Context) -> dict[str, Any]:
    """Do the jobs, write the tables, and say what came out."""
    recipe, dataset, folder = context.recipe, context.dataset, context.folder
    write_folds(folder / FOLDS, dataset.folds)
    for name, table in dataset.variants.items():
        write_folds(folder / variant_file(name), table)
    write_codecs(folder, dataset)
    keep_backbones(recipe, folder, dataset.root)
    megapixels = sum(job.work for job in todo)
    done = len(context.jobs) - len(todo)
    planned = {"jobs": len(context.jobs), "done": done, "megapixels": megapixels, "sample": recipe.data.noun.sample}
    context.compute.emit({"event": "planned", **planned})
    stages = {}
    for name in recipe.stages:
        _run_stage(name, [job for job in todo if job.stage == name], context)
        stages[name] = stage_summary(name, context_for(name, context), context.results[name])
    final = recipe.final_stage()
    write_tables(context, context.results[final])
    context.compute.emit({"event": "audit"})
    findings = audit_finished(context, context.results[final])
    write_json(folder / AUDIT, {"findings": [finding.to_dict() for finding in findings]})
    return {
        "score": stages[final].get("score"),
        "scores": stages[final].get("scores", {}),
        "stages": stages,
        "environment": environment_summary(context.compute.device),
        "data": data_summary(dataset),
        "audit": {f"{level}s": [one.what for one in findings if one.level == level] for level in LEVELS},
    }


def _run_stage(name: str, jobs: Sequence[Job], context: Context) -> None:
    stage = context.recipe.stages[name]
    kind, seen = STAGE_KINDS[stage.kind], context_for(name, context)
    for job in jobs:
        context.compute.emit({"event": "job", "job": job.title, "megapixels": job.work})
        kind.perform(job, stage, seen)
        context.compute.emit({"event": "job_done", "job": job.title, "megapixels": job.work})
    context.results[name] = kind.collect(name, stage, seen)


def _diagnose(recipe: Recipe, folder: Path, root: Path, emit: Emit) -> None:
    """Diagnose the members of a finished run of several; a run stays complete where that is not possible."""
    made_of, predicts = ensemble_stage(recipe), TrainStage | ServeStage | AdaptStage | BlendStage
    if not isinstance(recipe.stages[made_of], predicts) or not recipe.predicts_out_of_fold(made_of):
        return
    if len(member_names(recipe, made_of)) < 2:
        return
    try:
        write_diagnosis(folder, root=root)
    except OutfoldError as error:
        emit({"event": "warning", "text": f"the members were not diagnosed: {error.problem}"})


def _note_duplicates(recipe: Recipe, found: Sequence[Duplicates], folder: Path, emit: Emit) -> None:
    """Write down the near-duplicates that were found, and say how many there are and where to look at them."""
    for duplicates in found:
        assert recipe.duplicates is not None  # they were looked for
        written = [str(path) for path in write_found(folder / DUPLICATES, duplicates, recipe.duplicates)]
        emit({"event": "duplicates_found", "lines": list(found_lines(duplicates)), "files": written})


def _note_failure(folder: Path, head: dict[str, Any], reason: str, emit: Emit) -> None:
    """Say in the summary and the log that the run stopped, as far as the disk allows.

    A complete summary of an earlier command stays: its outcome is still there.
    """
    try:
        emit({"event": "failed", "reason": reason})
        if not (folder / SUMMARY).exists() or read_json(folder / SUMMARY).get("status") != "complete":
            write_json(folder / SUMMARY, head | {"status": "failed", "error": reason})
    except OutfoldError:
        return  # the disk refuses; the error itself is on its way to the user


def _both(first: Emit, second: Emit) -> Callable[[dict[str, Any]], None]:
    def emit(event: dict[str, Any]) -> None:
        first(event)
        second(event)

    return emit
