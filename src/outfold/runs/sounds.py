"""Rows with the recordings that a recipe's members hear."""

from functools import partial
from pathlib import Path

import numpy as np

from outfold.data.audio.backgrounds import Backgrounds, background_findings, build_backgrounds
from outfold.data.audio.decode import Missing
from outfold.data.audio.sounds import Sounds, build_sounds
from outfold.data.cache import default_cache_folder
from outfold.data.checks import Progress as Tell
from outfold.data.dataset import Rows
from outfold.data.findings import Finding, Level
from outfold.data.rows import name_rows
from outfold.data.table import Part, Samples, has_padded_windows
from outfold.errors import RecipeError
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute
from outfold.stages.inputs import sound_key, sound_members
from outfold.views.audio.chain import background_patterns


def refuse_without_sound(samples: Samples) -> None:
    """Raise RecipeError where nothing says where the rows' recordings are."""
    if samples.media is None or samples.clips is None:
        raise RecipeError(
            "the stages hear recordings, but the recipe does not say where they are", fix="set data.audio"
        )


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
    refuse_without_sound(samples)
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
        DataError: a pattern fits no file.
        MediaError: files cannot be used, and the recipe does not drop such media; or none can.
    """
    folder, workers, on_bad = default_cache_folder() / "recordings", compute.workers, recipe.data.on_bad_media
    return {
        (pattern, rate): build_backgrounds(pattern, root, rate, folder, workers=workers, on_bad=on_bad)
        for pattern, rate in _mixed_in(recipe)
    }


def check_backgrounds(recipe: Recipe, root: Path, *, workers: int, progress: Tell | None = None) -> list[Finding]:
    """What a look at these recordings shows before a run, each pattern once.

    Args:
        recipe: the effective recipe.
        root: data root.
        workers: threads that decode.
        progress: is told (what they are, files done, files in all).
    """
    findings = []
    level: Level = "error" if recipe.data.on_bad_media == "stop" else "warning"
    for pattern in dict.fromkeys(pattern for pattern, _ in _mixed_in(recipe)):
        tell = None if progress is None else partial(progress, f"backgrounds {pattern}")
        findings += background_findings(pattern, root, level=level, workers=workers, progress=tell)
    return findings


def _mixed_in(recipe: Recipe) -> list[tuple[str, int]]:
    """Patterns of backgrounds and the rates (Hz) that members hear them at, each once."""
    wanted = [
        (pattern, view.sample_rate)
        for _, _, settings in recipe.members()
        if isinstance(view := settings.view, AudioView | WaveformView)
        for pattern in background_patterns(settings.augment)
    ]
    return list(dict.fromkeys(wanted))


def _sounds(view: AudioView | WaveformView, recipe: Recipe, samples: Samples, table: str, compute: Compute) -> Sounds:
    assert samples.media is not None and samples.clips is not None  # checked by the caller
    return build_sounds(
        samples.media,
        samples.clips,
        view.sample_rate,
        view.span_s,
        default_cache_folder() / "recordings",
        missing=missing_of(recipe, table),
        workers=compute.workers,
        on_bad=recipe.data.on_bad_media,
        name_row=lambda row: name_rows(samples.frame, [row]),
        progress=lambda done, total: compute.emit(
            {"event": "recordings", "table": table, "done": done, "total": total}
        ),
    )


def missing_of(recipe: Recipe, table: str) -> Missing:
    """Whether seconds behind the end of a recording are silence: where the table is one of such windows.

    Args:
        recipe: the effective recipe.
        table: train, test, unlabelled, or new for rows that are read as those of the test table are.
    """
    part: Part = "train" if table == "train" else "unlabelled" if table == "unlabelled" else "test"
    return "pad" if has_padded_windows(recipe.data, part) else "refuse"
