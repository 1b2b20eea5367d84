"""What a model heard of samples: its picture, with axes, and a player."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outfold.data.audio.decode import decode_audio, probe_audio
from outfold.data.paths import Confinement
from outfold.errors import MediaError, OutfoldError
from outfold.report.html import Html, tag, void
from outfold.report.layout import notice
from outfold.report.loading import Evaluation
from outfold.report.numbers import counted
from outfold.report.players import encoded, that_fit
from outfold.report.shown import Shown, faults_notice
from outfold.report.spectrogram import frequency_ticks, pixels, time_ticks
from outfold.report.thumbnails import data_uri
from outfold.settings.audio_view import AudioView, SoundView, WaveformView
from outfold.settings.mel import LogMel
from outfold.settings.recipe import Recipe

BUDGET = 3_000_000
"""Bytes of a page that pictures and sound of recordings take at most."""


@dataclass(frozen=True)
class Listener:
    """Who hears the rows.

    Attributes:
        name: the member, as `stage/member`; None where no member hears recordings.
        view: which seconds.
        mel: how they are pictured.
    """

    name: str | None
    view: SoundView
    mel: LogMel

    @property
    def window_s(self) -> float:
        """Seconds that are heard at once."""
        return self.view.window_s


@dataclass(frozen=True)
class Excerpt:
    """What a listener hears of a row first, both as data URIs."""

    picture: str
    sound: str


def listener_of(recipe: Recipe) -> Listener:
    """The first member behind the recipe's answer that sees pictures of sound, or else that hears it at all."""
    behind = set(recipe.ancestors(recipe.final_stage()))
    members = [(f"{stage}/{member}", settings.view) for stage, member, settings in recipe.members() if stage in behind]
    for name, view in members:
        if isinstance(view, AudioView):
            return Listener(name, view, view.mel)
    for name, view in members:
        if isinstance(view, WaveformView):
            return Listener(name, view, LogMel(sample_rate=view.sample_rate))
    return Listener(None, SoundView(), LogMel())


def recordings_of(evaluation: Evaluation, rows: Sequence[int], recipe: Recipe, root: Path) -> Shown:
    """Pictures and players of these rows, read below `root`; a recording that cannot be read leaves a note.

    Args:
        evaluation: with the seconds that its rows are.
        rows: the most important first; these keep their players where the page's budget ends.
        recipe: whose members' settings the pictures are made with.
        root: folder that recordings lie in.
    """
    clips, listener = evaluation.clips, listener_of(recipe)
    assert clips is not None  # called for rows of recordings only
    seconds = {row: (str(clips.recording[row]), float(clips.start_s[row]), float(clips.end_s[row])) for row in rows}
    excerpts: dict[int, Excerpt] = {}
    faults: dict[int, str] = {}
    confine = Confinement(root)
    for row, (file, start_s, end_s) in seconds.items():
        try:
            excerpts[row] = excerpt(_inside(confine, file), start_s, end_s, listener)
        except OutfoldError as error:
            faults[row] = error.problem
    times = Counter(rows)
    pictures = sum(len(one.picture) * times[row] for row, one in excerpts.items())
    fitting = that_fit({row: len(one.sound) for row, one in excerpts.items()}, rows, BUDGET - pictures)
    figures = {row: _figure(one, seconds[row], listener, heard=row in fitting) for row, one in excerpts.items()}
    notes = (*faults_notice(list(faults.values()), len(seconds), "row"), *_silent(len(excerpts) - len(fitting)))
    captions = {row: words_of(*clip) for row, clip in seconds.items()}
    missing = tag("div", tag("span", "recording not readable"), class_="photo") if figures else None
    return Shown(figures, missing, notes, "samples sounds", captions, _about(listener) if figures else None)


def excerpt(path: Path, start_s: float, end_s: float, listener: Listener) -> Excerpt:
    """What a listener hears first of some seconds of a recording: those at their beginning, in its window.

    Raises:
        MediaError: the file is missing, no recording, damaged, or ends before the seconds begin.
    """
    from outfold.views.audio import log_mel, normalise, place, validation_crop

    rate, info = listener.mel.sample_rate, probe_audio(path)
    known_s = math.inf if info.length_is_guess else info.duration_s
    lasting_s = min(end_s, known_s) - start_s
    if lasting_s <= 0:
        raise MediaError(f"{path}: the recording ends before second {start_s:g}", got=f"{known_s:g} s")
    crop = validation_crop(lasting_s, listener.window_s)
    # Sought rather than decoded up to its place: a shift of some milliseconds is nothing to a reader.
    sound = decode_audio(path, rate, start_s, start_s + crop.length_s, exact=False, missing="pad")
    window = place(sound, crop, rate)
    levels = log_mel(normalise(window) if listener.view.normalise else window, listener.mel)
    return Excerpt(data_uri(pixels(levels, listener.mel)), encoded(window, rate))


def words_of(file: str, start_s: float, end_s: float) -> str:
    """A clip as text: its file, and its seconds where it is a part of it."""
    if start_s == 0 and math.isinf(end_s):
        return file
    end = "its end" if math.isinf(end_s) else f"{_seconds(end_s)} s"
    return f"{file}, {_seconds(start_s)} s to {end}"


def _inside(confine: Confinement, file: str) -> Path:
    path = confine.resolve(file)
    if path is None:
        raise MediaError(f"{file}: the recording lies outside the data root", expected=f"a path inside {confine.root}")
    return Path(path)


def _figure(one: Excerpt, clip: tuple[str, float, float], listener: Listener, *, heard: bool) -> Html:
    name, mel = words_of(*clip), listener.mel
    low, high = mel.f_min / 1000, mel.upper / 1000
    described = f"log-mel picture of {name}: {listener.window_s:g} s across, {low:g} to {high:g} kHz upwards"
    picture = tag(
        "div",
        tag("div", void("img", src=one.picture, alt=described), class_="levels"),
        _axis("khz", frequency_ticks(mel), "kHz"),
        _axis("seconds", time_ticks(listener.window_s), "s"),
        class_="spectrogram",
    )
    player = tag("audio", src=one.sound, controls=True, preload="none", aria_label=f"sound of {name}")
    return tag("div", picture, player if heard else tag("div", "without sound", class_="id"))


def _axis(class_: str, ticks: Sequence[tuple[float, str]], unit: str) -> Html:
    """Texts along a side of a picture; `--v` says how far along."""
    marks = [tag("span", text, style=f"--v:{share:.3f}") for share, text in ticks]
    return tag("div", marks, tag("i", unit), class_=class_, aria_hidden="true")


def _about(listener: Listener) -> Html:
    who = "no member hears them" if listener.name is None else f"as {listener.name} hears them"
    return tag(
        "p",
        f"Pictures and players hold the first {listener.window_s:g} s of a row, {who}; a shorter row stands in the "
        f"middle of silence. Frequencies are in steps of the mel scale. Players sound at 16 kHz and equally loud. "
        f"All of it takes at most {BUDGET / 1e6:g} MB of this page.",
        class_="soft",
    )


def _silent(rows: int) -> tuple[Html, ...]:
    if not rows:
        return ()
    return (notice(f"{counted(rows, 'row')} without a player: the page's {BUDGET / 1e6:g} MB are used up."),)


def _seconds(value: float) -> str:
    return np.format_float_positional(round(value, 3), trim="-")
