"""Clips per second on one core: decoding, log-mel pictures against librosa, models; and a soundscape end to end.

    python benchmarks/audio.py [--seconds 3] [--only decode mel model soundscape]

Clips are five seconds of noise and a chirp. Decoding reads one clip out of a minute at 32 kHz, or at 44.1 kHz and
resampled (`audio_decode.py` compares ways of decoding). Log-mel pictures are made per clip by librosa (the reference)
and by `log_mel` (scipy.fft), and in batches of 16 by `log_mel_tensor` (torch.stft). All give the level as librosa does,
without resizing; the greatest difference is printed beside the times, because a fast number that is wrong is none.
The soundscape is four minutes of Ogg, as BirdCLEF 2024 had 1,100 of: decoded as a stream, its 48 windows drawn and
answered by one network, boosted and smoothed; several models share the pictures.

Rounds are interleaved, medians printed and processor time counted, so that other work on the machine disturbs little,
and all alike.
"""

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import librosa
import numpy as np
import soundfile
import timm
import torch

from outfold.data.audio.decode import decode_audio
from outfold.data.audio.stream import stream_windows
from outfold.inference.in_time import boost_by_recording, smooth_in_time
from outfold.settings.audio_view import AudioView
from outfold.settings.mel_presets import BIRDCLEF_224, BIRDCLEF_288, BIRDCLEF_SED
from outfold.views.audio import Decibels, LogMel, log_mel, log_mel_tensor, normalise
from outfold.views.audio.input import arranged, pictures_of

CLIP_S, RATE, BATCH = 5, 32_000, 16
NETWORKS = ("efficientvit_b0", "mnasnet_100", "tf_efficientnet_lite0", "efficientvit_b1")
SPECIES, SOUNDSCAPE_S, TEST_SOUNDSCAPES, TEST_CORES, LIMIT_MIN = 182, 240, 1_100, 4, 120
SETTINGS = {"224 x 224": BIRDCLEF_224, "288 x 286": BIRDCLEF_288, "128 x 384": BIRDCLEF_SED}


def main() -> None:
    """Print one table a section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="how long each table is measured")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), default=list(SECTIONS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.only:
        SECTIONS[name](arguments.seconds)


def decode(seconds: float) -> None:
    """One clip out of a longer recording."""
    with tempfile.TemporaryDirectory() as folder:
        steps = {}
        for suffix in ("ogg", "flac", "wav"):
            for rate in (RATE, 44_100):
                path = Path(folder) / f"{rate}.{suffix}"
                _write(path, sound(60, rate), rate)
                steps[f"{suffix}, {rate / 1000:g} kHz"] = (
                    lambda path=path: decode_audio(path, RATE, start_s=20, end_s=20 + CLIP_S),
                    1,
                )
        _print_table("decode", measure(steps, seconds))


def mel(seconds: float) -> None:
    """Log-mel pictures of one clip, or of a batch."""
    clips = np.stack([sound(CLIP_S, RATE, seed) for seed in range(BATCH)])
    tensors = torch.from_numpy(clips)
    for name, published in SETTINGS.items():
        plain = dataclasses.replace(published, subtract=0, divide=1, size=None)
        reference = by_librosa(clips[0], plain)
        worst = {
            "log_mel, per clip": np.abs(log_mel(clips[0], plain) - reference).max(),
            "log_mel_tensor, batched": np.abs(log_mel_tensor(tensors[:1], plain)[0].numpy() - reference).max(),
        }
        steps = {
            "librosa, per clip": (partial(by_librosa, clips[0], plain), 1),
            "log_mel, per clip": (partial(log_mel, clips[0], plain), 1),
            "log_mel_tensor, batched": (partial(log_mel_tensor, tensors, plain), BATCH),
        }
        notes = {step: f"{difference:.0e} dB from librosa" for step, difference in worst.items()}
        _print_table(f"log-mel {name}", measure(steps, seconds), notes)


def model(seconds: float) -> None:
    """Answers of networks to ready pictures, in batches."""
    pictures = torch.rand(BATCH, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    networks = {name: network_of(name) for name in NETWORKS}
    steps = {name: (partial(answer, network, pictures), BATCH) for name, network in networks.items()}
    _print_table("model, 224 x 224", measure(steps, seconds))


def soundscape(seconds: float) -> None:
    """Four minutes of sound, from the file to 48 answers, and what a competition's test set would take."""
    network, spent = network_of(NETWORKS[0]), dict.fromkeys(("decode", "log-mel", "model", "in time"), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "soundscape.ogg"
        _write(path, sound(SOUNDSCAPE_S, RATE), RATE)
        timed_soundscape(path, network)  # compiles, and fills caches
        rounds, started = 0, time.perf_counter()
        while rounds < 2 or time.perf_counter() - started < seconds:
            for name, took in timed_soundscape(path, network).items():
                spent[name] += took
            rounds += 1
    total = sum(spent.values()) / rounds
    print(f"\nsoundscape of {SOUNDSCAPE_S} s, {SOUNDSCAPE_S // CLIP_S} windows, {NETWORKS[0]}, one core")
    for name, took in spent.items():
        print(f"  {name:<26}{took / rounds:8.2f} s{took / rounds / total:8.0%}")
    print(f"  {'end to end':<26}{total:8.2f} s")
    once = total - spent["model"] / rounds
    for models in (1, 5, 14):
        minutes = (once + models * spent["model"] / rounds) * TEST_SOUNDSCAPES / TEST_CORES / 60
        what = f"{models} such model{'s' if models > 1 else ''} on the same pictures"
        print(f"  {what:<38}{minutes:6.0f} min for {TEST_SOUNDSCAPES:,} on {TEST_CORES} cores (limit {LIMIT_MIN})")


def timed_soundscape(path: Path, network: torch.nn.Module) -> dict[str, float]:
    """Seconds of processor time of each step for one soundscape."""
    view = AudioView(kind="audio", mel=BIRDCLEF_224, channels="ramp")
    spent = dict.fromkeys(("decode", "log-mel", "model"), 0.0)
    answers, windows = [], stream_windows(path, RATE, CLIP_S, batch=BATCH)
    while True:
        begin = time.process_time()
        block = next(windows, None)
        decoded = time.process_time()
        spent["decode"] += decoded - begin
        if block is None:
            break
        pictures = arranged(pictures_of(torch.from_numpy(normalise(block.waveforms)), view.mel), view)
        drawn = time.process_time()
        answers.append(answer(network, pictures))
        spent["log-mel"] += drawn - decoded
        spent["model"] += time.process_time() - drawn
    begin = time.process_time()
    logits = torch.cat(answers).numpy()
    recording = np.zeros(len(logits))
    boosted = boost_by_recording(logits, recording)
    smooth_in_time(boosted, recording, np.arange(len(logits)) * float(CLIP_S))
    return spent | {"in time": time.process_time() - begin}


def network_of(name: str) -> torch.nn.Module:
    """A timm model with random weights and an output for each species."""
    made = timm.create_model(name, pretrained=False, num_classes=SPECIES)
    return made.eval().to(memory_format=torch.channels_last)


def answer(network: torch.nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """Logits of pictures."""
    with torch.inference_mode():
        return network(pictures)


SECTIONS: dict[str, Callable[[float], None]] = {"decode": decode, "mel": mel, "model": model, "soundscape": soundscape}
"""Name -> a function that measures for some seconds and prints its table; the first row of a table is its reference."""


def measure(steps: Mapping[str, tuple[Callable[[], object], int]], seconds: float) -> dict[str, float]:
    """Clips per second of processor time for each step, a function and how many clips one call makes."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step, _ in steps.values():
        step()  # compiles, and fills caches
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or min(map(len, times.values())) < 5:
        for name, (step, _) in steps.items():
            begin = time.process_time()
            step()
            times[name].append(time.process_time() - begin)
    return {name: count / statistics.median(times[name]) for name, (_, count) in steps.items()}


def sound(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Noise and a chirp, float32, of standard deviation 1."""
    instants = np.arange(round(seconds * rate)) / rate
    waveform = np.sin(2 * np.pi * (500 + 300 * instants) * instants)
    waveform += np.random.default_rng(seed).normal(0, 0.3, len(instants))
    return (waveform / waveform.std()).astype(np.float32)


def by_librosa(clip: np.ndarray, settings: LogMel) -> np.ndarray:
    """The level in dB, float32 (mels, frames)."""
    assert isinstance(settings.level, Decibels)
    power = librosa.feature.melspectrogram(
        y=clip,
        sr=settings.sample_rate,
        n_fft=settings.n_fft,
        win_length=settings.window,
        hop_length=settings.hop,
        n_mels=settings.mels,
        fmin=settings.f_min,
        fmax=settings.f_max,
        htk=settings.scale == "htk",
        norm="slaney" if settings.norm == "slaney" else None,
    )
    return librosa.power_to_db(power, top_db=settings.level.top_db)


def _write(path: Path, waveform: np.ndarray, rate: int) -> None:
    """In parts of a second: libsndfile overflows its stack where it encodes minutes of Ogg at once."""
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for begin in range(0, len(waveform), rate):
            file.write(waveform[begin : begin + rate] / 8)


def _print_table(title: str, rates: Mapping[str, float], notes: Mapping[str, str] | None = None) -> None:
    """Clips per second, and how many times those of the first row."""
    first = next(iter(rates.values()))
    print(f"\n{title}")
    for name, rate in rates.items():
        print(f"  {name:<26}{rate:8.0f} clips/s a core{rate / first:7.2f} x   {(notes or {}).get(name, '')}".rstrip())


if __name__ == "__main__":
    main()
