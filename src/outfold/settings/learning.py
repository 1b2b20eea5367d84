"""The settings of learning: mixing, loss, optimiser, phases, and which weights are kept."""

import math
from typing import Literal

from pydantic import Field, field_validator, model_validator

from outfold.settings.base import Part, Spec, refuse_idle
from outfold.settings.view import Size

Balance = Literal["none", "class_weight", "sampler", "both"]


class ClassCap(Spec):
    """How many rows of a class an epoch has at most."""

    rows: int = Field(ge=1)
    by: str | None = None
    """Column whose largest values stay: the newest, by a year or a date written 2024-05-01; of equal ones the first in
    the table. Rows without a value are the first to be left out. Drawn anew in every epoch when not given."""


class Mix(Spec):
    """Mixing of samples within a batch."""

    one_of: tuple[Literal["mixup", "cutmix"], ...] = Field(("mixup",), min_length=1)
    """One is drawn per batch, all with the same chance."""
    alpha: float = Field(0.4, gt=0)
    """Both parameters of the Beta distribution that the mixing weight is drawn from."""
    probability: float = Field(1.0, gt=0, le=1)
    """Share of batches that are mixed."""
    waveforms: bool = False
    """Views of sound: blend the waveforms rather than the pictures that are made of them; MixUp alone."""

    @model_validator(mode="after")
    def _waveforms_have_no_boxes(self) -> "Mix":
        if self.waveforms and "cutmix" in self.one_of:
            raise ValueError("cutmix pastes boxes of pictures; with `waveforms: true` use mixup alone")
        return self


class AddClips(Spec):
    """Sounds added up: another clip of the batch is added to a clip, which then has the labels of both."""

    gain: tuple[float, float] = (0.2, 1.0)
    """Range of the factor of the clip that is added, drawn uniformly."""
    p: float = Field(0.5, gt=0, le=1)
    """Chance of a clip to have another one added."""

    @model_validator(mode="after")
    def _gains_in_order(self) -> "AddClips":
        if not 0 < self.gain[0] <= self.gain[1] < math.inf:
            raise ValueError(f"gain goes from low to high, above 0; got {list(self.gain)}")
        return self


class Loss(Part):
    """The training loss."""

    name: Literal["cross_entropy", "focal", "bce", "focal_bce", "smooth_l1", "mse", "weighted_r2"] | None = None
    """The stage or the member gives it."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    gamma: float = Field(2.0, ge=0)
    """Focal losses: exponent of (1 - p)."""
    beta: float = Field(1.0, gt=0)
    """smooth_l1: where the square turns into the absolute difference, on the scale of `outputs`."""
    target_weights: bool = False
    """smooth_l1 and mse: each target counts as `task.target_weights` say; weighted_r2 (1 - R2 over the batch, as the
    metric, in the user's unit) always does so."""
    frame_share: float | None = Field(None, gt=0, le=1)
    """With `head.name: sed`: this share of the training loss is that of each class's surest frame, the rest that of the
    clip; the clip's alone when not given. The validation loss is always the clip's, which is what predicts."""

    def refuse_conflicts(self) -> None:
        """Refuse a loss without a name, and settings of another loss.

        Raises:
            ValueError: says which.
        """
        if self.name is None:
            raise ValueError("`name` is missing, which says what loss it is")
        binary = ("bce", "focal_bce")
        refuse_idle(self, self.name, {"gamma": ("focal", "focal_bce"), "beta": ("smooth_l1",), "frame_share": binary})


class Optimizer(Part):
    """The optimiser; biases and norm parameters never decay."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: float = Field(0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = Field(0.9, ge=0, lt=1)
    """SGD only."""

    def refuse_conflicts(self) -> None:
        """Refuse settings of another optimiser.

        Raises:
            ValueError: says which.
        """
        refuse_idle(self, self.name, {"betas": ("adamw", "adam"), "momentum": ("sgd",)})


class Freeze(Spec):
    """Which part of the backbone a phase leaves as it is; the head always trains."""

    first: float | None = Field(None, ge=0, le=1)
    """First share of the backbone's parameter tensors, in module order."""
    blocks: tuple[str, ...] = ()
    """Module names of the backbone whose parameters stay, e.g. [conv_stem, blocks.0]."""

    @model_validator(mode="after")
    def _something_stays(self) -> "Freeze":
        if not self.first and not self.blocks:
            raise ValueError("this freezes nothing: give a share above 0 (`first`) or `blocks`, or set `train: all`")
        return self


class Rates(Spec):
    """Learning rates by part of the model."""

    backbone: float = Field(gt=0)
    head: float = Field(gt=0)


SCHEDULED = {
    "restart_epochs": "warm_restarts",
    "restart_factor": "warm_restarts",
    "plateau_factor": "plateau",
    "plateau_patience": "plateau",
}
"""Settings of a phase that a single schedule reads, and which."""


class Phase(Spec):
    """A stretch of epochs with one trainable part, one set of rates and one schedule."""

    name: str
    epochs: int = Field(ge=1)
    train: Literal["all", "head"] | Freeze = "all"
    lr: float | Rates = 1e-3
    """Peak rate; with `layer_decay` the head's rate."""
    layer_decay: float | None = Field(None, gt=0, le=1)
    """Each layer towards the input learns at this times the rate of the one above it."""
    schedule: Literal["cosine", "one_cycle", "constant", "warm_restarts", "plateau"] = "cosine"
    """plateau watches the loss of the held-out fold, which needs a validation after every epoch."""
    warmup_epochs: float = Field(0.0, ge=0)
    """Linear warm-up from 1% of the rate, counted inside `epochs`; warm_restarts and plateau begin after it."""
    final_lr: float = Field(0.0, ge=0, le=1)
    """Where cosine, one_cycle and each stretch of warm_restarts end, as a share of the peak rate; plateau goes no
    lower."""
    restart_epochs: float = Field(10.0, gt=0)
    """warm_restarts: epochs of the first stretch (T_0)."""
    restart_factor: float = Field(2.0, ge=1)
    """warm_restarts: each stretch is this many times as long as the one before it (T_mult)."""
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    """plateau: what the rate is multiplied by when the validation loss has stopped falling."""
    plateau_patience: int = Field(4, ge=0)
    """plateau: epochs without a lower validation loss that are waited for."""
    augment: bool = True
    """False: this phase sees the validation view of each training sample."""
    mix: bool = True
    """False: no mixing in this phase."""
    batch_norms: Literal["learn", "keep"] = "learn"
    """keep: batch norms of the backbone normalise by the statistics that they came with and keep them, as they do in
    prediction; their scales and shifts still train. For small batches and few photos that are much alike, whose own
    statistics say little."""
    size: Size | None = None
    """Train this phase at another size than the view's (progressive resizing); scores are always at the view's."""

    @model_validator(mode="after")
    def _each_setting_has_an_effect(self) -> "Phase":
        fields = type(self).model_fields
        for name, schedule in SCHEDULED.items():
            if schedule != self.schedule and getattr(self, name) != fields[name].default:
                raise ValueError(f"`{name}` is for `schedule: {schedule}`, this phase has `schedule: {self.schedule}`")
        if self.schedule == "constant" and self.final_lr:
            raise ValueError("`schedule: constant` ends where it began, so `final_lr` means nothing; leave it out")
        if self.train == "head" and self.batch_norms == "keep":
            raise ValueError("a frozen backbone keeps its batch norms anyway; leave out `batch_norms: keep`")
        return self


class Keep(Part):
    """Which epochs' weights are kept, what is made of them, and when to stop."""

    best: str | tuple[str, ...] | None = None
    """Score on the validation fold, a metric or `valid_loss`, or several: the best epochs by each of them are kept.
    `last` keeps the last epoch; the task's metric when not given."""
    top: int = Field(1, ge=1)
    """How many epochs are kept by each of `best`. They stay on disk beside the weights that predict, unless `combine`
    makes one set of weights of them."""
    combine: Literal["best", "average", "greedy_soup"] = "best"
    """What predicts: the best epoch by the first of `best`; the mean of the weights of all kept epochs (with
    `best: last` the last ones), each once; or a mean that takes them in one by one, the best first, and keeps a
    further one only where the first of `best` is not worse for it. Batch norms that trained learn their statistics
    anew for a mean. With `ema`, the weights of an epoch are its moving averages."""
    patience: int | None = Field(None, ge=1)
    """End a phase after this many of its epochs without a better score by the first of `best`."""
    validate_after: Literal["epoch", "training"] = "epoch"
    """Score the validation fold after every epoch, or once when all is trained, which `best: last` allows."""

    @field_validator("best", mode="after")
    @classmethod
    def _each_score_once(cls, best: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        """A list of one is its only name, so that both ways to write it mean the same."""
        if not isinstance(best, tuple):
            return best
        if not best or len(set(best)) < len(best):
            raise ValueError(f"`best` lists scores, each once, got {list(best)}")
        if "last" in best and len(best) > 1:
            raise ValueError("`best: last` watches no score and stands alone")
        return best[0] if len(best) == 1 else best

    def refuse_conflicts(self) -> None:
        """Refuse epochs that no score can choose, and a mean of one epoch.

        Raises:
            ValueError: says which.
        """
        last = self.best == "last"
        if last and (self.patience is not None or (self.top > 1 and self.combine != "average")):
            raise ValueError("`best: last` watches no score, so `patience` and `top` mean nothing; leave them out")
        if last and self.combine == "greedy_soup":
            raise ValueError("`combine: greedy_soup` chooses epochs by a score, and `best: last` watches none")
        if self.validate_after == "training" and not last:
            raise ValueError("`validate_after: training` gives no scores to choose an epoch by; set `best: last`")
        if self.combine != "best" and self.most_kept == 1:
            raise ValueError(f"`combine: {self.combine}` needs several epochs; raise `top`, or list several in `best`")

    @property
    def watched(self) -> tuple[str, ...]:
        """The scores to watch; empty where the task's metric is meant."""
        return (self.best,) if isinstance(self.best, str) else self.best or ()

    @property
    def most_kept(self) -> int:
        """How many epochs are kept at most: fewer where an epoch is among the best by several scores."""
        return self.top * max(len(self.watched), 1)

    @property
    def left_on_disk(self) -> int:
        """How many epochs' weights stay beside those that predict, at most, when all is trained."""
        return self.most_kept if self.combine == "best" and self.most_kept > 1 else 0

    @property
    def means(self) -> int:
        """How many means of weights are made and scored, at most, to come to the weights that predict."""
        return {"best": 0, "average": 1, "greedy_soup": self.most_kept + 1}[self.combine]
