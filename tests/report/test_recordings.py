"""Recordings of the worst errors: their pictures, players and captions, and what becomes of files that are gone."""

import base64
import io
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import soundfile

import outfold
from outfold.data.audio.rows import RowClips
from outfold.data.targets import TargetCodec
from outfold.errors import MediaError
from outfold.report import recordings, write_report
from outfold.report.loading import Evaluation
from outfold.report.players import RATE, encoded, that_fit
from outfold.report.recordings import excerpt, listener_of, words_of
from outfold.report.sections.samples import samples
from outfold.report.spectrogram import HEIGHT, WIDTH, frequency_ticks, pixels, time_ticks
from outfold.settings.mel import LogMel
from outfold.settings.mel_presets import PRESETS
from outfold.settings.recipe import Recipe
from outfold.settings.task import Task
from outfold.views.audio import log_mel

EVIL = "<img src=x onerror=alert(1)>"


def tone(hz: float, seconds: float = 5.0, rate: int = 32_000) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def sound_in(uri: str) -> tuple[np.ndarray, int]:
    head, data = uri.split(",")
    assert head == "data:audio/ogg;base64"
    return soundfile.read(io.BytesIO(base64.b64decode(data)))


def picture_in(uri: str) -> np.ndarray:
    """Brightness of a picture, float (h, w)."""
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    return image.astype(float).sum(axis=2)


def shown(evaluation: Evaluation, recipe: dict[str, Any], root: Path) -> str:
    section = samples(SimpleNamespace(evaluation=evaluation, recipe=Recipe.model_validate(recipe)), root)  # type: ignore[arg-type]
    assert section is not None
    return str(section.html())


def of_calls(calls: Path, kinds: tuple[str, ...] = ("low", "middle", "high")) -> Evaluation:
    """The training rows of `calls`, all of them predicted wrong."""
    table = pd.read_csv(calls / "train.csv")
    table["kind"] = table["kind"].map(dict(zip(("low", "middle", "high"), kinds, strict=True)))
    codec = TargetCodec.fit(Task(kind="multiclass", target=("kind",), metric="accuracy"), table)
    target = codec.encode(table)
    prediction = 0.1 + 0.7 * np.roll(target, 1, axis=1)
    files = np.array([f"train/{name}.wav" for name in table["name"]], dtype=object)
    clips = RowClips(files, np.zeros(len(table)), np.full(len(table), math.inf))
    ids = table["name"].to_numpy(object)
    return Evaluation(ids, np.zeros(len(table), int), target, prediction, codec, clips=clips)


@pytest.mark.parametrize("name", PRESETS)
def test_a_tone_stands_beside_its_tick(name: str) -> None:
    mel = PRESETS[name]
    ticks = frequency_ticks(mel)
    assert len(ticks) >= 4
    for share, text in ticks:
        hz = 1000 * float(text)
        drawn = pixels(log_mel(tone(hz, rate=mel.sample_rate), mel), mel)
        assert drawn.shape == (HEIGHT, WIDTH, 4)
        brightest = drawn[..., :3].astype(int).sum(axis=(1, 2)).argmax()
        assert abs((HEIGHT - 0.5 - brightest) / HEIGHT - share) < 2.5 / min(HEIGHT, mel.mels)


def test_ticks_of_time_are_round() -> None:
    assert time_ticks(5.0) == [(place / 5, str(place)) for place in range(6)]
    assert [text for _, text in time_ticks(0.96)] == ["0.0", "0.2", "0.4", "0.6", "0.8"]


def test_silence_is_dark_and_short_sound_stands_in_the_middle(tmp_path: Path, calls_recipe: dict[str, Any]) -> None:
    calls_recipe["stages"]["fit"]["view"] |= {"mel": "birdclef_224", "window_s": 5, "span_s": 6}
    listener = listener_of(Recipe.model_validate(calls_recipe))
    assert (listener.name, listener.window_s) == ("fit/a", 5)
    soundfile.write(tmp_path / "short.wav", np.zeros(32_000), 32_000)
    still = excerpt(tmp_path / "short.wav", 0.0, math.inf, listener)
    assert picture_in(still.picture).max() < 20
    soundfile.write(tmp_path / "short.wav", tone(1000, 1.0), 32_000)
    one = excerpt(tmp_path / "short.wav", 0.0, math.inf, listener)
    across = picture_in(one.picture).sum(axis=0)
    loud = np.flatnonzero(across > across.max() / 2) / WIDTH * 5
    assert abs(loud.min() - 2) < 0.1
    assert abs(loud.max() - 3) < 0.1


def test_a_player_has_the_seconds_of_the_picture(tmp_path: Path, calls_recipe: dict[str, Any]) -> None:
    listener = listener_of(Recipe.model_validate(calls_recipe))  # windows of 2 s at 8 kHz
    sound = np.concatenate([tone(hz, 2.0, 44_100) for hz in (500, 1000, 2000)])
    soundfile.write(tmp_path / "long.flac", sound, 44_100)
    for start, hz in ((0.0, 500), (2.0, 1000), (4.0, 2000)):
        waveform, rate = sound_in(excerpt(tmp_path / "long.flac", start, start + 30, listener).sound)
        assert rate == RATE
        assert abs(len(waveform) / rate - 2) < 0.05
        assert np.abs(np.fft.rfft(waveform)).argmax() * rate / len(waveform) == pytest.approx(hz, abs=2)
        assert 0.7 < np.abs(waveform).max() <= 1
    with pytest.raises(MediaError, match="ends before second 7"):
        excerpt(tmp_path / "long.flac", 7.0, 9.0, listener)


def test_the_first_rows_keep_their_players() -> None:
    assert that_fit({1: 40, 2: 50, 3: 30, 4: 10}, [1, 2, 3, 4, 4], 100) == {1, 2}
    assert that_fit({1: 40, 3: 30, 4: 10}, [1, 2, 3, 4, 4], 90) == {1, 3, 4}
    assert that_fit({1: 10}, [1], -5) == set()


def test_a_second_of_noise_is_small() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    assert len(encoded(noise, 32_000)) < 12_000


@pytest.mark.parametrize(
    ("clip", "words"),
    [(("a.ogg", 0.0, math.inf), "a.ogg"), (("b", 3600.5, 3605.5), "b, 3600.5 s to 3605.5 s")],
)
def test_clips_in_words(clip: tuple[str, float, float], words: str) -> None:
    assert words_of(*clip) == words


def test_pictures_and_players_of_a_gallery(calls: Path, calls_recipe: dict[str, Any]) -> None:
    page = shown(of_calls(calls, (EVIL, "middle", "high")), calls_recipe, calls)
    assert page.count("<audio") == page.count("<img") == page.count("data:image/png") == 24
    assert 'preload="none"' in page
    assert EVIL not in page
    assert ">train/c00.wav<" in page
    assert "the first 2 s of a row, as fit/a hears them" in page
    assert "kHz" in page
    assert "notice" not in page


def test_the_budget_is_kept_and_said(
    calls: Path, calls_recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shown(of_calls(calls), calls_recipe, calls)
    embedded = sum(map(len, re.findall(r'src="(data:[^"]*)"', whole)))
    budget = embedded - 10_000
    monkeypatch.setattr(recordings, "BUDGET", budget)
    page = shown(of_calls(calls), calls_recipe, calls)
    assert sum(map(len, re.findall(r'src="(data:[^"]*)"', page))) <= budget
    assert page.count("<img") == 24
    silent = 24 - page.count("<audio")
    assert silent > 0
    assert f"{silent} row{'s' if silent > 1 else ''} without a player" in page


def test_recordings_that_are_gone_become_a_note(calls: Path, calls_recipe: dict[str, Any], tmp_path: Path) -> None:
    given = of_calls(calls)
    assert given.clips is not None
    given.clips.recording[0], given.clips.recording[1] = "train/gone.wav", "../outside.wav"
    page = shown(given, calls_recipe, calls)
    assert "cannot be shown" in page
    assert "recording not readable" in page
    assert "<audio" in page
    nothing = shown(of_calls(calls), calls_recipe, tmp_path)
    assert "24 rows of 24 cannot be shown" in nothing
    assert "<audio" not in nothing


def test_members_without_ears_are_pictured_by_default(calls: Path, calls_recipe: dict[str, Any]) -> None:
    fit = calls_recipe["stages"]["fit"]
    for key in ("backbone", "weights", "augment"):
        del fit[key]
    fit["view"] = {"kind": "embedding", "vectors": "v.npy", "ids": "ids.csv"}
    listener = listener_of(Recipe.model_validate(calls_recipe))
    assert (listener.name, listener.mel) == (None, LogMel())
    assert "no member hears them" in shown(of_calls(calls), calls_recipe, calls)
    calls_recipe["stages"]["fit"]["view"] = {"kind": "waveform", "window_s": 1, "encoder": {"model_type": "hubert"}}
    listener = listener_of(Recipe.model_validate(calls_recipe))
    assert (listener.name, listener.mel.sample_rate, listener.window_s) == ("fit/a", 16_000, 1)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_plays_it(
    calls: Path, calls_recipe: dict[str, Any], tmp_path: Path, devtools: Any, width: int
) -> None:
    calls_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    outfold.run(Recipe.model_validate(calls_recipe), tmp_path / "run", data=calls, device="cpu")
    tab = devtools.open(write_report(tmp_path / "run"), width)
    loaded = tab.call(
        "Runtime.evaluate",
        expression="""Promise.all([...document.querySelectorAll("audio")].map((audio) => new Promise((tell) => {
            audio.addEventListener("canplay", () => tell(audio.duration));
            audio.addEventListener("error", () => tell(audio.error.message));
            audio.preload = "auto";
            audio.load();
        })))""",
        awaitPromise=True,
        returnByValue=True,
    )
    durations = loaded["result"]["value"]
    assert len(durations) > 5
    assert all(1.9 < seconds < 2.2 for seconds in durations)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    outside = """[...document.querySelectorAll("#samples *")]
        .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML)"""
    assert tab.evaluate(outside) == []
    assert tab.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert tab.complaints() == []
    assert tab.requests() == []
