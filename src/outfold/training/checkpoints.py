"""What of a training stays on disk: the weights worth keeping, and the state to go on from after a kill."""

from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from outfold.files import write_atomically


@dataclass
class Keeper:
    """Decides after each epoch which weights stay, and whether to stop.

    Attributes:
        folder: where `epoch003.safetensors` files live while training.
        metric: name of the watched score; None keeps the last epoch alone.
        greater_is_better: direction of the metric.
        top: how many best epochs stay.
        patience: epochs without a better score before a phase ends; None never ends one early.
        kept: (score, epoch) of the files on disk, best first; ties go to the earlier epoch.
    """

    folder: Path
    metric: str | None
    greater_is_better: bool = True
    top: int = 1
    patience: int | None = None
    kept: list[tuple[float, int]] = field(default_factory=list)

    def update(self, epoch: int, scores: dict[str, float], state: dict[str, Tensor]) -> None:
        """Save this epoch's weights if they are among the best; `prune` drops what they push out."""
        score = float(epoch) if self.metric is None else scores[self.metric]
        ranked = sorted([*self.kept, (score, epoch)], key=self._rank)
        self.kept = ranked[: self.top]
        if epoch in self._kept_epochs():
            save_weights(self.path(epoch), state)

    def prune(self) -> None:
        """Delete the weights that no longer count; to be called once the state that says so is on disk."""
        for path in self.folder.glob("epoch*.safetensors"):
            if path not in map(self.path, self._kept_epochs()):
                path.unlink()

    def _kept_epochs(self) -> list[int]:
        return [epoch for _, epoch in self.kept]

    def _rank(self, entry: tuple[float, int]) -> tuple[bool, float, int]:
        """Sorting key, best first: numbers before what is no number, the earlier epoch where scores are equal.

        Where no epoch has a score (an AUC of one class), the last is kept.
        """
        score, epoch = entry
        if isnan(score):
            return True, 0.0, -epoch
        descending = self.metric is None or self.greater_is_better
        return False, -score if descending else score, epoch

    def path(self, epoch: int) -> Path:
        """The file of one epoch's weights."""
        return self.folder / f"epoch{epoch:03d}.safetensors"

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights predict."""
        return self.kept[0][1]

    def should_stop(self, epoch: int, phase_start: int = 0) -> bool:
        """Whether `patience` epochs of this phase have gone by without a better score.

        Args:
            epoch: epochs so far.
            phase_start: of these, the epochs before this phase. Another phase is another way of training and gets its
                own patience.
        """
        if self.metric is None or self.patience is None:
            return False
        return epoch - max(self.best_epoch, phase_start) >= self.patience


def save_weights(path: Path, state: dict[str, Tensor], header: dict[str, str] | None = None) -> None:
    """Write tensors, and texts for the file's header, as safetensors, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    write_atomically(path, lambda part: save_file(tensors, part, header))


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into a network; every key and shape must match."""
    network.load_state_dict(load_file(path))


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write what a killed training needs to go on: tensors, numbers, texts, lists and dictionaries."""
    write_atomically(path, lambda part: torch.save(state, part))


def load_state(path: Path, key: str) -> dict[str, Any] | None:
    """The saved state, if there is one and it belongs to this very job.

    Args:
        path: file written by `save_state`.
        key: the job's key; a state of a job that has since changed is of no use and is ignored.
    """
    if not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    return state if state["key"] == key else None
