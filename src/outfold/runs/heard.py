"""What members hear of the windows that recordings are cut into, and of their spectrum."""

from collections.abc import Iterator
from typing import NamedTuple

from outfold.data.audio.decode import GRACE_S
from outfold.data.findings import Finding, count
from outfold.errors import RecipeError
from outfold.settings.audio_view import AudioView
from outfold.settings.label import LabelStage
from outfold.settings.mel import LogMel
from outfold.settings.recipe import Recipe
from outfold.stages.inputs import sound_members
from outfold.views.audio.filters import empty_filters


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
    """Members and tables of recordings whose windows differ in length.

    All members predict the test table, teachers alone the rows without labels: a student hears some seconds of these at
    random, as of every row that it learns from.
    """
    teachers = {stage.source for stage in recipe.stages.values() if isinstance(stage, LabelStage)}
    for stage, member, view in sound_members(recipe):
        tables = [("data.test", recipe.data.test)]
        if stage in teachers:
            tables += [("data.unlabelled", source) for source in recipe.data.unlabelled]
        for table, source in tables:
            cut = None if source is None else source.recordings
            if cut is not None and abs(cut.window_s - view.window_s) > GRACE_S:
                place = f"stage {stage!r}, member {member!r}"
                yield _Unlike(place, view.window_s, f"{table}.recordings", cut.window_s)
