"""Each view of test-time augmentation against numpy."""

from typing import get_args

import numpy as np
import pytest
import torch

from outfold.inference.tta import VIEWS
from outfold.settings.predicting import Orientation

NUMPY = {
    "identity": lambda image: image,
    "hflip": np.fliplr,
    "vflip": np.flipud,
    "rot90": np.rot90,
    "rot180": lambda image: np.rot90(image, 2),
    "rot270": lambda image: np.rot90(image, 3),
    "transpose": lambda image: image.transpose(1, 0, 2),
    "transverse": lambda image: np.rot90(image, 2).transpose(1, 0, 2),
}


@pytest.mark.parametrize("name", get_args(Orientation))
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_equals_numpy_and_keeps_the_format(name, layout):
    batch = torch.rand(2, 3, 4, 5).contiguous(memory_format=layout)
    before = batch.clone()
    result = VIEWS[name](batch)
    assert result.is_contiguous(memory_format=layout)
    for image, viewed in zip(batch, result, strict=True):
        expected = NUMPY[name](image.permute(1, 2, 0).numpy())
        np.testing.assert_array_equal(viewed.permute(1, 2, 0).numpy(), expected)
    assert torch.equal(batch, before)


def test_the_views_are_those_a_recipe_may_name_and_all_differ():
    assert set(VIEWS) == set(get_args(Orientation))
    batch = torch.arange(9.0).view(1, 1, 3, 3)
    assert len({tuple(view(batch).flatten().tolist()) for view in VIEWS.values()}) == 8
