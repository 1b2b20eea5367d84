"""Later recordings pass by once: decoded as the run's models hear them, and kept nowhere."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from outfold.runs.dropped import tell_dropped
from outfold.runs.sounds import missing_of, refuse_without_sound
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings, TrainStage
from outfold.stages.base import Inference
from outfold.stages.hearing import Heard, Listener, hear
from outfold.stages.outputs import member_codec
from outfold.stages.scope import inference_for


def passes_by(recipe: Recipe) -> bool:
    """Whether later recordings can be heard once and forgotten: all who hear them are plain members of train stages."""
    return bool(listeners_of(recipe))


def listeners_of(recipe: Recipe) -> dict[tuple[str, str], TrainSettings]:
    """By stage and member, who hears later rows; nobody where their sound is asked for more than once.

    That is where models go on training on it, or read the row's columns too, which another stage may have to predict
    first.
    """
    found = {}
    for stage in recipe.ancestors(recipe.final_stage()):
        for member, settings in recipe.members_of(stage).items():
            if not isinstance(settings.view, AudioView | WaveformView):
                continue
            if not isinstance(recipe.stages[stage], TrainStage) or settings.table is not None:
                return {}
            found[stage, member] = settings
    return found


def heard_once(inference: Inference, dropped: Sequence[tuple[str, str]] = ()) -> Inference:
    """The inference with what its listeners say of the rows, without the rows that turned out to have no sound.

    Args:
        inference: of rows whose recordings nobody has decoded yet.
        dropped: (id, reason) of rows that were left out before, of which nobody was told.

    Raises:
        RecipeError: the recipe does not say where these rows' recordings are.
        MediaError: rows have no sound, and the recipe does not drop such rows.
        DataError: no row has any.
    """
    refuse_without_sound(inference.rows.samples)
    members, data = listeners_of(inference.recipe), inference.recipe.data
    listeners = [
        Listener(
            settings,
            member_codec(settings, inference_for(stage, inference).codec),
            inference.folder / "stages" / model.place,
        )
        for (stage, member), settings in members.items()
        for model in inference.models[stage, member]
    ]
    samples, found = inference.rows.samples, Heard([], {})
    if len(samples):
        found = hear(listeners, samples, inference.compute, missing_of(inference.recipe, "new"), data.on_bad_media)
    kept = np.array([row for row in range(len(samples)) if row not in found.bad], dtype=np.int64)
    without = [*dropped, *((str(samples.ids[row]), reason) for row, reason in found.bad.items())]
    tell_dropped(without, len(samples) + len(dropped), "new", inference.compute)
    each = iter(found.predictions)
    heard = {member: list(islice(each, len(inference.models[member]))) for member in members}
    return replace(inference, rows=inference.rows.take(kept), heard=heard)
