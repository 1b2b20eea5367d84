"""Colour transforms against torchvision, Pillow and plain arithmetic."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as torchvision

from outfold.views.augment.chain import apply
from outfold.views.augment.colour import (
    BrightnessContrast,
    ColorJitter,
    Gamma,
    HueSaturationValue,
    ToGrey,
    brightness_table,
    saturation_matrix,
)
from outfold.views.augment.tables import LEVELS, Contrast, HueShift, Matrix, Table, fuse, to_levels

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
ROUNDING = 0.51


def exact(function, factor: float) -> np.ndarray:
    """torchvision's result in float64, in grey levels."""
    values = torch.from_numpy(IMAGE).permute(2, 0, 1).double() / 255
    return 255 * function(values, factor).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("factor", [0.0, 0.8, 1.0, 1.3, 2.5])
@pytest.mark.parametrize(
    ("step", "reference"),
    [
        (brightness_table, torchvision.adjust_brightness),
        (Contrast, torchvision.adjust_contrast),
        (saturation_matrix, torchvision.adjust_saturation),
    ],
)
def test_equals_torchvision(step, reference, factor):
    # torchvision's weights of grey sum to 0.9999, and OpenCV keeps 10 bits of a colour matrix.
    tolerance = 0.75 if step is saturation_matrix else ROUNDING
    assert np.abs(step(factor).apply(IMAGE) - exact(reference, factor)).max() <= tolerance + 0.05 * abs(1 - factor)


@pytest.mark.parametrize("turns", [-0.5, -0.2, 0.01, 0.3, 0.5])
def test_hue_equals_torchvision(turns):
    assert np.abs(HueShift(turns).apply(IMAGE) - exact(torchvision.adjust_hue, turns)).max() <= ROUNDING


@settings(max_examples=50, deadline=None)
@given(seeds=st.lists(st.integers(0, 1000), min_size=1, max_size=6))
def test_joined_tables_are_exactly_the_tables_in_turn(seeds):
    tables = [Table(np.random.default_rng(seed).integers(0, 256, 256, dtype=np.uint8)) for seed in seeds]
    expected = IMAGE
    for table in tables:
        expected = table.values[expected]
    joined = fuse(tables)
    assert len(joined) == 1
    np.testing.assert_array_equal(joined[0].apply(IMAGE), expected)


def test_tables_join_a_contrast_exactly_but_never_precede_its_mean():
    contrast, table = Contrast(1.4), brightness_table(0.7)
    assert len(fuse([contrast, table, table])) == 1
    np.testing.assert_array_equal(
        fuse([contrast, table, table])[0].apply(IMAGE), table.apply(table.apply(contrast.apply(IMAGE)))
    )
    assert len(fuse([table, contrast])) == 2


def test_joined_matrices_equal_both_within_rounding():
    first, second = saturation_matrix(0.5), Matrix(np.hstack([0.8 * np.eye(3), np.full((3, 1), 10.0)]))
    (joined,) = fuse([first, second])
    assert np.abs(joined.apply(IMAGE).astype(int) - second.apply(first.apply(IMAGE))).max() <= 1


def test_color_jitter_is_torchvision_in_a_fixed_order():
    (contrast, brightness, saturation) = ColorJitter(
        brightness=(0.9, 0.9), contrast=(0.8, 0.8), saturation=(0.7, 0.7)
    ).sample(np.random.default_rng(0), 40, 50)
    values = torch.from_numpy(IMAGE).permute(2, 0, 1).double() / 255
    for function, factor in (
        (torchvision.adjust_brightness, 0.9),
        (torchvision.adjust_saturation, 0.7),
        (torchvision.adjust_contrast, 0.8),
    ):
        values = function(values, factor)
    result = apply(IMAGE, (contrast, brightness, saturation))
    assert np.abs(result - 255 * values.permute(1, 2, 0).numpy()).max() <= 1.5


def test_color_jitter_draws_only_what_is_asked_for():
    rng = np.random.default_rng(0)
    assert ColorJitter().sample(rng, 1, 1) == ()
    assert [type(step) for step in ColorJitter(hue=(-0.1, 0.1)).sample(rng, 1, 1)] == [HueShift]


def test_brightness_contrast_and_gamma():
    rng = np.random.default_rng(0)
    (step,) = BrightnessContrast(brightness=(0.1, 0.1), contrast=(-0.2, -0.2)).sample(rng, 1, 1)
    np.testing.assert_array_equal(step.values, to_levels(0.8 * LEVELS + 25.5))
    (step,) = Gamma(gamma=(2.0, 2.0)).sample(rng, 1, 1)
    assert np.abs(step.values - LEVELS**2 / 255).max() <= 0.5


def test_to_grey_is_opencvs_grey():
    grey = apply(IMAGE, ToGrey().sample(np.random.default_rng(0), 1, 1))
    expected = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2GRAY)
    assert (grey == grey[..., :1]).all()
    assert np.abs(grey[..., 0].astype(int) - expected).max() <= 1


def test_hue_saturation_value_shifts_opencvs_hsv():
    (step,) = HueSaturationValue(hue=(7, 7), saturation=(-20, -20), value=(15, 15)).sample(
        np.random.default_rng(0), 1, 1
    )
    hsv = cv2.cvtColor(IMAGE, cv2.COLOR_RGB2HSV).astype(int)
    hsv[..., 0] = (hsv[..., 0] + 7) % 180
    hsv[..., 1:] = np.clip(hsv[..., 1:] + [-20, 15], 0, 255)
    np.testing.assert_array_equal(step.apply(IMAGE), cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB))


@pytest.mark.parametrize("step", [Contrast(1.3), saturation_matrix(0.5), brightness_table(1.2), HueShift(0.1)])
def test_steps_leave_their_input_alone_unless_told(step):
    image = IMAGE.copy()
    expected = step.apply(image)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(step.apply(image, out=image), expected)
    np.testing.assert_array_equal(image, expected)
