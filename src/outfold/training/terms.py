"""What all losses are made of: terms by cell, in full precision, times their weights."""

from collections.abc import Callable

import torch
from torch import Tensor

LossFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(logits (b, k), target (b, k), weight (b, 1) or (b, k) or None) -> scalar."""


def full(values: Tensor) -> Tensor:
    """Half-precision values as float32; others as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def weighted(terms: Tensor, weight: Tensor | None) -> Tensor:
    """Terms (b, k) times weights (b, 1), (b, k) or (k,); all alike where there are none."""
    return terms if weight is None else terms * weight
