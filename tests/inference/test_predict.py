"""One way from rows to predictions: views averaged, rows in their order, whatever the batches."""

import numpy as np
import pytest
import torch
from torch import Tensor

from outfold.inference.predict import Predictor
from outfold.settings.view import ImageView
from outfold.views.inputs import ImageInput

PHOTOS = [np.random.default_rng(seed).integers(0, 255, (12, 12, 3), dtype=np.uint8) for seed in range(7)]
INPUTS = {"image": ImageInput(PHOTOS, ImageView(size=12), (), (0.0,) * 3, (1.0,) * 3)}
WEIGHT = torch.randn(3 * 12 * 12, 2, generator=torch.Generator().manual_seed(0)) / 10


def forward(inputs: dict[str, Tensor]) -> Tensor:
    return inputs["image"].flatten(1) @ WEIGHT


def images() -> Tensor:
    return torch.from_numpy(np.stack(PHOTOS)).permute(0, 3, 1, 2).float() / 255


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_rows_come_in_their_order_whatever_the_batches(batch_size: int) -> None:
    rows = np.array([4, 0, 6, 2])
    values, _ = Predictor(INPUTS, batch_size=batch_size)(forward, rows)
    np.testing.assert_allclose(values, forward({"image": images()[rows]}), rtol=1e-5, atol=1e-5)


def test_views_are_averaged_as_logits_or_as_probabilities() -> None:
    rows = np.arange(7)
    plain, flipped = forward({"image": images()}), forward({"image": images().flip(3)})
    logits, _ = Predictor(INPUTS, views=["identity", "hflip"])(forward, rows)
    np.testing.assert_allclose(logits, (plain + flipped) / 2, rtol=1e-5, atol=1e-5)
    activation = torch.nn.Softmax(dim=1)
    probabilities, _ = Predictor(INPUTS, views=["identity", "hflip"], activation=activation)(forward, rows)
    np.testing.assert_allclose(probabilities, (activation(plain) + activation(flipped)) / 2, rtol=1e-5, atol=1e-6)


def test_progress_is_told_by_batch() -> None:
    told: list[int] = []
    Predictor(INPUTS, batch_size=3)(forward, np.arange(7), advance=told.append)
    assert told == [3, 3, 1]


def test_an_error_of_a_reader_reaches_the_caller() -> None:
    with pytest.raises(IndexError):
        Predictor(INPUTS)(forward, np.array([0, 99]))
