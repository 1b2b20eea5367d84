"""Blur, noise, holes and local contrast against their definitions."""

import numpy as np
import pytest
from scipy import ndimage, stats

from outfold.views.augment.pixel import Clahe, Cutout, GaussianBlur, GaussianNoise, gaussian_blur

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


def test_clahe_spreads_lightness_and_keeps_flat_grey_grey():
    dull = (IMAGE // 8 + 100).astype(np.uint8)
    result = Clahe(clip_limit=(4, 4)).sample(np.random.default_rng(0), 60, 80)(dull)
    assert result.mean(axis=2).std() > 1.5 * dull.mean(axis=2).std()
    flat = Clahe().sample(np.random.default_rng(0), 60, 80)(np.full_like(IMAGE, 90))
    assert np.ptp(flat.astype(int), axis=2).max() <= 2


def test_inputs_are_left_alone():
    rng = np.random.default_rng(0)
    image = IMAGE.copy()
    for transform in (GaussianBlur(), GaussianNoise(), Cutout(), Clahe()):
        transform.sample(rng, 60, 80)(image)
    np.testing.assert_array_equal(image, IMAGE)
