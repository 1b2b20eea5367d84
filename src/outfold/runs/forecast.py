"""What predicting later rows will take, by what the run's own predictions took."""

from collections.abc import Iterator
from typing import Any

from outfold.run_folder import WHOLE
from outfold.settings.adapt import AdaptStage
from outfold.settings.serve import ServeStage
from outfold.settings.train import TrainSettings
from outfold.stages.base import Inference, Model
from outfold.stages.predicting import read_pace
from outfold.work import megapixels


def forecast(inference: Inference, final: str, made_on: str) -> dict[str, Any]:
    """The event {"event": "predicting", "rows", "models", "processes", "megapixels", "seconds"}.

    Args:
        inference: the rows and the models.
        final: name of the stage that is asked for; all that it needs is counted.
        made_on: kind of the device that the run computed on.

    Returns:
        `seconds` is what the same models took for as many held-out rows (or rows of the test table, where none is held
        out), one after the other; GPUs share it out, processes on a CPU have the same cores to share. None on another
        kind of device, and where the run did not write it down. Test-time training comes on top; its stage tells how
        much.
    """
    rows, pool = len(inference.rows), inference.compute.pool
    processes, device = 1 if pool is None else len(pool), inference.compute.device.type
    work, paces = 0.0, []
    for model, settings in _models(inference, final):
        work += megapixels(rows * len(settings.predict.tta), settings.view.height_width)
        step = "test" if model.fold == WHOLE else "oof"
        paces.append(read_pace(inference.folder / "stages" / model.place, step))
    known = [pace.at(rows) for pace in paces if pace is not None]
    seconds = sum(known) / (1 if device == "cpu" else processes)
    return {
        "event": "predicting",
        "rows": rows,
        "models": len(paces),
        "processes": processes,
        "megapixels": work,
        "seconds": seconds if device == made_on and len(known) == len(paces) else None,
    }


def _models(inference: Inference, final: str) -> Iterator[tuple[Model, TrainSettings]]:
    """Every model that predicts for a stage, or the one that goes on learning in its place; its member's settings."""
    recipe = inference.recipe
    for name in recipe.ancestors(final):
        stage = recipe.stages[name]
        source = stage.source if isinstance(stage, ServeStage | AdaptStage) else name
        for member, settings in recipe.members_of(name).items():
            models = inference.models[source, member]
            for model in models[:1] if isinstance(stage, AdaptStage) else models:
                yield model, settings
