"""Rows with the recordings that a recipe's members hear."""

from pathlib import Path

import numpy as np

from outfold.data.audio.decode import Missing
from outfold.data.audio.sounds import Backgrounds, Sounds, build_backgrounds, build_sounds
from outfold.data.cache import default_cache_folder
from outfold.data.dataset import Rows
from outfold.data.rows import name_rows
from outfold.data.table import Samples
from outfold.errors import RecipeError
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute
from outfold.stages.inputs import sound_key, sound_members
from outfold.views.audio.chain import background_patterns


def with_sounds(recipe: Recipe, samples: Samples, table: str, compute: Compute) -> tuple[Rows, dict[int, str]]:
    """The rows whose recordings can be used, and why the others, by place, cannot.

    Args:
        recipe: the effective recipe, some of whose members hear recordings.
        samples: rows of one table.
        table: what errors and progress call it.
        compute: threads; is told {"event": "recordings", "done", "total", "table"}.

    Raises:
        RecipeError: the recipe does not say where these rows' recordings are.
        MediaError: recordings cannot be used, and the recipe does not drop such rows.
    """
    if samples.media is None or samples.clips is None:
        raise RecipeError(
            "the stages hear recordings, but the recipe does not say where they are", fix="set data.audio"
        )
    views = {sound_key(view): view for _, _, view in sound_members(recipe)}
    sounds = {key: _sounds(view, recipe, samples, table, compute) for key, view in views.items()}
    bad: dict[int, str] = {}
    for one in sounds.values():
        bad |= one.bad
    kept = np.array([row for row in range(len(samples)) if row not in bad], dtype=np.int64)
    sounds = {key: one.take(kept) for key, one in sounds.items()}
    content = next(iter(sounds.values())).content
    return Rows(samples.take(kept), content=content, sounds=sounds), dict(sorted(bad.items()))


def backgrounds(recipe: Recipe, root: Path, compute: Compute) -> dict[tuple[str, int], Backgrounds]:
    """By pattern and rate, the recordings that members mix into those of rows.

    Raises:
        DataError, MediaError: a pattern fits no file, or a file is no recording.
    """
    wanted = {
        (pattern, view.sample_rate): None
        for _, _, settings in recipe.members()
        if isinstance(view := settings.view, AudioView | WaveformView)
        for pattern in background_patterns(settings.augment)
    }
    folder = default_cache_folder() / "recordings"
    return {
        (pattern, rate): build_backgrounds(pattern, root, rate, folder, workers=compute.workers)
        for pattern, rate in wanted
    }


def _sounds(view: AudioView | WaveformView, recipe: Recipe, samples: Samples, table: str, compute: Compute) -> Sounds:
    assert samples.media is not None and samples.clips is not None  # checked by the caller
    return build_sounds(
        samples.media,
        samples.clips,
        view.sample_rate,
        view.span_s,
        default_cache_folder() / "recordings",
        missing=missing_of(recipe),
        workers=compute.workers,
        on_bad=recipe.data.on_bad_media,
        name_row=lambda row: name_rows(samples.frame, [row]),
        progress=lambda done, total: compute.emit(
            {"event": "recordings", "table": table, "done": done, "total": total}
        ),
    )


def missing_of(recipe: Recipe) -> Missing:
    """Whether seconds behind the end of a recording are silence: where the recipe asks for such windows."""
    padded = any(one.recordings is not None and one.recordings.last == "pad" for one in recipe.data.sources)
    return "pad" if padded else "refuse"
