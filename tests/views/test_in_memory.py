"""Inputs that lie in memory: batches at once, equal to those that are read row by row."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from outfold.settings.learning import Mix
from outfold.views.batches import InMemory, Loader, training_batches
from outfold.views.inputs import JoinedInput, VectorInput
from outfold.views.mix import batch_mixer

VECTORS = np.random.default_rng(0).normal(size=(23, 5)).astype(np.float32)


def row_by_row(row: int, generator: np.random.Generator) -> np.ndarray:
    return VECTORS[row]


def draws(row: int, generator: np.random.Generator) -> np.ndarray:
    return VECTORS[row] + generator.normal(size=5).astype(np.float32)


@pytest.mark.parametrize("other", [None, draws])
def test_batches_equal_those_of_single_rows(other: Callable[..., np.ndarray] | None) -> None:
    """Alone, and beside an input that is read row by row and at random, whose numbers stay as they are."""
    batches = training_batches(np.arange(23), 4, (0, 1))
    others = {} if other is None else {"other": other}
    fast = list(Loader({"vectors": InMemory(VECTORS), **others}, batches, seed=(3,)))
    slow = list(Loader({"vectors": row_by_row, **others}, batches, seed=(3,)))
    assert len(fast) == len(slow) == len(batches)
    for one, two in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(one.rows, two.rows)
        assert one.inputs.keys() == two.inputs.keys()
        for name, tensor in one.inputs.items():
            assert torch.equal(tensor, two.inputs[name])


def test_a_batch_is_the_models_own() -> None:
    """What a model or a mixer does to a batch does not reach the rows."""
    (batch,) = Loader({"vectors": InMemory(VECTORS)}, [np.arange(4)], seed=(0,))
    before = VECTORS.copy()
    batch.inputs["vectors"].zero_()
    np.testing.assert_array_equal(VECTORS, before)


def test_joined_tables_stay_in_memory() -> None:
    joined = JoinedInput(VectorInput(VECTORS[:20]), VectorInput(VECTORS[20:]), 20).reader(augment=True)
    assert isinstance(joined, InMemory)
    np.testing.assert_array_equal(joined.batch(np.array([22, 0, 20])), VECTORS[[22, 0, 20]])


def test_noise_is_drawn_anew_for_training_alone() -> None:
    rows = VectorInput(np.zeros((20, 500), np.float32), noise=2.0)
    assert isinstance(rows.reader(augment=False), InMemory)
    read = rows.reader(augment=True)
    first, second = (read(3, np.random.default_rng(seed)) for seed in (0, 1))
    assert first.dtype == np.float32
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, read(7, np.random.default_rng(0)))
    drawn = np.stack([read(0, np.random.default_rng(seed)) for seed in range(40)])
    np.testing.assert_allclose([drawn.mean(), drawn.std()], [0, 2], atol=0.05)
    assert not rows.vectors.any()
    assert isinstance(VectorInput(VECTORS).reader(augment=True), InMemory)


def test_waiting_is_told() -> None:
    loader = Loader({"vectors": InMemory(VECTORS)}, training_batches(np.arange(23), 4, (0, 1)), seed=(3,))
    list(loader)
    assert 0 < loader.waiting.share <= 1


def test_vectors_and_targets_are_mixed_alike() -> None:
    target = torch.arange(8.0)[:, None]
    vectors = target * torch.ones(8, 5)
    mixed, labels, _ = batch_mixer(Mix(alpha=1.0))({"vectors": vectors}, target, None, np.random.default_rng(0))
    assert not torch.equal(labels, target)
    torch.testing.assert_close(mixed["vectors"], labels.expand(8, 5))
