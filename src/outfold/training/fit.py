"""From a network to a trained one: phases, validation after every epoch, kept weights, going on after a kill.

Everything random is drawn from generators seeded by (seed, epoch), and a state is saved after every epoch: a training
that was killed goes on from its last finished epoch and ends with the same numbers as one that was not.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from outfold.inference.predict import Forward
from outfold.models.freeze import set_train_mode, set_trainable
from outfold.models.network import Network
from outfold.settings.learning import Phase
from outfold.settings.train import TrainSettings
from outfold.training.checkpoints import Keeper, load_state, load_weights, save_state
from outfold.training.combining import MOST_BATCHES, Combined, Combiner, plain_batches, trained_batch_norms
from outfold.training.ema import Ema
from outfold.training.examples import Examples, Split
from outfold.training.features import HeadOnly
from outfold.training.guards import LossGuard, explained_memory
from outfold.training.learner import Learner, build_learner, optimizer_steps
from outfold.training.loop import EpochSummary, train_epoch
from outfold.training.losses import LossFunction
from outfold.training.validation import Judge, Validation, refuse_missing_scores
from outfold.views.batches import Loader, Waiting
from outfold.views.inputs import Input, Size, VectorInput
from outfold.work import megapixels

LOOK_EVERY = 16
"""Steps between looks at the loss on an accelerator, where every look waits for it."""


@dataclass
class Fit:
    """A training of one network on one split.

    Attributes:
        network: with pretrained weights or those to go on from; `run` changes it.
        examples: inputs and targets by row.
        split: rows that train and rows that judge; where none judge, no setting may need a score.
        settings: phases, optimiser, mixing, which epochs are kept and what is made of them.
        objective: (logits (b, k), target (b, k), weight) -> loss.
        judge: scores of the validation rows.
        fabric: device and precision.
        folder: where checkpoints and the state to resume from live.
        key: identifies this very training; a state under another key is not resumed.
        seed: decides the order of samples, augmentation, mixing and dropout.
        workers: threads that read samples.
        features: the frozen backbone's features of all rows, float32 (n, f), for phases that train all but the backbone
            on plain views; None computes every step in full.
        emit: is told {"event": "work", "megapixels"} by batch, {"event": "epoch", ...history row} by epoch and
            {"event": "combined", ...} where epochs become one.
        history: one row an epoch; filled by `run`.
        combined: what the final weights are a mean of; None where they are one epoch's own. Filled by `run`.
        waiting: time spent waiting for data; filled by `run`.

    Raises:
        RecipeError: a setting needs a score of held-out rows and there is none.
    """

    network: Network
    examples: Examples
    split: Split
    settings: TrainSettings
    objective: LossFunction
    judge: Judge
    fabric: Fabric
    folder: Path
    key: str
    seed: int = 0
    workers: int = 2
    features: Callable[[Network], np.ndarray] | None = None
    emit: Callable[[dict[str, Any]], None] = lambda event: None
    history: list[dict[str, Any]] = field(default_factory=list)
    combined: Combined | None = None
    waiting: Waiting = field(default_factory=Waiting)

    def __post_init__(self) -> None:
        refuse_missing_scores(self.settings, self.judge, len(self.split.valid))
        keep, device = self.settings.keep, self.fabric.device
        self.target = torch.from_numpy(self.examples.target).to(device)
        self.weight = None if self.examples.weight is None else torch.from_numpy(self.examples.weight).to(device)
        self.validation = self._validation()
        self.keeper = Keeper(self.folder, self.judge.watched, keep.top, keep.patience, self.history)
        self.network.to(memory_format=torch.channels_last)
        self.model = self.fabric.setup_module(self.network)
        self.ema = Ema(self.network, self.settings.ema) if self.settings.ema else None

    def run(self) -> int:
        """Train through all phases and leave the network with the weights that predict.

        Returns:
            The best epoch, counted from 1. `history` holds one row an epoch, `combined` what the weights are a mean of.

        Raises:
            TrainingError: the loss is not finite, or memory ran out.
        """
        state = self._resume()
        names = [phase.name for phase in self.settings.phases]
        reached = names.index(self.history[-1]["phase"]) if self.history else 0
        for number in range(reached, len(names)):
            self._phase(self.settings.phases[number], state if number == reached else None)
        self._combine()
        return self.keeper.best_epoch

    def _ended(self, phase: Phase, first: int) -> bool:
        """Whether a phase has had its epochs, or has run out of patience; `first` epochs lie before it."""
        epochs = len(self.history)
        return epochs - first >= phase.epochs or (epochs > first and self.keeper.should_stop(first))

    def _phase(self, phase: Phase, state: dict[str, Any] | None) -> None:
        """Train the epochs of one phase that are not in the history yet."""
        first = sum(row["phase"] != phase.name for row in self.history)
        if self._ended(phase, first):
            return
        set_trainable(self.network, phase.train)
        size = _height_width(phase.size) if phase.size else self.settings.view.height_width
        inputs, model = self._inputs_and_model(phase)
        learner = build_learner(
            self.network,
            phase,
            self.settings,
            model=model,
            inputs=inputs,
            target=self.target,
            weight=self.weight,
            objective=self.objective,
            fabric=self.fabric,
            batches=len(self._batches(first + 1)),
            ema=self.ema,
        )
        if state is not None:
            learner.optimizer.load_state_dict(state["optimizer"])
        while not self._ended(phase, first):
            losses = [row["valid_loss"] for row in self.history[first:] if "valid_loss" in row]
            scheduled = replace(learner, schedule=learner.schedule.after(losses))
            with explained_memory(self.settings.batch_size, size, self._beside):
                row = self._epoch(scheduled, phase, len(self.history) + 1, len(self.history) - first, size)
            self._finish(row, learner.optimizer)

    def _epoch(self, learner: Learner, phase: Phase, epoch: int, epoch_in_phase: int, size: Size) -> dict[str, Any]:
        """One epoch of training and its validation, as a row of the history."""
        started = time.perf_counter()
        torch.manual_seed(self.seed * 100_003 + epoch)  # dropout and stochastic depth
        set_train_mode(self.network, phase.batch_norms)
        readers = {name: source.reader(augment=phase.augment, size=size) for name, source in learner.inputs.items()}
        loader = Loader(readers, self._batches(epoch), seed=(self.seed, epoch), workers=self.workers)
        guard = LossGuard(
            self.examples.ids,
            f"phase {phase.name!r}, epoch {epoch}",
            every=1 if learner.target.device.type == "cpu" else LOOK_EVERY,
        )
        steps = optimizer_steps(len(loader), learner.accumulate)
        advance = self._advance(learner.inputs, size, training=True)
        trained = train_epoch(learner, loader, guard, first_step=epoch_in_phase * steps, advance=advance)
        self.waiting.add(trained.waiting)
        scores = {}
        if self.settings.is_validated(phase, epoch_in_phase):
            with self._averaged():
                scores = self._validate(learner.model, learner.inputs)
        return {"phase": phase.name, "epoch": epoch, **_columns(trained, learner), **scores} | {
            "seconds": round(time.perf_counter() - started, 3)
        }

    def _validate(self, model: Forward, inputs: Mapping[str, Input]) -> dict[str, float]:
        """Loss and scores on the validation rows, one plain view each, by the network's present weights."""
        self.network.eval()
        advance = self._advance(inputs, self.settings.view.height_width, training=False)
        scores, waiting = self.validation(model, inputs, advance)
        self.waiting.add(waiting)
        return scores

    def _finish(self, row: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
        """Keep the epoch's weights if they deserve it, and save the state to resume from."""
        self.history.append(row)
        with self._averaged():
            self.keeper.save(self.network.state_dict())
        state = {
            "key": self.key,
            "network": self.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),  # the loss scale of fp16
            "ema": self.ema.state_dict() if self.ema else None,
            "history": self.history,
            "waiting": [self.waiting.waited, self.waiting.elapsed],
        }
        save_state(self.folder / "resume.pt", state)
        self.keeper.prune()
        self.emit({"event": "epoch", **row})

    def _resume(self) -> dict[str, Any] | None:
        state = load_state(self.folder / "resume.pt", self.key)
        if state is None:
            return None
        self.network.load_state_dict(state["network"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.history.extend(state["history"])
        self.waiting.add(Waiting(*state["waiting"]))
        self.emit({"event": "resumed", "epoch": len(self.history)})
        return state

    def _combine(self) -> None:
        """Give the network the weights that predict: the best epoch's, or a mean of several, which is told."""
        how, kept = self.settings.keep.combine, self.keeper.kept
        if how == "best":
            load_weights(self.network, self.keeper.path(self.keeper.best_epoch))
            return
        combiner = Combiner(
            network=self.network,
            forward=self.model,
            keeper=self.keeper,
            norms=trained_batch_norms(self.network, self._phases_of(kept)),
            batches=self._plain_batches,
            validate=lambda: self._validate(self.model, self.examples.inputs),
        )
        with explained_memory(self.settings.batch_size, self.settings.view.height_width, self._beside):
            self.combined = combiner.soup() if how == "greedy_soup" else combiner.mean(kept, how)
        self.emit({"event": "combined", **self.combined.to_dict()})

    def _phases_of(self, epochs: list[int]) -> list[Phase]:
        """The phases from the first of these epochs to the last."""
        names = {row["phase"] for row in self.history if min(epochs) <= row["epoch"] <= max(epochs)}
        return [phase for phase in self.settings.phases if phase.name in names]

    def _plain_batches(self) -> Iterator[dict[str, Tensor]]:
        """Training rows as they are predicted, in an order and number that are always the same."""
        order = self._batches(0)[:MOST_BATCHES]  # shuffled, for rows may be sorted by class; epochs count from 1
        advance = self._advance(self.examples.inputs, self.settings.view.height_width, training=False)
        return plain_batches(self.examples.inputs, order, self.fabric.device, self.workers, advance)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        return self.split.batches(self.settings.batch_size, (self.seed, epoch))

    @property
    def _beside(self) -> int:
        """How many rows a batch has at most beside its `batch_size`."""
        return 0 if self.split.beside is None else self.split.beside.most

    def _inputs_and_model(self, phase: Phase) -> tuple[Mapping[str, Input], Forward]:
        """The full network on the views, or all but its backbone on features computed once."""
        if self.features is None or not self.settings.trains_on_features(phase):
            return self.examples.inputs, self.model
        others = {name: one for name, one in self.examples.inputs.items() if name != self.network.input_name}
        ready = {"features": VectorInput(self.features(self.network)), **others}
        return ready, self.fabric.setup_module(HeadOnly(self.network))

    def _validation(self) -> Validation:
        rows = torch.from_numpy(self.split.valid).to(self.target.device)
        return Validation(
            rows=self.split.valid,
            target=self.target[rows],
            weight=None if self.weight is None else self.weight[rows],
            objective=self.objective,
            judge=self.judge,
            batch_size=self.settings.predict.batch_size or 2 * self.settings.batch_size,
            workers=self.workers,
        )

    def _averaged(self) -> AbstractContextManager[Any]:
        return self.ema.swap() if self.ema else nullcontext()

    def _advance(self, inputs: Mapping[str, Input], size: Size, *, training: bool) -> Callable[[int], None]:
        """Tells how far the work is; a head on ready features costs next to nothing and is not counted."""
        counted = size if "features" not in inputs else (0, 0)
        return lambda samples: self.emit(
            {"event": "work", "megapixels": megapixels(samples, counted, training=training)}
        )


def _height_width(size: int | Size) -> Size:
    return (size, size) if isinstance(size, int) else size


def _columns(trained: EpochSummary, learner: Learner) -> dict[str, Any]:
    return {
        "train_loss": trained.loss,
        "lr": max(group["lr"] for group in learner.optimizer.param_groups),
        "images_per_second": round(trained.samples_per_second, 2),
        "wait_share": round(trained.waiting.share, 4),
    }
