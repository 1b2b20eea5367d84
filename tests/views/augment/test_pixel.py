"""Blur, noise and holes against their definitions."""

from functools import partial

import cv2
import numpy as np
import pytest
from scipy import ndimage, stats

from outfold.views.augment.pixel import (
    Cutout,
    GaussianBlur,
    GaussianNoise,
    MedianBlur,
    MotionBlur,
    draw_odd,
    gaussian_blur,
    line_kernel,
    normal_noise,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3])
def test_gaussian_blur_is_a_gaussian(sigma):
    radius = int(np.ceil(3 * sigma))
    expected = ndimage.gaussian_filter(
        IMAGE.astype(float), (sigma, sigma, 0), mode="mirror", radius=(radius, radius, 0)
    )
    assert np.abs(gaussian_blur(IMAGE, sigma) - expected).max() <= 1.5


def test_no_blur_changes_nothing():
    blur = GaussianBlur(sigma=(0.0, 0.0)).sample(np.random.default_rng(0), 60, 80)
    np.testing.assert_array_equal(blur(IMAGE), IMAGE)


def test_gaussian_noise_is_normal_and_clips():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noise = GaussianNoise(sigma=(8, 8)).sample(np.random.default_rng(0), 200, 200)
    values = noise(grey).astype(float).ravel() - 128
    assert abs(values.mean()) < 0.1
    assert abs(values.std() - np.sqrt(64 + 1 / 12)) < 0.1
    smooth = values + np.random.default_rng(1).uniform(-0.5, 0.5, values.size)
    assert stats.kstest(smooth[:20000], "norm", args=(0, 8)).pvalue > 0.001
    dark = noise(np.zeros_like(grey))
    assert 0.45 < (dark == 0).mean() < 0.6
    assert dark.max() < 60


def test_cutout_paints_whole_boxes_inside():
    rng = np.random.default_rng(0)
    for _ in range(50):
        result = Cutout(size=(0.25, 0.5), fill=7).sample(rng, 60, 80)(np.full_like(IMAGE, 200))
        rows, columns = np.nonzero(result[..., 0] == 7)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == height * width
        assert 15 <= height <= 30
        assert 20 <= width <= 40
    np.testing.assert_array_equal(np.unique(result), [7, 200])


def test_a_square_hole_is_square_on_any_photo():
    rng = np.random.default_rng(0)
    for shape in ((60, 80), (80, 60), (384, 384)):
        white = np.full((*shape, 3), 255, np.uint8)
        result = Cutout(size=(0.375, 0.375), square=True).sample(rng, *shape)(white)
        rows, columns = np.nonzero(result[..., 0] == 0)
        side = round(0.375 * min(shape))
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1, len(rows)) == (side, side, side**2)


@pytest.mark.parametrize("side", [3, 5])
def test_median_blur_is_a_median(side):
    expected = ndimage.median_filter(IMAGE, size=(side, side, 1), mode="nearest")
    blur = partial(cv2.medianBlur, ksize=side)
    np.testing.assert_array_equal(blur(IMAGE), expected)
    drawn = {MedianBlur(side=side).sample(np.random.default_rng(seed), 60, 80)(IMAGE).tobytes() for seed in range(20)}
    assert expected.tobytes() in drawn
    assert len(drawn) == (side - 1) // 2


def test_motion_blur_averages_along_a_line():
    rng = np.random.default_rng(0)
    for _ in range(60):
        kernel = line_kernel(rng, 5)
        lit = np.argwhere(kernel > 0)
        assert kernel.shape == (5, 5)
        assert 2 <= len(lit) <= 5
        np.testing.assert_allclose(kernel[kernel > 0], 1 / len(lit), rtol=1e-6)
        # Every pixel of the line is within half a pixel of the straight line between its ends.
        spans = lit[:, None] - lit[None]
        first, second = np.unravel_index(np.argmax((spans**2).sum(axis=-1)), spans.shape[:2])
        ahead = (lit[second] - lit[first]) / np.abs(lit[second] - lit[first]).max()
        off = (lit - lit[first])[:, 0] * ahead[1] - (lit - lit[first])[:, 1] * ahead[0]
        assert np.abs(off).max() <= 0.5 + 1e-9


def test_motion_blur_is_a_convolution_with_its_kernel():
    for seed in range(6):
        result = MotionBlur(side=5).sample(np.random.default_rng(seed), 60, 80)(IMAGE)
        rng = np.random.default_rng(seed)
        kernel = line_kernel(rng, draw_odd(rng, 5))
        expected = ndimage.correlate(IMAGE.astype(float), kernel[..., None], mode="mirror")
        assert np.abs(result - expected).max() <= 0.51


def test_odd_sides_are_equally_likely():
    rng = np.random.default_rng(0)
    sides = [draw_odd(rng, 7) for _ in range(300)]
    assert set(sides) == {3, 5, 7}
    assert min(sides.count(side) for side in (3, 5, 7)) > 75
    assert {draw_odd(rng, 3) for _ in range(9)} == {3}


@pytest.mark.parametrize(("side", "sigma"), [(3, 0.8), (5, 1.1)])
def test_a_sigma_stands_for_opencvs_small_kernels(side, sigma):
    # Where OpenCV is given a side of 3 or 5 alone, it takes the binomial kernel: nearly the same, cut off earlier.
    assert np.abs(gaussian_blur(IMAGE, sigma).astype(int) - cv2.GaussianBlur(IMAGE, (side, side), 0)).mean() < 3
    soft = cv2.GaussianBlur(IMAGE, (0, 0), 2)
    assert np.abs(gaussian_blur(soft, sigma).astype(int) - cv2.GaussianBlur(soft, (side, side), 0)).max() <= 1


def test_a_variance_is_drawn_uniformly():
    grey = np.full((60, 80, 3), 128, np.uint8)
    rng = np.random.default_rng(0)
    transform = GaussianNoise(variance=(5, 30))
    drawn = [transform.sample(rng, 60, 80)(grey).astype(float).var() - 1 / 12 for _ in range(200)]
    assert 4.5 < min(drawn) < 6
    assert 29 < max(drawn) < 31.5
    assert stats.kstest(drawn, stats.uniform(5, 25).cdf).pvalue > 0.01


def test_noise_of_any_shape_is_independent():
    noise = normal_noise(np.random.default_rng(0), 5.0, (7, 9, 3))
    assert noise.shape == (7, 9, 3)
    assert noise.dtype == np.int16
    wide = normal_noise(np.random.default_rng(0), 5.0, (200, 300, 3)).astype(float)
    assert abs(np.corrcoef(wide[:, :-1].ravel(), wide[:, 1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(wide[..., 0].ravel(), wide[..., 1].ravel())[0, 1]) < 0.015


def test_inputs_are_left_alone():
    rng = np.random.default_rng(0)
    image = IMAGE.copy()
    for transform in (GaussianBlur(), MedianBlur(), MotionBlur(), GaussianNoise(), Cutout()):
        transform.sample(rng, 60, 80)(image)
    np.testing.assert_array_equal(image, IMAGE)
