"""An exponential moving average of a network's weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Keeps a moving average of all parameters; buffers, such as batch-norm statistics, are copied.

    The decay warms up as min(decay, (1 + n) / (10 + n)) over n updates, as TensorFlow's ExponentialMovingAverage does,
    so that an average over few steps is not held back by the first weights.

    Args:
        network: on its final device; the average lives there too.
        decay: share of the old average that stays at each update, 0..1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._live = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        self._averaged = [name for name, tensor in network.named_parameters() if tensor.is_floating_point()]
        self._average = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's present weights, after an optimiser step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        average = [self._average[name] for name in self._averaged]
        torch._foreach_lerp_(average, [self._live[name].detach() for name in self._averaged], 1 - decay)
        for name in self._live.keys() - set(self._averaged):
            self._average[name].copy_(self._live[name])

    @contextmanager
    def swap(self) -> Iterator[None]:
        """Within this context the network has the averaged weights; nothing may train meanwhile."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def state_dict(self) -> dict[str, object]:
        """What `load_state_dict` needs to go on."""
        return {"updates": self.updates, "average": self._average}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from a saved state of the same network.

        Raises:
            KeyError: the state is of another network.
        """
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        saved: dict[str, Tensor] = state["average"]  # type: ignore[assignment]
        for name, tensor in self._average.items():
            tensor.copy_(saved[name])

    def _exchange(self) -> None:
        for name, live in self._live.items():
            live.data, self._average[name] = self._average[name], live.data
