"""SpecAugment: whole rows and columns, of the shares asked for, filled as asked."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.views.audio.spec_augment import SpecAugment, draw_mask


@settings(max_examples=100, deadline=None)
@given(
    length=st.integers(1, 60),
    masks=st.integers(0, 4),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_masks_are_few_stretches_of_limited_width(length, masks, share, seed):
    mask = draw_mask(50, length, masks, share, np.random.default_rng(seed))
    assert mask.shape == (50, length)
    assert mask.sum(1).max() <= masks * round(share * length)
    begins = np.diff(mask.astype(int), axis=1, prepend=0) == 1
    assert begins.sum(1).max() <= masks


@pytest.mark.parametrize("share", [0.1, 0.3, 1.0])
def test_one_mask_covers_half_its_largest_width_on_average(share):
    mask = draw_mask(20_000, 100, 1, share, np.random.default_rng(0))
    assert mask.mean() == pytest.approx(share / 2, rel=0.03)
    widths = mask.sum(1)
    assert widths.min() == 0
    assert widths.max() == 100 * share
    assert np.bincount(widths).min() > 0.5 * len(widths) / (100 * share + 1)


def test_two_masks_overlap_by_chance_alone():
    # A place is hidden by neither of two masks with the square of the chance of one.
    one, two = (draw_mask(40_000, 40, count, 0.5, np.random.default_rng(count)) for count in (1, 2))
    np.testing.assert_allclose((~two).mean(0), (~one).mean(0) ** 2, atol=0.015)


def test_pictures_are_painted_in_whole_rows_and_columns():
    pictures = torch.from_numpy(np.random.default_rng(0).normal(size=(8, 20, 30)).astype(np.float32))
    before = pictures.clone()
    spec_augment = SpecAugment(frequency_width=0.3, time_width=0.3, fill=-7)
    rows, columns = spec_augment.masks(8, 20, 30, np.random.default_rng(1))
    painted = spec_augment(pictures, np.random.default_rng(1))
    hidden = torch.from_numpy(rows[:, :, None] | columns[:, None, :])
    assert (painted[hidden] == -7).all()
    assert (painted[~hidden] == pictures[~hidden]).all()
    torch.testing.assert_close(pictures, before)
    means = SpecAugment(frequency_width=0.3, time_width=0.3)(pictures, np.random.default_rng(1))
    expected = pictures.mean((1, 2))[:, None, None].expand_as(means)
    torch.testing.assert_close(means[hidden], expected[hidden])


def test_each_picture_is_painted_with_its_chance():
    rows, columns = SpecAugment(4, 0.9, 4, 0.9, p=0.25).masks(4000, 30, 30, np.random.default_rng(0))
    assert (rows.any(1) | columns.any(1)).mean() == pytest.approx(0.25, abs=0.03)


def test_masks_of_no_width_or_number_leave_the_picture():
    pictures = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(SpecAugment(0, 0.5, 3, 0.0)(pictures, np.random.default_rng(0)), pictures)
