"""Photos read on one core: from their originals, from stored JPEG files, from a cache of pixels.

    uv run python benchmarks/prepared_photos.py [--photos 12] [--rounds 3] [--sizes 512 768]

Photos of 4000 x 3000 pixels are made up: coloured blobs with grain, saved as a camera does. All ways give a square of
the same side; they take turns, and the medians over the rounds are printed with their ratios to the first:

    original    decode the whole photo, cut its centre, shrink it
    fraction    the same from a decode at 1/2, 1/4 or 1/8 (`decode_image(shortest_side=..)`)
    stored      the stored JPEG of that size (`data.prepare`)
    half        a member of half that side, from the same file, decoded at 1/2
    pixels      the cache of pixels, when the system holds it in memory
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from outfold.data.cache import build_cache
from outfold.data.jpeg import stored_pixels
from outfold.data.media import decode_image
from outfold.data.prepared import Store, prepare_photos
from outfold.settings.data import Prepare

HEIGHT, WIDTH = 3000, 4000


def make_photos(folder: Path, number: int) -> list[Path]:
    """Blobs of several scales and grain, as JPEG of quality 92."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{row}.jpg" for row in range(number)]
    for path in paths:
        photo = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        for scale, strength in ((500, 100), (60, 40), (8, 16)):
            blobs = rng.random((HEIGHT // scale + 2, WIDTH // scale + 2, 3), np.float32)
            photo += strength * cv2.resize(blobs, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        photo += rng.normal(0, 4, photo.shape).astype(np.float32)
        cv2.imwrite(str(path), photo.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def rate(read: Callable[[int], np.ndarray], number: int, passes: int) -> float:
    """Photos read in a second, every pixel touched."""
    started = time.perf_counter()
    for _ in range(passes):
        for row in range(number):
            read(row).max()
    return number * passes / (time.perf_counter() - started)


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 768])
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_photos(folder, arguments.photos)
        original = sum(path.stat().st_size for path in paths)
        print(f"{len(paths)} photos of {WIDTH} x {HEIGHT}, {original / len(paths) / 1e6:.2f} MB each")
        for size in arguments.sizes:
            measure(paths, size, folder, arguments.rounds)


def measure(paths: list[Path], size: int, folder: Path, rounds: int) -> None:
    """Print what one stored size gives."""
    started = time.perf_counter()
    prepared = prepare_photos(paths, Store(folder / "store", Prepare()), [size], workers=1)
    making = len(paths) / (time.perf_counter() - started)

    def shrunk(path: Path, shortest_side: int | None = None) -> np.ndarray:
        return stored_pixels(decode_image(path, shortest_side=shortest_side), "square", size)

    cache = build_cache(paths, f"{size}", lambda path: shrunk(path, size), folder / "cache", workers=1)
    stored, half = prepared.photos(size), prepared.photos(size // 2)
    ways: dict[str, tuple[Callable[[int], np.ndarray], int]] = {
        "original": (lambda row: shrunk(paths[row]), 1),
        "fraction": (lambda row: shrunk(paths[row], size), 1),
        "stored": (stored.__getitem__, 20),
        "half": (half.__getitem__, 20),
        "pixels": (cache.__getitem__, 50),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (read, passes) in ways.items():
            rates[way].append(rate(read, len(paths), passes))
    room = sum(file.stat().st_size for file in prepared.files(size)) / len(paths)
    pixels = cache.nbytes / len(paths)
    print(f"\n{size} px: made at {making:.1f} photos/s, decoding included; {room / size**2:.2f} bytes a pixel,")
    print(f"{room / 1e3:.0f} kB a photo, of which a cache of pixels takes {pixels / room:.1f} times as much")
    first = statistics.median(rates["original"])
    for way, measured in rates.items():
        middle = statistics.median(measured)
        print(f"  {way:9} {middle:9.1f} photos/s a core {middle / first:9.1f} x")


if __name__ == "__main__":
    main()
