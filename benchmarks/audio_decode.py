"""Decoding of recordings on one core, against librosa and against decoding the whole file; memory of a long stream.

    uv run python benchmarks/audio_decode.py [--clips 20] [--rounds 3] [--minutes 60]

A recording of a minute at 44.1 kHz is made up and written in each format. All ways give 5 s at 32 kHz from a random
place; they take turns, and the median time of a clip is printed with its ratio to the first way:

    librosa     librosa.load(offset=.., duration=.., res_type="soxr_hq"), which trusts libsndfile's seeks
    exact       decode_audio
    quick       decode_audio(exact=False)
    cache       AudioCache.read, when the system holds it in memory

Then a process of its own streams a FLAC of the given length in windows of 5 s and prints its largest resident memory,
beside that of one that streams ten minutes.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from outfold.data.audio.cache import Part, build_audio_cache
from outfold.data.audio.decode import decode_audio
from outfold.data.audio.stream import stream_windows

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
RATE, WANTED, CLIP_S = 44_100, 32_000, 5


def make(path: Path, seconds: int, rate: int) -> Path:
    """A tone in noise, written a second at a time."""
    kind, subtype = FORMATS[path.suffix[1:]]
    rng = np.random.default_rng(0)
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
    with soundfile.SoundFile(path, "w", rate, 1, subtype, format=kind) as file:
        for _ in range(seconds):
            file.write(tone + rng.normal(0, 0.05, rate))
    return path


def ways(path: Path, folder: Path) -> dict[str, Callable[[float], np.ndarray]]:
    """Each takes a start in seconds."""
    import librosa

    cache = build_audio_cache([Part(path)], WANTED, folder, workers=1)
    return {
        "librosa": lambda start: librosa.load(path, sr=WANTED, offset=start, duration=CLIP_S, res_type="soxr_hq")[0],
        "exact": lambda start: decode_audio(path, WANTED, start, start + CLIP_S),
        "quick": lambda start: decode_audio(path, WANTED, start, start + CLIP_S, exact=False),
        "cache": lambda start: cache.read(0, round(start * WANTED), round(start * WANTED) + CLIP_S * WANTED),
    }


def compare(path: Path, folder: Path, clips: int, rounds: int) -> None:
    """Print the median time of a clip by each way."""
    starts, chosen = np.random.default_rng(0).uniform(0, 60 - CLIP_S, clips), ways(path, folder)
    times: dict[str, list[float]] = {name: [] for name in chosen}
    for decode in chosen.values():
        decode(1.0)
    for _ in range(rounds):
        for start in starts:
            for name, decode in chosen.items():
                begun = time.perf_counter()
                decode(float(start))
                times[name].append(time.perf_counter() - begun)
    first = statistics.median(times["librosa"])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{path.suffix[1:]:5} {name:8} {1e3 * median:8.2f} ms {1 / median:8.0f} clips/s {first / median:7.2f}x")


def stream(path: Path) -> None:
    """Stream a recording; print windows, seconds, and the largest resident memory of this process in MB."""
    begun = time.perf_counter()
    windows = sum(len(block.starts_s) for block in stream_windows(path, WANTED, CLIP_S, batch=16))
    seconds, peak = time.perf_counter() - begun, largest_memory() / 1e6
    print(
        f"{windows:6,} windows in {seconds:6.1f} s, {windows * CLIP_S / seconds:6.0f} times real time, {peak:7.1f} MB"
    )


def largest_memory() -> int:
    """Bytes this process held in memory at most (Linux); getrusage would count the parent's before exec."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--stream", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stream:
        stream(given.stream)
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind in FORMATS:
            compare(make(Path(folder) / f"a.{kind}", 60, RATE), Path(folder) / "cache", given.clips, given.rounds)
        for minutes in (10, given.minutes):
            path = make(Path(folder) / f"{minutes}.flac", 60 * minutes, WANTED)
            print(f"stream {minutes:3} min: ", end="", flush=True)
            subprocess.run([sys.executable, __file__, "--stream", str(path)], check=True)


if __name__ == "__main__":
    main()
