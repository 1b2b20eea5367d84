"""Rows of which training sees one of two readings."""

import numpy as np
import torch

from outfold.views.inputs import DrawnInput, VectorInput

ONES, TWOS = np.full((1, 2), 1, np.float32), np.full((1, 2), 2, np.float32)


def read(seed: int, *, augment: bool = True, chance: float = 0.5) -> float:
    reader = DrawnInput(VectorInput(ONES), VectorInput(TWOS), chance).reader(augment=augment)
    (number,) = set(reader(0, np.random.default_rng(seed)).tolist())
    return number


def test_training_draws_either_and_the_same_seed_draws_the_same() -> None:
    drawn = [read(seed) for seed in range(400)]
    assert drawn == [read(seed) for seed in range(400)]
    assert set(drawn) == {1, 2}
    assert 160 < drawn.count(2) < 240
    assert [read(seed, chance=0) for seed in range(20)] == [1] * 20


def test_everything_else_reads_the_first() -> None:
    assert {read(seed, augment=False) for seed in range(50)} == {1}
    drawn = DrawnInput(VectorInput(ONES), VectorInput(TWOS))
    assert torch.equal(drawn.to_model(torch.ones(1, 2)), torch.ones(1, 2))


def test_the_draw_says_nothing_of_what_other_inputs_of_the_row_draw() -> None:
    """A flip of the photo is the first draw of a generator that starts alike."""
    flips = [np.random.default_rng(seed).random() < 0.5 for seed in range(2000)]
    drawn = [read(seed) == 2 for seed in range(2000)]
    assert abs(np.corrcoef(flips, drawn)[0, 1]) < 0.06
