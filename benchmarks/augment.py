"""Images per second of the augmentation chains on one core, against named references in the same run.

    python benchmarks/augment.py [--size 384] [--seconds 20]

The light chain, from photos of 440 x 586 pixels: random resized crop (0.6 to 1 of the area), horizontal flip, colour
jitter 0.2, rotation by up to 15 degrees. References: torchvision v2 on uint8 tensors, the same steps one after another
in OpenCV, and a bare resize, which is what no chain can beat by much.

The melanoma chain, from squares of 512 pixels: flips, brightness and contrast, blur or noise, a distortion, CLAHE, hue
and saturation, a turn, a hole, each with its own chance. References: a resize and normalisation alone, the same steps
one after another, and those of them that torchvision has. Then what each step adds: the whole chain against the chain
without it.

Rounds are interleaved, medians printed and processor time counted, so that other work on the machine disturbs little,
and all alike.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import torch
from torchvision.transforms import v2 as torchvision

from outfold.recipe.load import load_recipe
from outfold.views.augment import build_chain
from outfold.views.augment.chain import apply

LIGHT = [{"random_resized_crop": {"scale": [0.6, 1.0]}}, "hflip", {"color_jitter": 0.2}, {"rotate": 15}]
FLIPS = [{"random_resized_crop": {"scale": [0.6, 1.0]}}, "hflip"]
STEPS = {
    "flips and transpose": 3,
    "brightness and contrast": 2,
    "blur or noise": 1,
    "distortion": 1,
    "CLAHE": 1,
    "hue, saturation, value": 1,
    "shift, scale, turn": 1,
    "cutout": 1,
}
"""How many of the melanoma recipe's transforms, in its order, make up each step."""


def melanoma_steps() -> dict[str, list]:
    """The augmentation of the recipe isic2020-1st by step."""
    items = iter(load_recipe("isic2020-1st").stages["fit"].augment)
    steps = {name: [next(items) for _ in range(count)] for name, count in STEPS.items()}
    assert next(items, None) is None, "the recipe has more transforms than STEPS names"
    return steps


MELANOMA = melanoma_steps()
MEAN, STD = np.array([123.7, 116.3, 103.5], np.float32), np.array([58.4, 57.1, 57.4], np.float32)

Sample = Callable[[np.ndarray], object]


def photos(height: int, width: int, count: int = 16) -> list[np.ndarray]:
    """Synthetic photos: soft blobs with some grain."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(0, 256, (12, 16, 3), dtype=np.uint8) for _ in range(count)]
    soft = [cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC) for image in coarse]
    return [cv2.add(image, rng.integers(0, 12, image.shape, dtype=np.uint8)) for image in soft]


def torchvision_light(size: int) -> Sample:
    """The light chain by torchvision."""
    return on_tensors(
        torchvision.RandomResizedCrop(size, scale=(0.6, 1.0), antialias=True),
        torchvision.RandomHorizontalFlip(),
        torchvision.ColorJitter(0.2, 0.2, 0.2),
        torchvision.RandomRotation(15, interpolation=torchvision.InterpolationMode.BILINEAR),
    )


def torchvision_melanoma(size: int) -> Sample:
    """What torchvision has of the melanoma chain, and a plain equalisation for CLAHE.

    Its elastic transform is left out: with so much smoothing it alone takes seconds an image.
    """
    bilinear = torchvision.InterpolationMode.BILINEAR
    return on_tensors(
        torchvision.RandomVerticalFlip(),
        torchvision.RandomHorizontalFlip(),
        torchvision.RandomApply([torchvision.ColorJitter(brightness=0.2)], 0.75),
        torchvision.RandomApply([torchvision.ColorJitter(contrast=0.2)], 0.75),
        torchvision.RandomApply([torchvision.GaussianBlur(5, (0.7, 1.0))], 0.7),
        torchvision.RandomApply([torchvision.RandomEqualize(p=1.0)], 0.7),
        torchvision.RandomApply([torchvision.ColorJitter(saturation=0.1, hue=0.05)], 0.5),
        torchvision.RandomApply([torchvision.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), interpolation=bilinear)], 0.85),
        torchvision.Resize((size, size), antialias=True),
        torchvision.RandomErasing(0.7, scale=(0.14, 0.14), ratio=(1.0, 1.0)),
    )


def on_tensors(*transforms: Callable) -> Sample:
    """The transforms in turn, on uint8 (3, h, w)."""
    chain = torchvision.Compose(transforms)
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


def normalised(sample: Sample) -> Sample:
    """The sample as float32, (value - mean) / deviation."""
    return lambda image: (sample(image) - MEAN) / STD


def light_ways(size: int) -> dict[str, Sample]:
    """Everything that is measured of the light chain, by name."""
    return {
        "outfold, light chain": outfold_chain(LIGHT, size),
        "  the same steps one by one": step_by_step(LIGHT, size),
        "torchvision v2, light chain": torchvision_light(size),
        "outfold, crop and flip only": outfold_chain(FLIPS, size),
        "cv2.resize alone (linear)": lambda image: cv2.resize(image, (size, size)),
        "cv2.warpAffine alone (3 channels)": lambda image: cv2.warpAffine(
            image, np.float64([[0.99, 0.1, 3], [-0.1, 0.99, 9]]), (size, size), borderMode=cv2.BORDER_REFLECT_101
        ),
    }


def melanoma_ways(size: int) -> dict[str, Sample]:
    """Everything that is measured of the melanoma chain, by name."""
    whole = [item for items in MELANOMA.values() for item in items]

    def resize(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image, (size, size))

    return {
        "outfold, melanoma chain": outfold_chain(whole, size),
        "  and normalise": normalised(outfold_chain(whole, size)),
        "  the same steps one by one": step_by_step(whole, size),
        "torchvision v2, what it has": torchvision_melanoma(size),
        "resize": resize,
        "resize and normalise": normalised(resize),
        **{f"  without {name}": outfold_chain(_without(name), size) for name in MELANOMA},
    }


def _without(name: str) -> list:
    return [item for other, items in MELANOMA.items() if other != name for item in items]


def rounds(candidates: dict[str, Sample], images: list[np.ndarray], seconds: float) -> Iterator[tuple[str, float]]:
    """Processor seconds per image of one pass over the photos, candidate by candidate, until the time is up."""
    for sample in candidates.values():  # what is compiled at first use, and caches
        for image in images:
            sample(image)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, sample in candidates.items():
            start = time.process_time()
            for image in images:
                sample(image)
            yield name, (time.process_time() - start) / len(images)


def measure(title: str, candidates: dict[str, Sample], images: list[np.ndarray], seconds: float) -> dict[str, float]:
    """Median seconds per image by name; prints images per second."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for name, duration in rounds(candidates, images, seconds):
        times[name].append(duration)
    print(f"\n{title}, one core, images per second")
    print(f"{'':36}{'median':>8}{'best':>8}{'rounds':>8}")
    for name, durations in times.items():
        print(f"{name:36}{1 / statistics.median(durations):8.0f}{1 / min(durations):8.0f}{len(durations):8}")
    return {name: statistics.median(durations) for name, durations in times.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    size, seconds = arguments.size, arguments.seconds / 2
    measure(f"440 x 586 -> {size} px", light_ways(size), photos(440, 586), seconds)
    medians = measure(f"512 x 512 -> {size} px", melanoma_ways(size), photos(512, 512), seconds)
    whole, plain = medians["  and normalise"], medians["resize and normalise"]
    print(f"\nThe melanoma chain with normalisation takes {whole / plain:.1f} times as long as resize and normalise.")
    print("What each step adds to the chain, in milliseconds an image on average over its chance:")
    for name in MELANOMA:
        saved = medians["outfold, melanoma chain"] - medians[f"  without {name}"]
        print(f"  {name:34}{1e3 * saved:8.2f}")
    print(f"  {'the whole chain':34}{1e3 * medians['outfold, melanoma chain']:8.2f}")


if __name__ == "__main__":
    main()
