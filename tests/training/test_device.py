"""Process-wide settings are asked for, and given back."""

import numpy as np
import pytest
import torch

from outfold.errors import TrainingError
from outfold.training.device import choose_device, make_fabric, tiny_numbers_as_zero

TINY = np.float32(1e-39)


def test_tiny_numbers_count_again_afterwards() -> None:
    with tiny_numbers_as_zero():
        assert (torch.tensor([1e-39]) * torch.tensor([1.0])).item() == 0.0
    assert (torch.tensor([1e-39]) * torch.tensor([1.0])).item() > 0.0
    assert np.float32(TINY * np.float32(1.0)) > 0


def test_a_device_that_is_not_there_is_refused() -> None:
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(TrainingError, match="no device 'tpu'"):
        choose_device("tpu")


def test_half_precision_needs_a_gpu() -> None:
    with pytest.raises(TrainingError, match="bf16 or fp32"):
        make_fabric(torch.device("cpu"), "fp16")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precisions_on_a_cpu(precision: str) -> None:
    fabric = make_fabric(torch.device("cpu"), precision)
    layer = fabric.setup_module(torch.nn.Linear(4, 2))
    assert layer(torch.ones(1, 4)).dtype == torch.float32  # fabric gives back full precision
    assert next(layer.parameters()).dtype == torch.float32
