"""One composed warp against plain numpy: exact where pixels only move, bilinear elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torchvision.transforms.v2 import functional as torchvision

from outfold.views.augment.geometry import Fit, HorizontalFlip, Transpose, VerticalFlip, quarter_turns
from outfold.views.augment.warp import Affine, compose, crop_resize, render, similarity, warp_affine

RNG = np.random.default_rng(0)
IDENTITY = np.eye(3)


def smooth_photo(height: int, width: int) -> np.ndarray:
    """Random soft blobs: a photo that one pixel's shift changes by a few grey levels."""
    noise = RNG.uniform(0, 255, (height, width, 3))
    soft = ndimage.gaussian_filter(noise, (4, 4, 0))
    return np.uint8(255 * (soft - soft.min()) / np.ptp(soft))


def bilinear(image: np.ndarray, step: Affine) -> np.ndarray:
    """The definition, in float64, with the photo reflected about its border pixels."""
    y, x = np.mgrid[: step.height, : step.width]
    coordinates = step.matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    shape = (step.height, step.width)
    channels = [
        ndimage.map_coordinates(image[..., c].astype(float), coordinates[1::-1], order=1, mode="mirror").reshape(shape)
        for c in range(3)
    ]
    return np.stack(channels, axis=-1)


MOVES = {
    "hflip": (lambda h, w: HorizontalFlip().sample(RNG, h, w), lambda a: a[:, ::-1]),
    "vflip": (lambda h, w: VerticalFlip().sample(RNG, h, w), lambda a: a[::-1]),
    "transpose": (lambda h, w: Transpose().sample(RNG, h, w), lambda a: a.transpose(1, 0, 2)),
    "rot90": (lambda h, w: quarter_turns(1, h, w), np.rot90),
    "rot180": (lambda h, w: quarter_turns(2, h, w), lambda a: np.rot90(a, 2)),
    "rot270": (lambda h, w: quarter_turns(3, h, w), lambda a: np.rot90(a, 3)),
}


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(MOVES)), min_size=1, max_size=5),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    data=st.data(),
)
def test_any_moves_and_a_crop_are_exact(names, height, width, data):
    image = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected, steps = image, []
    for name in names:
        step, reference = MOVES[name]
        steps.append(step(*expected.shape[:2]))
        expected = reference(expected)
    top, left = (data.draw(st.integers(0, side - 1)) for side in expected.shape[:2])
    expected = expected[top:, left:]
    steps.append(crop_resize(top, left, expected.shape[:2], expected.shape[:2]))
    result = render(image, compose(steps))
    np.testing.assert_array_equal(result, expected)
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, image)


@pytest.mark.parametrize("name", MOVES)
def test_the_warp_itself_is_exact_for_moves(name):
    image = RNG.integers(0, 256, (31, 47, 3), dtype=np.uint8)
    step = MOVES[name][0](31, 47)
    np.testing.assert_array_equal(warp_affine(image, step.matrix, step.height, step.width), MOVES[name][1](image))


@settings(max_examples=40, deadline=None)
@given(
    degrees=st.floats(-180, 180),
    zoom=st.floats(0.7, 3),
    shift=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
    crop=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_the_warp_is_bilinear_interpolation(degrees, zoom, shift, crop):
    image = smooth_photo(97, 113)
    steps = [crop_resize(*crop, (50, 60), (64, 64)), similarity(64, 64, degrees=degrees, zoom=zoom, shift=shift)]
    step = compose(steps)
    assert np.abs(warp_affine(image, step.matrix, 64, 64) - bilinear(image, step)).max() <= 0.51


@pytest.mark.parametrize("degrees", [-30, -7.5, 12, 90, 135])
def test_rotation_is_counter_clockwise_as_in_torchvision(degrees):
    image = smooth_photo(64, 80)
    expected = torchvision.rotate(
        torchvision.to_image(image), degrees, interpolation=torchvision.InterpolationMode.BILINEAR
    )
    result = render(image, similarity(64, 80, degrees=degrees))
    inside = render(np.full_like(image, 255), similarity(64, 80, degrees=degrees)) == 255
    covered = (
        torchvision.rotate(torchvision.to_image(np.full_like(image, 255)), degrees).permute(1, 2, 0).numpy() == 255
    )
    covered = ndimage.binary_erosion(covered, np.ones((5, 5, 1)))
    assert inside.all()
    assert np.abs(result.astype(int) - expected.permute(1, 2, 0).numpy())[covered].max() <= 2


def test_zoom_enlarges_and_shift_moves_the_content():
    image = np.zeros((41, 41, 3), np.uint8)
    image[18:23, 18:23] = 255
    zoomed = render(image, similarity(41, 41, zoom=2))
    assert 1.8 < np.sqrt((zoomed > 127).sum() / (image > 127).sum()) < 2.2
    np.testing.assert_array_equal(render(image, similarity(41, 41, shift=(5, -3))), np.roll(image, (-3, 5), (0, 1)))


@pytest.mark.parametrize("size", [(40, 60), (31, 45), (80, 120)])
def test_an_upright_window_equals_the_warp(size):
    image = smooth_photo(50, 70)
    step = crop_resize(3, 5, (40, 60), size)
    difference = np.abs(render(image, step).astype(int) - warp_affine(image, step.matrix, *size))
    # At the window's border the resize repeats its last pixel, where the warp reads on into the photo.
    assert difference[2:-2, 2:-2].max() <= 1


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinking_by_a_whole_number_averages_boxes(factor):
    image = RNG.integers(0, 256, (12 * factor, 9 * factor, 3), dtype=np.uint8)
    boxes = image.reshape(12, factor, 9, factor, 3).mean(axis=(1, 3))
    result = render(image, crop_resize(0, 0, image.shape[:2], (12, 9)))
    assert np.abs(result - boxes).max() <= 0.51


def test_shrinking_and_turning_does_not_alias():
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 254
    step = compose([crop_resize(0, 0, (400, 400), (100, 100)), similarity(100, 100, degrees=10)])
    assert np.ptp(render(stripes, step)[10:-10, 10:-10].astype(int)) <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_tiny_photos(shape):
    image = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    fit = Fit(size=(8, 8)).sample(RNG, *shape)
    for step in (fit, compose([fit, similarity(8, 8, degrees=20)])):
        assert render(image, step).shape == (8, 8, 3)


def test_read_only_and_strided_input():
    image = smooth_photo(60, 80)[:, ::-1]
    image.flags.writeable = False
    np.testing.assert_array_equal(render(image, Affine(IDENTITY, 60, 80)), image)
    turned = similarity(60, 80, degrees=5)
    np.testing.assert_array_equal(render(image, turned), render(image.copy(), turned))
