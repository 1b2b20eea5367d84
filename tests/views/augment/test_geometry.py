"""What each geometric transform draws."""

import numpy as np
import pytest

from outfold.views.augment.geometry import Fit, QuarterTurns, RandomCrop, RandomResizedCrop, Rotate, ShiftScaleRotate
from outfold.views.augment.warp import Affine, render


def window(step: Affine) -> tuple[float, float, float, float]:
    """Top, left, height and width of what an upright step reads."""
    (scale_x, _, x), (_, scale_y, y), _ = step.matrix
    return y + 0.5 - scale_y / 2, x + 0.5 - scale_x / 2, scale_y * step.height, scale_x * step.width


def test_random_resized_crop_stays_inside_and_in_range():
    rng = np.random.default_rng(1)
    crop = RandomResizedCrop(scale=(0.3, 0.8), ratio=(0.75, 4 / 3), size=(32, 48))
    windows = np.array([window(crop.sample(rng, 300, 400)) for _ in range(500)])
    top, left, height, width = windows.T
    np.testing.assert_allclose(windows, windows.round(), atol=1e-9)
    assert top.min() > -1e-9
    assert left.min() > -1e-9
    assert (top + height).max() < 300 + 1e-9
    assert (left + width).max() < 400 + 1e-9
    share, ratio = height * width / (300 * 400), width / height
    assert 0.29 < share.min() < 0.35
    assert 0.7 < share.max() < 0.81
    assert 0.74 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.35
    assert abs(np.median(ratio) - 1) < 0.1


def test_random_resized_crop_falls_back_to_the_centre():
    step = RandomResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0), size=(8, 8)).sample(np.random.default_rng(0), 10, 100)
    assert window(step) == pytest.approx((0, 45, 10, 10))


def test_random_crop_keeps_the_shape():
    rng = np.random.default_rng(0)
    windows = np.array([window(RandomCrop(scale=(0.5, 1.0), size=(50, 100)).sample(rng, 200, 300)) for _ in range(200)])
    _, _, height, width = windows.T
    assert np.abs(width / height - 2).max() < 0.03
    assert 74 <= height.min() < 85
    assert 140 < height.max() <= 150
    assert window(RandomCrop(size=(8, 8)).sample(rng, 8, 8)) == pytest.approx((0, 0, 8, 8))


def test_rotation_is_uniform_in_its_range():
    rng = np.random.default_rng(0)
    matrices = np.array([Rotate(degrees=(-15, 15)).sample(rng, 50, 60).matrix for _ in range(400)])
    degrees = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert -15 <= degrees.min() < -14
    assert 14 < degrees.max() <= 15
    assert abs(degrees.mean()) < 1


def test_shift_scale_rotate_ranges():
    rng = np.random.default_rng(0)
    transform = ShiftScaleRotate(shift=(-0.1, 0.1), scale=(-0.2, 0.2), rotate=(0, 0))
    matrices = np.array([transform.sample(rng, 101, 201).matrix for _ in range(400)])
    zoom = 1 / matrices[:, 0, 0]
    assert 0.8 <= zoom.min() < 0.82
    assert 1.18 < zoom.max() <= 1.2
    moved = 100 - (matrices[:, 0, 2] + 100 * matrices[:, 0, 0])
    assert np.abs(moved * zoom).max() <= 0.1 * 201 + 1e-9
    assert np.abs(moved * zoom).max() > 0.09 * 201


def test_quarter_turns_are_equally_likely():
    rng = np.random.default_rng(0)
    image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
    corners = [int(render(image, QuarterTurns().sample(rng, 2, 2))[0, 0, 0]) for _ in range(400)]
    assert np.bincount(corners, minlength=4).min() > 70


def test_fit_covers_and_cuts_the_centre():
    assert window(Fit(size=(32, 32)).sample(np.random.default_rng(0), 64, 128)) == pytest.approx((0, 32, 64, 64))
    assert window(Fit(size=(28, 28), crop_pct=0.875).sample(np.random.default_rng(0), 32, 32)) == pytest.approx(
        (2, 2, 28, 28)
    )
