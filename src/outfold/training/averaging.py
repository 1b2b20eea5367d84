"""One network of several epochs: means of weights, statistics of batch norms learned anew, and greedy soups."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

T = TypeVar("T")


def mean_of_states(states: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of weights, tensor by tensor.

    Sums are of float64, so that equal tensors come out as they were. What is no floating number, such as a counter of
    batches, has no mean and is taken from the last state. Only one state is held at a time, beside the sums.

    Args:
        states: by name, tensors of one network at different times, on the CPU, the newest last.

    Returns:
        By name, tensors of the same shapes and types.

    Raises:
        ValueError: there is no state, or they differ in their names or shapes.
    """
    total: dict[str, Tensor] = {}
    shapes: dict[str, torch.Size] = {}
    newest: Mapping[str, Tensor] = {}
    count = 0
    for count, newest in enumerate(states, start=1):
        found = {name: tensor.shape for name, tensor in newest.items()}
        if count > 1 and found != shapes:
            odd = sorted(name for name in shapes | found if shapes.get(name) != found.get(name))
            raise ValueError(f"states of different networks have no mean: they differ in {', '.join(odd[:3])}")
        shapes = found
        for name, tensor in newest.items():
            if tensor.is_floating_point():
                total[name] = total[name].add_(tensor) if name in total else tensor.to(torch.float64, copy=True)
    if not count:
        raise ValueError("there is no state to take the mean of")
    means = {name: total.pop(name).div_(count).to(newest[name].dtype) for name in list(total)}
    return {name: means.get(name, tensor) for name, tensor in newest.items()}


@torch.no_grad()
def reestimate_batch_norms(norms: Sequence[BatchNorm], forward: Callable[[T], object], batches: Iterable[T]) -> int:
    """Let batch norms learn their running statistics anew, as the plain mean over batches.

    Averaged weights give activations that none of the averaged networks had, so that a mean of their statistics is
    wrong (Izmailov et al. 2018, arXiv:1803.05407). As torch.optim.swa_utils.update_bn, but for these norms alone; all
    else, such as dropout, stays as it is in prediction.

    Args:
        norms: of a network in eval mode, where they are again afterwards; none: nothing is computed.
        forward: the network on a batch.
        batches: what it computes on, each counting the same.

    Returns:
        How many batches there were.
    """
    momenta = {norm: norm.momentum for norm in norms}
    count = 0
    try:
        for norm in momenta:
            norm.reset_running_stats()
            norm.momentum = None  # torch's word for a cumulative mean
            norm.train()
        for batch in batches if momenta else ():
            forward(batch)
            count += 1
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
            norm.eval()
    return count


def greedy_soup(
    candidates: Sequence[T], score: Callable[[Sequence[T]], float], *, greater_is_better: bool = True
) -> list[T]:
    """The candidates whose mean is scored well: one after the other is taken in unless it makes the mean worse.

    Recipe 1 of Wortsman et al. 2022, "Model soups", arXiv:2203.05482.

    Args:
        candidates: the best first, at least one.
        score: of the mean of some candidates, on rows that did not train.
        greater_is_better: its direction.

    Returns:
        Those taken in, in their order; always the first.
    """
    chosen, best = [candidates[0]], score([candidates[0]])
    for candidate in candidates[1:]:
        tried = score([*chosen, candidate])
        if tried >= best if greater_is_better else tried <= best:
            chosen, best = [*chosen, candidate], tried
    return chosen
