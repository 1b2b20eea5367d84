"""Training stops with a sentence that says where and what to do."""

import numpy as np
import pytest
import torch

from outfold.errors import TrainingError
from outfold.training.guards import LossGuard, explained_memory

IDS = np.array([f"sample{i}" for i in range(10)], dtype=object)


@pytest.mark.parametrize("every", [1, 4])
def test_a_loss_that_is_not_finite_names_epoch_batch_and_samples(every: int) -> None:
    guard = LossGuard(IDS, "phase 'all', epoch 2", every=every)
    with pytest.raises(TrainingError, match=r"nan in phase 'all', epoch 2, batch 3") as raised:
        for step, value in enumerate([0.5, 0.4, float("nan"), 0.3]):
            guard.watch(torch.tensor(value), np.array([step, step + 1]))
    assert "sample2, sample3" in str(raised.value)


def test_the_mean_counts_every_step() -> None:
    guard = LossGuard(IDS, "", every=3)
    for value in [1.0, 2.0, 3.0, 6.0]:
        guard.watch(torch.tensor(value), np.array([0]))
    assert guard.mean == 3.0


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: not enough memory: you")]
)
def test_memory_errors_say_what_to_lower(error: Exception) -> None:
    with (
        pytest.raises(TrainingError, match=r"batches of 32 at 224 x 160 pixels[\s\S]*batch_size=16"),
        explained_memory(32, (224, 160)),
    ):
        raise error


def test_memory_errors_count_the_rows_beside_a_batch() -> None:
    said = r"batches of 128 and 192 beside them at[\s\S]*batch_size=64, half the pseudo_batch, and accumulate=2"
    with pytest.raises(TrainingError, match=said), explained_memory(128, (224, 224), 192):
        raise MemoryError


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes"), explained_memory(1, (1, 1)):
        raise RuntimeError("shapes do not match")
