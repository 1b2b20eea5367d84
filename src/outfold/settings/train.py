"""The settings of a train stage: view, augmentation, model, loss, optimiser, phases, checkpoints, prediction."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Name, Spec, overlay
from outfold.settings.table_inputs import TableInputs

Pixels = Annotated[int, Field(ge=1)]
Size = Pixels | tuple[Pixels, Pixels]
Balance = Literal["none", "class_weight", "sampler", "both"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class ImageView(Spec):
    """How a photo becomes model input."""

    kind: Literal["image"] = "image"
    size: Size = 224
    """Side in pixels, or [height, width]."""
    resize: Literal["crop", "squash", "pad"] = "crop"
    """`crop`: shorter side to size / crop_pct, then the centre; `squash`: both sides; `pad`: a border."""
    crop_pct: float = Field(1.0, gt=0, le=1)
    """Share of the shorter side that the centre crop keeps (`resize: crop`)."""
    interpolation: Literal["area", "linear", "cubic", "lanczos"] = "area"
    cache_size: int | None = Field(None, ge=1)
    """Shorter side in pixels of the photos kept in the cache; what training needs when not given."""
    mean: tuple[float, float, float] | None = None
    """Per channel, on a 0..1 scale; the backbone's own when not given."""
    std: tuple[float, float, float] | None = None

    @property
    def height_width(self) -> tuple[int, int]:
        """The size as (height, width) in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size


class Mix(Spec):
    """Mixing of samples within a batch."""

    one_of: tuple[Literal["mixup", "cutmix"], ...] = Field(("mixup",), min_length=1)
    """One is drawn per batch, all with the same chance."""
    alpha: float = Field(0.4, gt=0)
    """Both parameters of the Beta distribution that the mixing weight is drawn from."""
    probability: float = Field(1.0, ge=0, le=1)
    """Share of batches that are mixed."""


class Loss(Spec):
    """The training loss."""

    name: Literal["cross_entropy", "focal", "bce", "focal_bce", "smooth_l1", "mse"]
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    gamma: float = Field(2.0, ge=0)
    """Focal losses: exponent of (1 - p)."""
    beta: float = Field(1.0, gt=0)
    """smooth_l1: where the square turns into the absolute difference, on standardised targets."""


class Optimizer(Spec):
    """The optimiser; biases and norm parameters never decay."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: float = Field(0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = Field(0.9, ge=0, lt=1)
    """SGD only."""


class Freeze(Spec):
    """Which part of the backbone a phase leaves as it is; the head always trains."""

    first: float | None = Field(None, ge=0, le=1)
    """First share of the backbone's parameter tensors, in module order."""
    blocks: tuple[str, ...] = ()
    """Module names of the backbone whose parameters stay, e.g. [conv_stem, blocks.0]."""


class Rates(Spec):
    """Learning rates by part of the model."""

    backbone: float = Field(gt=0)
    head: float = Field(gt=0)


class Phase(Spec):
    """A stretch of epochs with one trainable part, one set of rates and one schedule."""

    name: str
    epochs: int = Field(ge=1)
    train: Literal["all", "head"] | Freeze = "all"
    lr: float | Rates = 1e-3
    """Peak rate; with `layer_decay` the head's rate."""
    layer_decay: float | None = Field(None, gt=0, le=1)
    """Each layer towards the input learns at this times the rate of the one above it."""
    schedule: Literal["cosine", "one_cycle", "constant"] = "cosine"
    warmup_epochs: float = Field(0.0, ge=0)
    """Linear warm-up from 1% of the rate, counted inside `epochs`."""
    final_lr: float = Field(0.0, ge=0, le=1)
    """Where cosine ends, as a share of the peak rate."""
    augment: bool = True
    """False: this phase sees the validation view of each training sample."""
    mix: bool = True
    """False: no mixing in this phase."""
    size: Size | None = None
    """Train this phase at another size than the view's (progressive resizing); scores are always at the view's."""


class Keep(Spec):
    """Which epoch's weights are kept, and when to stop."""

    best: str | None = None
    """Metric on the validation fold; `last` keeps the last epoch; the task's metric when not given."""
    top: int = Field(1, ge=1)
    """How many best checkpoints stay on disk; predictions use the best."""
    patience: int | None = Field(None, ge=1)
    """End a phase after this many of its epochs without a better score."""
    validate_after: Literal["epoch", "training"] = "epoch"
    """Score the validation fold after every epoch, or once when all is trained, which `best: last` allows."""

    @model_validator(mode="after")
    def _patience_watches_a_score(self) -> "Keep":
        if self.best == "last" and (self.patience is not None or self.top > 1):
            raise ValueError("`best: last` watches no score, so `patience` and `top` mean nothing; leave them out")
        if self.validate_after == "training" and self.best != "last":
            raise ValueError("`validate_after: training` gives no scores to choose an epoch by; set `best: last`")
        return self


Orientation = Literal["identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "transverse"]


class Predict(Spec):
    """How a trained model predicts: the same for out-of-fold, test and later rows."""

    tta: tuple[Orientation, ...] = ("identity",)
    average: Literal["logit", "probability"] = "logit"
    """The space in which views and folds are averaged."""
    batch_size: int | None = Field(None, ge=1)
    """Twice the training batch when not given."""

    @model_validator(mode="before")
    @classmethod
    def _named_sets(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("tta"), str):
            values = {**values, "tta": TTA_SETS.get(values["tta"], [values["tta"]])}
        return values


TTA_SETS = {
    "none": ["identity"],
    "flips": ["identity", "hflip", "vflip", "rot180"],
    "orientations": ["identity", "hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "transverse"],
}
"""Names a recipe may give instead of a list of views; `orientations` is the dihedral group of the square."""


class Head(Spec):
    """The layers between pooled features and logits."""

    name: Literal["linear", "multi_sample_dropout"] = "linear"
    dropout: float = Field(0.0, ge=0, lt=1)
    copies: int = Field(5, ge=1)
    """multi_sample_dropout: how many dropout masks share the linear layer and are averaged."""


class Weights(Spec):
    """Where a backbone's pretrained weights come from: exactly one of the three, or none for random."""

    source: Literal["hub", "file", "package", "none"] = "hub"
    path: str | None = None
    """file: safetensors or torch file, relative to the data root; package: file inside the installed package."""
    package: str | None = None
    """package: import name of the installed package that ships the file."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, values: object) -> object:
        if isinstance(values, str):
            scheme, _, rest = values.partition(":")
            if scheme == "package":
                name, _, path = rest.partition("/")
                return {"source": "package", "package": name, "path": path or None}
            if scheme == "file":
                return {"source": "file", "path": rest}
            return {"source": values}
        return values


class TrainSettings(Spec):
    """Everything a train stage sets once and each member may set differently."""

    backbone: str | None = None
    """A timm model name, e.g. `efficientnet_b3.ra2_in1k`."""
    weights: Weights = Weights()
    """`hub`, `none`, `file:path/to/weights.safetensors` or `package:import_name/path/inside`."""
    drop_path_rate: float = Field(0.0, ge=0, lt=1)
    """Stochastic depth of the backbone."""
    head: Head = Head()
    view: ImageView = ImageView()
    table: TableInputs | None = None
    """Columns of the table that the network reads beside the photo."""
    merge_classes: dict[str, str] = {}
    """Multiclass: labels that this member learns as another one, e.g. `{BCC: unknown}`; needs `task.score_class`."""
    folds: Name | None = None
    """One of `folds.variants`; the recipe's folds themselves when not given."""
    augment: tuple[str | dict[str, Any], ...] = ()
    """Named transforms in order: `hflip`, `{rotate: 15}`, `{color_jitter: {brightness: 0.2}}` ..; training only."""
    mix: Mix | None = None
    balance: Balance = "none"
    """`class_weight`: weighted loss; `sampler`: rare classes drawn more often; `both` corrects the prior twice."""
    loss: Loss | None = None
    """cross_entropy for multiclass, bce for binary and multilabel, smooth_l1 for regression when not given."""
    optimizer: Optimizer = Optimizer()
    batch_size: int = Field(32, ge=1)
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are added before a step."""
    clip_grad_norm: float | None = Field(None, gt=0)
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights; the averaged model is the one scored and kept."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    phases: tuple[Phase, ...] = ()
    keep: Keep = Keep()
    predict: Predict = Predict()

    def is_validated(self, phase: Phase, epoch_in_phase: int) -> bool:
        """Whether the validation fold is scored after this epoch of a phase, counted from 0."""
        last = phase.name == self.phases[-1].name and epoch_in_phase == phase.epochs - 1
        return self.keep.validate_after == "epoch" or last

    def validations(self, phase: Phase) -> int:
        """How many of a phase's epochs are followed by a validation."""
        return sum(self.is_validated(phase, epoch) for epoch in range(phase.epochs))

    def trains_on_features(self, phase: Phase) -> bool:
        """Whether a phase trains the head alone on views that never change: the backbone's features are then enough."""
        return phase.train == "head" and not phase.augment and not (phase.mix and self.mix)


class Member(TrainSettings):
    """One model of a train stage: what it sets here replaces the stage's settings, key by key."""


class TrainStage(TrainSettings):
    """Trains every member once per fold and seed, and predicts out of fold and on the test table."""

    kind: Literal["train"]
    labels: Name | None = None
    """A label stage whose rows train too: pseudo-labels of rows without labels."""
    members: dict[Name, Member] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return () if self.labels is None else (self.labels,)

    @property
    def fold_variant(self) -> str | None:
        """The fold variant that all members share; None where they have the recipe's own folds, or different ones."""
        shared, *others = {self.member_settings(member).folds for member in self.members}
        return None if others else shared

    def member_settings(self, name: str) -> TrainSettings:
        """The effective settings of one member: the stage's, overlaid with the member's own."""
        own = self.model_dump(exclude_unset=True, include=set(TrainSettings.model_fields))
        return TrainSettings.model_validate(overlay(own, self.members[name].model_dump(exclude_unset=True)))

    @model_validator(mode="after")
    def _members_are_complete(self) -> "TrainStage":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds are given twice: {list(self.seeds)}")
        for name in self.members:
            settings = self.member_settings(name)
            if settings.backbone is None:
                raise ValueError(f"member {name!r} has no backbone, and the stage gives none")
            if not settings.phases:
                raise ValueError(f"member {name!r} has no phases, and the stage gives none")
            if settings.table is not None:
                settings.table.refuse_incomplete()
            names = [phase.name for phase in settings.phases]
            if len(set(names)) < len(names):
                raise ValueError(f"member {name!r} has two phases of one name: {names}")
        return self
