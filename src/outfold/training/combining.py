"""At the end of a training: the kept epochs become the weights that predict."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from outfold.files import known
from outfold.inference.predict import Forward
from outfold.models.freeze import set_train_mode, set_trainable
from outfold.models.network import Network
from outfold.settings.learning import Phase
from outfold.training.averaging import BatchNorm, greedy_soup, mean_of_states, reestimate_batch_norms
from outfold.training.checkpoints import Keeper
from outfold.views.batches import Loader
from outfold.views.inputs import Input

MOST_BATCHES = 200
"""Batches, at most, that batch norms learn their statistics from anew; more would hardly move a mean over them."""


@dataclass(frozen=True)
class Combined:
    """What the weights that predict are a mean of, and what that did on the validation rows.

    Attributes:
        how: average or greedy_soup.
        epochs: whose weights are averaged, ascending, each once.
        batches: how many batches the batch norms learned their statistics from; 0 where none trained.
        before: validation loss and scores of the best epoch alone; empty without validation rows.
        scores: the same of the mean.
    """

    how: str
    epochs: tuple[int, ...]
    batches: int
    before: Mapping[str, float]
    scores: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: null for a score that is no number."""
        before, scores = ({name: known(value) for name, value in part.items()} for part in (self.before, self.scores))
        made = {"how": self.how, "epochs": list(self.epochs), "batches": self.batches}
        return made | {"before": before, "scores": scores}


@dataclass(frozen=True)
class Combiner:
    """Makes one network of kept epochs.

    Attributes:
        network: is given the weights.
        forward: the network as it computes, on named inputs.
        keeper: the kept epochs and their files.
        norms: the batch norms that trained during the kept epochs; see `trained_batch_norms`.
        batches: un-augmented batches of training rows, the same at every call, for the statistics of the norms.
        validate: loss and scores of the network as it is, on the validation rows.
    """

    network: Network
    forward: Forward
    keeper: Keeper
    norms: Sequence[BatchNorm]
    batches: Callable[[], Iterable[dict[str, Tensor]]]
    validate: Callable[[], Mapping[str, float]]

    def mean(self, epochs: Sequence[int], how: str = "average") -> Combined:
        """Leave the network with the mean of these epochs' weights, in eval mode."""
        batches, scores = self._load_mean(epochs), self.validate()
        best = next(row for row in self.keeper.history if row["epoch"] == self.keeper.best_epoch)
        return Combined(how, tuple(sorted(epochs)), batches, {name: best[name] for name in scores}, scores)

    def soup(self) -> Combined:
        """Leave the network with a greedy soup of the kept epochs, tried from the best by the first score on."""
        first = self.keeper.watched[0]

        def score(epochs: Sequence[int]) -> float:
            self._load_mean(epochs)
            return self.validate()[first.name]

        chosen = greedy_soup(self.keeper.ranked, score, greater_is_better=first.greater_is_better)
        return self.mean(chosen, "greedy_soup")

    def _load_mean(self, epochs: Sequence[int]) -> int:
        """Give the network the mean of these epochs' weights; returns the batches that its norms learned from."""
        paths = [self.keeper.path(epoch) for epoch in sorted(epochs)]
        self.network.load_state_dict(mean_of_states(map(load_file, paths)))
        self.network.eval()
        return reestimate_batch_norms(self.norms, self.forward, self.batches()) if len(paths) > 1 else 0


def trained_batch_norms(network: Network, phases: Iterable[Phase]) -> list[BatchNorm]:
    """The batch norms whose statistics moved in some of these phases, in module order; frozen ones did not."""
    moved: set[nn.Module] = set()
    for phase in phases:
        set_trainable(network, phase.train)
        set_train_mode(network, phase.batch_norms)
        moved.update(module for module in network.modules() if module.training)
    return [m for m in network.modules() if isinstance(m, BatchNorm) and m.track_running_stats and m in moved]


def plain_batches(
    inputs: Mapping[str, Input],
    batches: Sequence[np.ndarray],
    device: torch.device,
    workers: int,
    advance: Callable[[int], None] = lambda samples: None,
) -> Iterator[dict[str, Tensor]]:
    """Named model inputs of batches of rows, un-augmented, on the device.

    Args:
        inputs: by name, how rows become model input.
        batches: int64 arrays of rows.
        device: where the model computes.
        workers: threads that read.
        advance: is told how many rows were finished, batch by batch.
    """
    readers = {name: source.reader(augment=False) for name, source in inputs.items()}
    for batch in Loader(readers, batches, seed=(0,), workers=workers):
        yield {name: inputs[name].to_model(array.to(device)) for name, array in batch.inputs.items()}
        advance(len(batch.rows))
