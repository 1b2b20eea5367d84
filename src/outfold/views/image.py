"""The image view: from a photo's file to the cache, from the cache to validation input, from bytes to floats.

The two halves fit: a photo is brought once to the size that the largest training size needs, and where that is the size
asked for, the validation view is a plain cut of cached pixels.
"""

from collections.abc import Callable, Iterable
from functools import cache

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from outfold.data.crops import Photo, decode_photo
from outfold.settings.view import ImageView
from outfold.views.sizes import Size, centre, cover, enlarge, fit_inside, round_up

FORMAT = 1
"""Raised whenever `prepare` makes other pixels from the same file, so that old caches are not used."""

PILLOW_FILTERS = {
    "linear": Image.Resampling.BILINEAR,
    "cubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Filters that widen when shrinking, as timm and torchvision use them on PIL images."""


def stored_side(view: ImageView, sizes: Iterable[Size]) -> int:
    """Shorter side in pixels of the cached photos' frame.

    Args:
        view: `cache_size`, where given, is the answer.
        sizes: (height, width) of every phase; the view's own is always counted.

    Returns:
        The shorter side of the smallest frame of the view's shape whose centre crop covers every size.
    """
    if view.cache_size is not None:
        return view.cache_size
    height, width = view.height_width
    largest = max(max(size[0] / height, size[1] / width) for size in (view.height_width, *sizes))
    return round_up(min(height, width) * largest / _crop_pct(view))


def prepare(photo: Photo, view: ImageView, shortest_side: int) -> np.ndarray:
    """What the cache stores of a photo, or of the part of it that a box keeps: uint8 RGB (H, W, 3).

    `crop` keeps the photo's shape and brings it down to cover the frame; a photo smaller than that stays as it is, for
    enlarging it early would cost disk and add nothing. `squash` and `pad` bring it to the frame itself.

    Raises:
        MediaError: the file is missing, unreadable or truncated.
        DataError: the box does not lie in the photo.
    """
    frame = stored_frame(view, shortest_side)
    pixels = decode_photo(photo, shortest_side=max(frame))
    if view.resize == "crop" and (pixels.shape[0] < frame[0] or pixels.shape[1] < frame[1]):
        return pixels
    return RESIZES[view.resize](pixels, frame, view.interpolation)


def prepare_key(view: ImageView, side: int) -> str:
    """Everything but the photo that decides what `prepare` returns."""
    height, width = stored_frame(view, side)
    return f"image-{FORMAT}-{view.resize}-{view.interpolation}-{height}x{width}"


def stored_frame(view: ImageView, side: int) -> Size:
    """The frame of the view's shape whose shorter side is `side`."""
    height, width = view.height_width
    scale = side / min(height, width)
    return round_up(height * scale), round_up(width * scale)


def in_shape(image: np.ndarray, view: ImageView, side: int) -> np.ndarray:
    """A photo of any size, uint8 (H, W, 3), in the shape that training and validation expect of it.

    With `squash` and `pad` that is the view's shape: a photo of another one is brought to the frame that `prepare`
    stores. With `crop` it is the photo's own.
    """
    height, width = view.height_width
    if view.resize == "crop" or image.shape[0] * width == image.shape[1] * height:
        return image
    return RESIZES[view.resize](image, stored_frame(view, side), view.interpolation)


def evaluate(image: np.ndarray, view: ImageView, size: Size) -> np.ndarray:
    """The validation view: uint8 (H, W, 3), a photo or what `prepare` stored of it -> uint8 (h, w, 3), contiguous.

    `crop` resizes to cover size / crop_pct and cuts the centre; `squash` resizes both sides; `pad` resizes to fit and
    surrounds with black.
    """
    frame = enlarge(size, _crop_pct(view))
    image = RESIZES[view.resize](image, frame, view.interpolation)
    top, left = centre(image.shape[0], image.shape[1], size)
    return np.ascontiguousarray(image[top : top + size[0], left : left + size[1]])


def _crop_pct(view: ImageView) -> float:
    return view.crop_pct if view.resize == "crop" else 1.0


def _cover(image: np.ndarray, frame: Size, interpolation: str) -> np.ndarray:
    return resize(image, cover(image.shape[0], image.shape[1], frame), interpolation)


def _pad(image: np.ndarray, frame: Size, interpolation: str) -> np.ndarray:
    inner = resize(image, fit_inside(image.shape[0], image.shape[1], frame), interpolation)
    top, left = (frame[0] - inner.shape[0]) // 2, (frame[1] - inner.shape[1]) // 2
    padded = np.zeros((*frame, 3), dtype=np.uint8)
    padded[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return padded


def resize(image: np.ndarray, size: Size, interpolation: str) -> np.ndarray:
    """Resize uint8 (H, W, 3) to (height, width); the same array where it has that size.

    `area` averages when shrinking, and interpolates linearly along a side that grows. The others are Pillow's filters,
    which also average when shrinking.
    """
    if image.shape[:2] == size:
        return image
    if interpolation in PILLOW_FILTERS:
        return np.asarray(Image.fromarray(image).resize(size[::-1], PILLOW_FILTERS[interpolation]))
    shrunk = tuple(min(side, wanted) for side, wanted in zip(image.shape[:2], size, strict=True))
    if shrunk != image.shape[:2]:
        image = cv2.resize(image, shrunk[::-1], interpolation=cv2.INTER_AREA)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR) if shrunk != size else image


RESIZES: dict[str, Callable[[np.ndarray, Size, str], np.ndarray]] = {"crop": _cover, "squash": resize, "pad": _pad}
"""How `ImageView.resize` brings a photo to a frame."""


def normalise(batch: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """uint8 (b, 3, h, w) -> float32 (value / 255 - mean) / std, in the batch's memory format and on its device.

    Args:
        batch: values 0..255, uint8 or float.
        mean: per channel, on a 0..1 scale.
        std: per channel, on a 0..1 scale.
    """
    scale, shift = _scale_shift(tuple(mean), tuple(std), batch.device)
    if not batch.is_contiguous(memory_format=torch.channels_last):
        return batch.to(torch.float32, copy=True).mul_(scale[:, None, None]).add_(shift[:, None, None])
    # Whole rows of pixels at once: on a CPU four times as fast as a last dimension of length 3.
    width = batch.shape[-1]
    rows = batch.permute(0, 2, 3, 1).flatten(2).to(torch.float32, copy=True)
    rows.mul_(scale.repeat(width)).add_(shift.repeat(width))
    return rows.unflatten(2, (width, -1)).permute(0, 3, 1, 2)


@cache
def _scale_shift(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Float32 (3,) each, kept on the device: normalised = value * scale + shift."""
    deviation = torch.tensor(std, dtype=torch.float64)
    scale, shift = 1 / (255 * deviation), -torch.tensor(mean, dtype=torch.float64) / deviation
    return scale.to(device, torch.float32), shift.to(device, torch.float32)
