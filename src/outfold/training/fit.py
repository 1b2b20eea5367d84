"""From a fresh network to a trained one: phases, validation after every epoch, checkpoints, going on after a kill.

Everything random is drawn from generators seeded by (seed, epoch), and a state is saved after every epoch: a training
that was killed goes on from its last finished epoch and ends with the same numbers as one that was not.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from outfold.inference.predict import Predictor
from outfold.models.freeze import set_train_mode, set_trainable
from outfold.models.network import Network
from outfold.settings.learning import Phase
from outfold.settings.train import TrainSettings
from outfold.training.checkpoints import Keeper, load_state, load_weights, save_state
from outfold.training.device import set_up_optimizer
from outfold.training.ema import Ema
from outfold.training.guards import LossGuard, explained_memory
from outfold.training.loop import EpochSummary, Learner, Schedule, optimizer_steps, train_epoch
from outfold.training.losses import LossFunction
from outfold.training.optim import build_optimizer, parameter_groups
from outfold.views.batches import Loader, Waiting, training_batches
from outfold.views.inputs import Input, Size, VectorInput
from outfold.views.mix import batch_mixer
from outfold.work import megapixels

LOOK_EVERY = 16
"""Steps between looks at the loss on an accelerator, where every look waits for it."""


@dataclass(frozen=True)
class Examples:
    """What is learned from: all rows of the table; a split says which of them train.

    Attributes:
        ids: object (n,), the samples' ids.
        inputs: by name, how a row becomes model input.
        target: float32 (n, k), soft or hard, on the scale the loss sees.
        weight: float32 (n, 1) or (n, k), how much a sample (or cell) counts in the loss; None: all the same.
    """

    ids: np.ndarray
    inputs: Mapping[str, Input]
    target: np.ndarray
    weight: np.ndarray | None = None


@dataclass(frozen=True)
class Split:
    """Rows that train and rows that judge.

    Attributes:
        train: int64 (n,), places in the table.
        valid: int64 (m,), places in the table; empty when all rows train.
        chances: float64 (n,), relative chance of each training row to be drawn, with replacement; None: each once.
    """

    train: np.ndarray
    valid: np.ndarray
    chances: np.ndarray | None = None


@dataclass(frozen=True)
class Judge:
    """How a validation is scored.

    Attributes:
        scores: (logits (m, k), rows (m,)) -> by metric name, the score.
        metric: the name that picks the best epoch, or None for the last.
        greater_is_better: its direction.
    """

    scores: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    metric: str | None = None
    greater_is_better: bool = True


class HeadOnly(nn.Module):
    """A network seen from behind its backbone: the input `features` stands for the photos."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features (b, f) of the backbone and the network's other inputs -> logits (b, k)."""
        return self.network.logits(inputs["features"], inputs)


@dataclass
class Fit:
    """A training of one network on one split.

    Attributes:
        network: pretrained backbone and fresh head; `run` changes it.
        examples: inputs and targets by row.
        split: rows that train and rows that judge.
        settings: phases, optimiser, mixing, checkpoints.
        objective: (logits (b, k), target (b, k), weight) -> loss.
        judge: scores of the validation rows.
        fabric: device and precision.
        folder: where checkpoints and the state to resume from live.
        key: identifies this very training; a state under another key is not resumed.
        seed: decides the order of samples, augmentation, mixing and dropout.
        workers: threads that read samples.
        features: the frozen backbone's features of all rows, float32 (n, f), for phases that train all but the backbone
            on plain views; None computes every step in full.
        emit: is told {"event": "work", "megapixels"} by batch and {"event": "epoch", ...history row} by epoch.
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
    waiting: Waiting = field(default_factory=Waiting)

    def __post_init__(self) -> None:
        keep = self.settings.keep
        self.keeper = Keeper(self.folder, self.judge.metric, self.judge.greater_is_better, keep.top, keep.patience)
        self.network.to(memory_format=torch.channels_last)
        self.model = self.fabric.setup_module(self.network)
        self.ema = Ema(self.network, self.settings.ema) if self.settings.ema else None

    def run(self) -> int:
        """Train through all phases and leave the network with the kept epoch's weights.

        Returns:
            The kept epoch, counted from 1. `history` holds one row an epoch.

        Raises:
            TrainingError: the loss is not finite, or memory ran out.
        """
        state = self._resume()
        names = [phase.name for phase in self.settings.phases]
        reached = names.index(self.history[-1]["phase"]) if self.history else 0
        for number in range(reached, len(names)):
            self._phase(self.settings.phases[number], state if number == reached else None)
        load_weights(self.network, self.keeper.path(self.keeper.best_epoch))
        return self.keeper.best_epoch

    def _ended(self, phase: Phase, first: int) -> bool:
        """Whether a phase has had its epochs, or has run out of patience; `first` epochs lie before it."""
        epochs = len(self.history)
        return epochs - first >= phase.epochs or (epochs > first and self.keeper.should_stop(epochs, first))

    def _phase(self, phase: Phase, state: dict[str, Any] | None) -> None:
        """Train the epochs of one phase that are not in the history yet."""
        first = sum(row["phase"] != phase.name for row in self.history)
        if self._ended(phase, first):
            return
        set_trainable(self.network, phase.train)
        size = _height_width(phase.size) if phase.size else self.settings.view.height_width
        inputs, model = self._inputs_and_model(phase)
        batches = len(self._batches(first + 1))
        learner = self._learner(phase, inputs, model, optimizer_steps(batches, self.settings.accumulate))
        if state is not None:
            learner.optimizer.load_state_dict(state["optimizer"])
        while not self._ended(phase, first):
            epoch = len(self.history) + 1
            with explained_memory(self.settings.batch_size, size):
                row = self._epoch(learner, phase, epoch, epoch - first - 1, size)
            self._finish(row, learner.optimizer)

    def _epoch(self, learner: Learner, phase: Phase, epoch: int, epoch_in_phase: int, size: Size) -> dict[str, Any]:
        """One epoch of training and its validation, as a row of the history."""
        started = time.perf_counter()
        torch.manual_seed(self.seed * 100_003 + epoch)  # dropout and stochastic depth
        set_train_mode(self.network)
        readers = {name: source.reader(augment=phase.augment, size=size) for name, source in learner.inputs.items()}
        loader = Loader(readers, self._batches(epoch), seed=(self.seed, epoch), workers=self.workers)
        guard = LossGuard(
            self.examples.ids,
            f"phase {phase.name!r}, epoch {epoch}",
            every=1 if learner.target.device.type == "cpu" else LOOK_EVERY,
        )
        steps = optimizer_steps(len(loader), learner.accumulate)
        advance = self._advance(learner, size, training=True)
        trained = train_epoch(learner, loader, guard, first_step=epoch_in_phase * steps, advance=advance)
        self.waiting.add(trained.waiting)
        scores = self._validate(learner) if self.settings.is_validated(phase, epoch_in_phase) else {}
        return {"phase": phase.name, "epoch": epoch, **_columns(trained, learner), **scores} | {
            "seconds": round(time.perf_counter() - started, 3)
        }

    def _validate(self, learner: Learner) -> dict[str, float]:
        """Loss and scores on the validation rows, one plain view each, by the averaged weights where there are any."""
        rows = self.split.valid
        if not len(rows):
            return {}
        batch_size = self.settings.predict.batch_size or 2 * self.settings.batch_size
        predictor = Predictor(learner.inputs, batch_size=batch_size, device=learner.target.device, workers=self.workers)
        with self._averaged():
            self.network.eval()
            advance = self._advance(learner, self.settings.view.height_width, training=False)
            logits, waiting = predictor(learner.model, rows, advance=advance)
        self.waiting.add(waiting)
        places = torch.from_numpy(rows).to(learner.target.device)
        weight = None if learner.weight is None else learner.weight[places]
        loss = learner.objective(torch.from_numpy(logits).to(places.device), learner.target[places], weight)
        return {"valid_loss": float(loss), **self.judge.scores(logits, rows)}

    def _finish(self, row: dict[str, Any], optimizer: torch.optim.Optimizer) -> None:
        """Keep the epoch's weights if they deserve it, and save the state to resume from."""
        with self._averaged():
            self.keeper.update(row["epoch"], row, self.network.state_dict())
        self.history.append(row)
        state = {
            "key": self.key,
            "network": self.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "kept": self.keeper.kept,
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
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.keeper.kept = [(score, epoch) for score, epoch in state["kept"]]
        self.history.extend(state["history"])
        self.waiting.add(Waiting(*state["waiting"]))
        self.emit({"event": "resumed", "epoch": len(self.history)})
        return state

    def _batches(self, epoch: int) -> list[np.ndarray]:
        return training_batches(
            self.split.train, self.settings.batch_size, (self.seed, epoch), weights=self.split.chances
        )

    def _inputs_and_model(self, phase: Phase) -> tuple[Mapping[str, Input], Callable[[dict[str, Tensor]], Tensor]]:
        """The full network on the views, or all but its backbone on features computed once."""
        if self.features is None or not self.settings.trains_on_features(phase):
            return self.examples.inputs, self.model
        others = {name: one for name, one in self.examples.inputs.items() if name != self.network.input_name}
        ready = {"features": VectorInput(self.features(self.network)), **others}
        return ready, self.fabric.setup_module(HeadOnly(self.network))

    def _learner(
        self, phase: Phase, inputs: Mapping[str, Input], model: Callable[[dict[str, Tensor]], Tensor], steps: int
    ) -> Learner:
        groups = parameter_groups(self.network, phase, self.settings.optimizer.weight_decay)
        for group in groups:
            group["initial_lr"] = group["lr"]
        device = self.fabric.device
        weight = self.examples.weight
        # the scaler of fp16 has to undo its scale before a norm is measured, which a fused step leaves to the step
        fused = False if self.settings.precision == "fp16" and self.settings.clip_grad_norm else None
        return Learner(
            model=model,
            module=self.network,
            inputs=inputs,
            target=torch.from_numpy(self.examples.target).to(device),
            weight=None if weight is None else torch.from_numpy(weight).to(device),
            objective=self.objective,
            optimizer=set_up_optimizer(self.fabric, build_optimizer(self.settings.optimizer, groups, fused=fused)),
            schedule=Schedule(
                phase.schedule, steps * phase.epochs, round(phase.warmup_epochs * steps), final_lr=phase.final_lr
            ),
            fabric=self.fabric,
            mixer=batch_mixer(self.settings.mix) if phase.mix and self.settings.mix is not None else None,
            accumulate=self.settings.accumulate,
            clip_grad_norm=self.settings.clip_grad_norm,
            ema=self.ema,
        )

    def _averaged(self) -> AbstractContextManager[Any]:
        return self.ema.swap() if self.ema else nullcontext()

    def _advance(self, learner: Learner, size: Size, *, training: bool) -> Callable[[int], None]:
        """Tells how far the work is; a head on ready features costs next to nothing and is not counted."""
        counted = size if "features" not in learner.inputs else (0, 0)
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
