"""How held-out rows judge a network while it trains."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from outfold.errors import RecipeError
from outfold.inference.predict import Forward, Predictor
from outfold.settings.train import TrainSettings
from outfold.training.checkpoints import Watched
from outfold.training.losses import LossFunction
from outfold.views.batches import Waiting
from outfold.views.inputs import Input


@dataclass(frozen=True)
class Judge:
    """How a validation is scored.

    Attributes:
        scores: (logits (m, k), rows (m,)) -> by metric name, the score.
        watched: the scores that epochs are kept by; the first picks the best one. None of them: the last is.
    """

    scores: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    watched: tuple[Watched, ...] = ()


@dataclass(frozen=True)
class Validation:
    """The validation rows, ready to judge a network.

    Attributes:
        rows: int64 (m,), places in the table.
        target: float32 (m, k), on the device.
        weight: float32 (m, 1) or (m, k), on the device, or None.
        objective: (logits, target, weight) -> scalar loss.
        judge: the further scores.
        batch_size: rows in a batch.
        workers: threads that read.
    """

    rows: np.ndarray
    target: Tensor
    weight: Tensor | None
    objective: LossFunction
    judge: Judge
    batch_size: int
    workers: int = 2

    def __call__(
        self, forward: Forward, inputs: Mapping[str, Input], advance: Callable[[int], None] | None = None
    ) -> tuple[dict[str, float], Waiting]:
        """Loss and scores, one plain view of each row, and the time spent waiting for data.

        Args:
            forward: the model, in eval mode.
            inputs: by name, how rows become its input.
            advance: is told how many rows were finished, batch by batch.

        Returns:
            `valid_loss` and the judge's scores by name; nothing where there are no rows.
        """
        if not len(self.rows):
            return {}, Waiting()
        device = self.target.device
        predictor = Predictor(inputs, batch_size=self.batch_size, device=device, workers=self.workers)
        logits, waiting = predictor(forward, self.rows, advance=advance)
        loss = self.objective(torch.from_numpy(logits).to(device), self.target, self.weight)
        return {"valid_loss": float(loss), **self.judge.scores(logits, self.rows)}, waiting


def refuse_missing_scores(settings: TrainSettings, judge: Judge, held_out: int) -> None:
    """Refuse what follows a validation that does not take place.

    Args:
        settings: phases, and which epochs are kept.
        judge: the scores that they are kept by.
        held_out: how many rows judge.

    Raises:
        RecipeError: epochs are chosen, or rates lowered, by scores of held-out rows, of which there are none.
    """
    plateaus = [phase.name for phase in settings.phases if phase.schedule == "plateau"]
    nothing = "no row is held out" if not held_out else "it is measured only when all is trained"
    if plateaus and (not held_out or settings.keep.validate_after == "training"):
        raise RecipeError(
            f"phase {plateaus[0]!r}: `schedule: plateau` follows the validation loss, but {nothing}",
            fix="choose another schedule",
        )
    if judge.watched and not held_out:
        names = ", ".join(score.name for score in judge.watched)
        raise RecipeError(f"epochs cannot be kept by {names}, for {nothing}", fix="set `keep: {best: last}`")
