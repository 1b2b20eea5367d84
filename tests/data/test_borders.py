"""Plain borders: found where they are, left alone where nothing is sure."""

import cv2
import numpy as np
import pytest

from outfold.data.borders import MOST, plain_border, scaled
from outfold.data.crops import Box


def grass(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Texture of all kinds, float32 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    steps = [(1, 22), (3, 25), (12, 15)]
    parts = [
        weight * cv2.resize(rng.standard_normal((height // step + 2, width // step + 2)), (width, height))
        for step, weight in steps
    ]
    return np.clip(np.array([90, 130, 60]) + sum(parts)[..., None], 0, 255).astype(np.float32)


def bordered(
    height: int, width: int, box: Box, *, tilt: float = 0, shadow: float = 0, noise: float = 2, quality: int = 90
) -> np.ndarray:
    """Grass in a box on cardboard, as a JPEG gives it."""
    rng = np.random.default_rng(1)
    mask = np.zeros((height, width), np.float32)
    mask[box.top : box.bottom, box.left : box.right] = 1
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), tilt, 1)
    mask = cv2.warpAffine(mask, turn, (width, height), flags=cv2.INTER_LINEAR)[..., None]
    light = 1 - shadow * np.linspace(0, 1, width)[None, :, None]
    paper = np.array([180, 150, 112]) * light
    photo = mask * grass(height, width) + (1 - mask) * paper + rng.normal(0, noise, (height, width, 3))
    pixels = np.clip(photo, 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def near(found: Box | None, box: Box, pixels: int) -> bool:
    sides = [(one.left, one.top, one.right, one.bottom) for one in (found, box) if one is not None]
    return len(sides) == 2 and max(abs(a - b) for a, b in zip(*sides, strict=True)) <= pixels


@pytest.mark.parametrize(
    "box",
    [Box(40, 30, 480, 230), Box(0, 30, 512, 256), Box(90, 0, 512, 256), Box(0, 0, 400, 256), Box(20, 10, 512, 240)],
)
def test_a_border_on_any_side_is_found(box: Box) -> None:
    assert near(plain_border(bordered(256, 512, box)), box, 3)


@pytest.mark.parametrize("way", [{"quality": 40}, {"noise": 6}, {"shadow": 0.3}, {"tilt": 0.7}, {"tilt": -1.0}])
def test_noise_shadow_and_tilt_are_borne(way: dict[str, float]) -> None:
    box = Box(60, 40, 470, 220)
    assert near(plain_border(bordered(256, 512, box, **way)), box, 8)


def test_large_photos_are_looked_at_in_small() -> None:
    box = Box(160, 120, 1900, 960)
    assert near(plain_border(bordered(1000, 2000, box)), box, 12)


def test_nothing_is_proposed_without_a_border() -> None:
    assert plain_border(grass(256, 512).astype(np.uint8)) is None


@pytest.mark.parametrize(
    "photo",
    [
        np.full((100, 200, 3), 128, np.uint8),
        np.tile(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], (200, 1, 3)),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((3, 200, 3), np.uint8),
    ],
)
def test_nothing_is_proposed_where_there_is_no_inside(photo: np.ndarray) -> None:
    assert plain_border(photo) is None


def test_a_border_without_a_clear_end_is_left_alone() -> None:
    """A photo that turns from paper into grass by and by."""
    fade = np.clip((np.arange(512) - 20) / 300, 0, 1)[None, :, None]
    paper = np.array([180, 150, 112])
    photo = (fade * grass(256, 512) + (1 - fade) * paper).astype(np.uint8)
    assert plain_border(photo) is None


def test_a_plate_on_a_table_has_no_border() -> None:
    photo = np.full((256, 384, 3), (180, 150, 112), np.float32)
    inside = cv2.circle(np.zeros((256, 384), np.float32), (192, 128), 120, 1, -1)[..., None]
    photo = (inside * grass(256, 384) + (1 - inside) * photo).astype(np.uint8)
    assert plain_border(photo) is None


def test_borders_of_two_colours_are_left_alone() -> None:
    photo = bordered(256, 512, Box(40, 0, 470, 256), noise=1)
    photo[:, :38] = (40, 60, 200)
    assert plain_border(photo) is None


@pytest.mark.parametrize("left", [100, 140, 160, 200, 300])
def test_no_side_loses_more_than_the_most(left: int) -> None:
    found = plain_border(bordered(256, 512, Box(left, 0, 512, 256)))
    assert found is None if left > MOST * 512 + 3 else found is not None and found.left <= MOST * 512


def test_a_box_is_scaled_to_another_version() -> None:
    assert scaled(Box(10, 5, 100, 50), (100, 50), (2000, 1000)) == Box(200, 100, 2000, 1000)
