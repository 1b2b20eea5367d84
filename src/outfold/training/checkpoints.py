"""What of a training stays on disk: the weights worth keeping, and the state to go on from after a kill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import isnan
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from outfold.files import write_atomically


@dataclass(frozen=True)
class Watched:
    """A score of the validation that epochs are kept by.

    Attributes:
        name: its column in the history.
        greater_is_better: its direction.
    """

    name: str
    greater_is_better: bool = True


def best_epochs(history: Sequence[Mapping[str, Any]], score: Watched | None, top: int) -> list[int]:
    """The epochs with the best scores, best first.

    Ties go to the earlier epoch. A score that is no number (an AUC of one class) comes after all that are; of several
    such epochs the later goes first.

    Args:
        history: one row an epoch, with `epoch` and the score.
        score: which; None takes the latest epochs.
        top: how many.
    """

    def rank(row: Mapping[str, Any]) -> tuple[bool, float, int]:
        value = float("nan") if score is None else float(row[score.name])
        if score is None or isnan(value):
            return True, 0.0, -row["epoch"]
        return False, -value if score.greater_is_better else value, row["epoch"]

    return [row["epoch"] for row in sorted(history, key=rank)[:top]]


@dataclass(frozen=True)
class Keeper:
    """Keeps the weights of the best epochs on disk, and says when to stop; a pure function of the history.

    Attributes:
        folder: where `epoch003.safetensors` files live while training.
        watched: the scores that epochs are kept by; none keeps the latest.
        top: how many best epochs stay by each of them.
        patience: epochs without a better first score before a phase ends; None never ends one early.
        history: one row an epoch so far, with `epoch` and the watched scores; grows as the training goes on.
    """

    folder: Path
    watched: tuple[Watched, ...] = ()
    top: int = 1
    patience: int | None = None
    history: Sequence[Mapping[str, Any]] = field(default_factory=list)

    @property
    def kept(self) -> list[int]:
        """The epochs whose weights stay: the best by the first score, then further ones by the others, each once."""
        by_score = [best_epochs(self.history, score, self.top) for score in self.watched or (None,)]
        return list(dict.fromkeys(chain.from_iterable(by_score)))

    @property
    def ranked(self) -> list[int]:
        """The same epochs, best first by the first score alone."""
        kept = self.kept
        rows = [row for row in self.history if row["epoch"] in kept]
        return best_epochs(rows, self.watched[0] if self.watched else None, len(rows))

    @property
    def best_epoch(self) -> int:
        """The best epoch by the first score."""
        return self.kept[0]

    def save(self, state: Mapping[str, Tensor]) -> None:
        """Save the weights after the latest epoch, if it is kept; `prune` drops what it pushes out."""
        epoch = self.history[-1]["epoch"]
        if epoch in self.kept:
            save_weights(self.path(epoch), state)

    def prune(self) -> None:
        """Delete the weights that no longer count; to be called once the state that says so is on disk."""
        stay = set(map(self.path, self.kept))
        for path in self.folder.glob("epoch*.safetensors"):
            if path not in stay:
                path.unlink()

    def path(self, epoch: int) -> Path:
        """The file of one epoch's weights."""
        return self.folder / f"epoch{epoch:03d}.safetensors"

    def should_stop(self, phase_start: int = 0) -> bool:
        """Whether `patience` epochs of a phase have gone by without a better first score.

        Args:
            phase_start: epochs before this phase. Another phase is another way of training and gets its own patience.
        """
        if not self.watched or self.patience is None:
            return False
        return len(self.history) - max(self.best_epoch, phase_start) >= self.patience


def save_weights(path: Path, state: Mapping[str, Tensor], header: dict[str, str] | None = None) -> None:
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
