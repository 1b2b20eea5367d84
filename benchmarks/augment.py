"""Images per second of the light augmentation chain on one core, against named references in the same run.

    python benchmarks/augment.py [--size 384] [--seconds 12]

The chain: random resized crop (0.6 to 1 of the area), horizontal flip, colour jitter 0.2, rotation by up to 15 degrees;
from photos of 440 x 586 pixels. References: torchvision v2 on uint8 tensors, the same steps one after another in
OpenCV, and a bare resize, which is what no chain can beat by much. Rounds are interleaved, medians
printed and processor time counted, so that other work on the machine disturbs little, and all alike.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from torchvision.transforms import v2 as torchvision

from outfold.views.augment import build_chain
from outfold.views.augment.chain import apply

SHORTER_SIDE, LONGER_SIDE = 440, 586
LIGHT = [{"random_resized_crop": {"scale": [0.6, 1.0]}}, "hflip", {"color_jitter": 0.2}, {"rotate": 15}]
FLIPS = [{"random_resized_crop": {"scale": [0.6, 1.0]}}, "hflip"]

Sample = Callable[[np.ndarray], object]


def photos(count: int = 16) -> list[np.ndarray]:
    """Synthetic photos: soft blobs with some grain."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) for _ in range(count)]
    soft = [cv2.resize(image, (LONGER_SIDE, SHORTER_SIDE), interpolation=cv2.INTER_CUBIC) for image in coarse]
    return [cv2.add(image, rng.integers(0, 12, image.shape, dtype=np.uint8)) for image in soft]


def torchvision_chain(size: int) -> Sample:
    """The same transforms by torchvision."""
    chain = torchvision.Compose(
        [
            torchvision.RandomResizedCrop(size, scale=(0.6, 1.0), antialias=True),
            torchvision.RandomHorizontalFlip(),
            torchvision.ColorJitter(0.2, 0.2, 0.2),
            torchvision.RandomRotation(15, interpolation=torchvision.InterpolationMode.BILINEAR),
        ]
    )
    return lambda image: chain(torch.from_numpy(image).permute(2, 0, 1))


def outfold_chain(augment: list, size: int) -> Sample:
    """The chain as training runs it."""
    chain, rng = build_chain(augment, size=(size, size)), np.random.default_rng(0)
    return lambda image: chain(image, rng)


def step_by_step(augment: list, size: int) -> Sample:
    """The same drawn steps, one pass each."""
    chain, rng = build_chain(augment, size=(size, size)), np.random.default_rng(0)

    def run(image: np.ndarray) -> np.ndarray:
        for step in chain.sample(rng, *image.shape[:2]):
            image = apply(image, [step])
        return image

    return run


def ways(size: int) -> dict[str, Sample]:
    """Everything that is measured, by name."""
    return {
        "outfold, light chain": outfold_chain(LIGHT, size),
        "  the same steps one by one": step_by_step(LIGHT, size),
        "torchvision v2, light chain": torchvision_chain(size),
        "outfold, crop and flip only": outfold_chain(FLIPS, size),
        "cv2.resize alone (linear)": lambda image: cv2.resize(image, (size, size)),
        "cv2.warpAffine alone (3 channels)": lambda image: cv2.warpAffine(
            image, np.float64([[0.99, 0.1, 3], [-0.1, 0.99, 9]]), (size, size), borderMode=cv2.BORDER_REFLECT_101
        ),
    }


def rounds(candidates: dict[str, Sample], seconds: float) -> Iterator[tuple[str, float]]:
    """Processor seconds per image of one pass over the photos, candidate by candidate, until the time is up."""
    images, end = photos(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, sample in candidates.items():
            start = time.process_time()
            for image in images:
                sample(image)
            yield name, (time.process_time() - start) / len(images)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--seconds", type=float, default=12)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    candidates = ways(arguments.size)
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for name, duration in rounds(candidates, arguments.seconds):
        times[name].append(duration)
    print(f"{SHORTER_SIDE} x {LONGER_SIDE} -> {arguments.size} px, one core, images per second")
    print(f"{'':36}{'median':>8}{'best':>8}{'rounds':>8}")
    for name, durations in times.items():
        print(f"{name:36}{1 / statistics.median(durations):8.0f}{1 / min(durations):8.0f}{len(durations):8}")


if __name__ == "__main__":
    main()
