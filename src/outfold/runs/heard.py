"""What members hear of the windows that recordings are cut into, or that tables name, and of their spectrum."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from outfold.data.audio.decode import GRACE_S
from outfold.data.findings import Finding, count
from outfold.data.rows import SOURCE, name_rows
from outfold.data.table import Part, Samples, sources_of
from outfold.errors import DataError, RecipeError
from outfold.settings.audio_view import AudioView
from outfold.settings.label import LabelStage
from outfold.settings.mel import LogMel
from outfold.settings.recipe import Recipe
from outfold.stages.inputs import sound_members
from outfold.views.audio.filters import empty_filters

TableName = Part | Literal["new"]
"""Of one of the recipe's tables, or of rows that are predicted once the run is done."""


class _Unlike(NamedTuple):
    """A member that hears windows of another length than those it predicts."""

    place: str
    heard_s: float
    table: str
    cut_s: float


def check_windows(recipe: Recipe) -> None:
    """Refuse members that would hear only the beginning of the windows they predict.

    Raises:
        RecipeError: names the member.
    """
    for one in _unlike(recipe):
        if one.heard_s < one.cut_s:
            raise RecipeError(
                f"{one.place} hears the first {one.heard_s:g} s of each window of {one.table}, and never the rest",
                got=f"view.window_s {one.heard_s:g}, windows of {one.cut_s:g} s",
                expected="windows no longer than what is heard at once",
                fix=f"set window_s of {one.table} to {one.heard_s:g}; its hop_s says how far windows lie from each "
                "other",
            )


def check_rows(recipe: Recipe, part: TableName, samples: Samples) -> None:
    """Refuse rows of tables that name their seconds, and have more of them than members that predict them hear.

    Rows without an end are whole files, of which the first window is predicted, as it is of training rows.

    Raises:
        DataError: names the member and the rows.
    """
    seconds = _given_s(recipe, part, samples)
    for place, heard_s in _listeners(recipe, part):
        longer = np.flatnonzero(np.isfinite(seconds) & (seconds > heard_s + GRACE_S))
        if len(longer):
            what = f"{count(len(longer), 'row')} of the {part} table"
            raise DataError(
                f"{place} hears the first {heard_s:g} s of {what}, and never the rest: "
                f"{name_rows(samples.frame, longer)}",
                got=f"view.window_s {heard_s:g}, rows of {seconds[longer].max():g} s",
                expected="rows no longer than what is heard at once",
                fix=f"cut them into windows of {heard_s:g} s: a row for each",
            )


def short_row_findings(recipe: Recipe, part: TableName, samples: Samples) -> list[Finding]:
    """Rows of tables that name their seconds, and fill only a part of what a member hears at once."""
    findings, seconds = [], _given_s(recipe, part, samples)
    for place, heard_s in _listeners(recipe, part):
        shorter = int(np.sum(seconds < heard_s - GRACE_S))
        if shorter:
            rows = f"{count(shorter, 'row')} of {len(samples):,} of the {part} table"
            what = f"{place} hears {heard_s:g} s at once, and {rows} last less: each stands in the middle of silence"
            findings.append(Finding("warning", what, fix=f"give windows of {heard_s:g} s, unless this is meant"))
    return findings


def _given_s(recipe: Recipe, part: TableName, samples: Samples) -> np.ndarray:
    """How long rows last by their table, float64 (n,) in seconds.

    Infinite for whole files, and for windows of `recordings`, whose length the recipe itself says; see `check_windows`.
    """
    if samples.clips is None:
        return np.full(len(samples), np.inf)
    seconds = samples.clips.end_s - samples.clips.start_s
    if part == "new":
        return seconds
    cut = [source.name or source.table for source in sources_of(recipe.data, part) if source.recordings is not None]
    return np.where(samples.frame[SOURCE].isin(cut), np.inf, seconds) if cut else seconds


def heard_findings(recipe: Recipe) -> list[Finding]:
    """Windows that fill only a part of what a member hears at once, and bands of log-mel pictures without sound."""
    findings = []
    for one in (one for one in _unlike(recipe) if one.heard_s > one.cut_s):
        what = f"{one.place} hears {one.heard_s:g} s at once, and the windows of {one.table} last {one.cut_s:g} s"
        fix = f"cut windows of {one.heard_s:g} s (hop_s may stay as it is), unless this is meant"
        findings.append(Finding("warning", f"{what}: each stands in the middle of silence", fix=fix))
    return findings + _empty_bands(recipe)


def _empty_bands(recipe: Recipe) -> list[Finding]:
    """Said once for members of equal settings."""
    places: dict[LogMel, list[str]] = {}
    for stage, member, view in sound_members(recipe):
        if isinstance(view, AudioView):
            places.setdefault(view.mel, []).append(f"stage {stage!r}, member {member!r}")
    findings = []
    for mel, named in places.items():
        empty = len(empty_filters(mel))
        if empty:
            others = f" and {count(len(named) - 1, 'member')} more" if named[1:] else ""
            what = f"{named[0]}{others}: {empty} of {mel.mels} mel bands are silent whatever is heard"
            why = f"narrower than the {mel.sample_rate / mel.n_fft:.1f} Hz between two frequencies of the spectrum"
            fix = "raise mel.n_fft, or lower mel.mels"
            findings.append(Finding("warning", f"{what}, being {why}", fix=fix))
    return findings


def _unlike(recipe: Recipe) -> Iterator[_Unlike]:
    """Members and tables of recordings whose windows differ in length."""
    parts: tuple[Part, ...] = ("test", "unlabelled")
    for part in parts:
        cuts = [source.recordings for source in sources_of(recipe.data, part) if source.recordings is not None]
        for place, heard_s in _listeners(recipe, part):
            for cut in cuts:
                if abs(cut.window_s - heard_s) > GRACE_S:
                    yield _Unlike(place, heard_s, f"data.{part}.recordings", cut.window_s)


def _listeners(recipe: Recipe, part: TableName) -> Iterator[tuple[str, float]]:
    """Each member that predicts rows by their sound, and how many seconds it hears at once.

    All members predict the test table, teachers alone the rows without labels: a student hears some seconds of these
    at random, as of every row that it learns from. Later rows are predicted by those whom the answer needs.
    """
    stages: set[str] = set()
    if part == "test":
        stages = set(recipe.stages)
    elif part == "unlabelled":
        labels = [stage for stage in recipe.stages.values() if isinstance(stage, LabelStage)]
        stages = {stage.source for stage in labels if stage.rows == "unlabelled"}
    elif part == "new":
        stages = set(recipe.ancestors(recipe.final_stage()))
    for stage, member, view in sound_members(recipe):
        if stage in stages:
            yield f"stage {stage!r}, member {member!r}", view.window_s
