"""The settings of a train stage and of its members."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from outfold.settings.base import Name, Names, Part, Spec, moved, overlay, placed
from outfold.settings.label import PseudoBatch
from outfold.settings.learning import AddClips, Balance, ClassCap, Keep, Loss, Mix, Optimizer, Phase
from outfold.settings.member_conflicts import refuse_member
from outfold.settings.network import BackboneOptions, Head, InitFrom, Outputs, Weights
from outfold.settings.predicting import Predict
from outfold.settings.table_inputs import TableInputs
from outfold.settings.task import Task
from outfold.settings.view import EmbeddingView, ImageView, View

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class TrainSettings(Spec):
    """Everything a train stage sets once and each member may set differently."""

    backbone: str | None = None
    """A timm model name, e.g. `efficientnet_b3.ra2_in1k`."""
    weights: Weights = Weights()
    """`hub`, `none`, `file:path/to/weights.safetensors` or `package:import_name/path/inside`."""
    backbone_options: BackboneOptions = {}
    """Further arguments of the timm model, e.g. `{act_layer: relu, pad_type: same}`: numbers, texts, yes or no."""
    drop_path_rate: float = Field(0.0, ge=0, lt=1)
    """Stochastic depth of the backbone."""
    init_from: InitFrom | None = None
    """Start from what an earlier train stage of this run learned, instead of from `weights`: `main`, or
    `main/member`."""
    head: Head = Head()
    outputs: Outputs = Outputs()
    view: View = ImageView()
    table: TableInputs | None = None
    """Columns of the table that the network reads beside the photo."""
    merge_classes: dict[str, str] = {}
    """Multiclass: labels that this member learns as another one, e.g. `{BCC: unknown}`; needs `task.score_class`."""
    folds: Name | None = None
    """One of `folds.variants`; the recipe's folds themselves when not given."""
    augment: tuple[str | dict[str, Any], ...] = ()
    """Named transforms in order: `hflip`, `{rotate: 15}`, `{color_jitter: {brightness: 0.2}}` ..; training only."""
    mix: Mix | None = None
    add_clips: AddClips | None = None
    """Views of sound, in tasks whose classes can be heard together: add another clip of the batch to a clip."""
    balance: Balance = "none"
    """`class_weight`: weighted loss; `sampler`: rare classes drawn more often; `both` corrects the prior twice."""
    class_cap: ClassCap | None = None
    """At most so many training rows of a class in an epoch; a row with several labels counts for its first."""
    class_floor: int | None = Field(None, ge=2)
    """At least so many rows of each class that the training rows have, some of them drawn again in every epoch."""
    pseudo_batch: PseudoBatch | None = None
    """With `labels`: batches of `batch_size` labelled rows and beside them pseudo-labelled ones. Without, both kinds
    are shuffled together."""
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

    def unused(self) -> dict[str, Any]:
        """Settings that came after others and say nothing here, as pydantic's `exclude`: no job's key knows of them."""
        later = ("add_clips", "class_cap", "class_floor", "pseudo_batch")
        silent: dict[str, Any] = {name: True for name in later if getattr(self, name) is None}
        if self.loss is not None and not self.learns_frames:
            silent["loss"] = {"frame_share"}
        return silent | ({"mix": {"waveforms"}} if self.mix is not None and not self.mix.waveforms else {})

    def is_validated(self, phase: Phase, epoch_in_phase: int) -> bool:
        """Whether the validation fold is scored after this epoch of a phase, counted from 0."""
        last = phase.name == self.phases[-1].name and epoch_in_phase == phase.epochs - 1
        return self.keep.validate_after == "epoch" or last

    @property
    def learns_frames(self) -> bool:
        """Whether the loss looks at the frames of a clip too."""
        return self.loss is not None and self.loss.frame_share is not None

    def validations(self, phase: Phase) -> int:
        """How many of a phase's epochs are followed by a validation."""
        return sum(self.is_validated(phase, epoch) for epoch in range(phase.epochs))

    def trains_on_features(self, phase: Phase) -> bool:
        """Whether a phase trains the head alone on views that never change: the backbone's features are then enough."""
        on_media = not isinstance(self.view, EmbeddingView)
        mixed = phase.mix and (self.mix is not None or self.add_clips is not None)
        return on_media and phase.train == "head" and not phase.augment and not mixed

    @property
    def pretrained(self) -> Weights:
        """The weights that were learned elsewhere: the network's, or those of the backbone that made its vectors."""
        return self.view.weights if isinstance(self.view, EmbeddingView) else self.weights


class Member(TrainSettings):
    """One model of a train stage: what it sets here replaces the stage's settings, key by key."""


class TrainStage(TrainSettings):
    """Trains every member once per fold and seed, and predicts out of fold and on the test table."""

    kind: Literal["train"]
    target: Names = ()
    """Regression columns that this stage learns instead of the task's targets: an auxiliary stage."""
    metric: str | None = None
    """With `target`: what it is judged by; mean absolute error when not given."""
    labels: Name | None = None
    """A label stage whose rows train too: pseudo-labels of rows without labels."""
    members: dict[Name, Member] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _views_of_one_kind(cls, values: object) -> object:
        """A member's view that does not say its kind is of the stage's."""
        kind = values["view"].get("kind") if isinstance(values, dict) and isinstance(values.get("view"), dict) else None
        if kind is None or not isinstance(values, dict) or not isinstance(values.get("members"), dict):
            return values
        return {**values, "members": {name: _of_kind(kind, one) for name, one in values["members"].items()}}

    @model_validator(mode="before")
    @classmethod
    def _target_as_list(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("target"), str):
            values = {**values, "target": [values["target"]]}
        return values

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        starts = [one.init_from.stage for one in self._effective_members() if one.init_from is not None]
        return tuple(dict.fromkeys([*([self.labels] if self.labels else []), *starts, *self.predicts_with]))

    @property
    def predicts_with(self) -> tuple[str, ...]:
        """Of these, the stages whose predictions it also needs to predict other rows."""
        tables = [one.table for one in self._effective_members() if one.table is not None]
        return tuple(dict.fromkeys(one.predicted_by for one in tables if one.predicted_by is not None))

    def _effective_members(self) -> list[TrainSettings]:
        return [self.member_settings(name) for name in self.members]

    @property
    def task(self) -> Task | None:
        """What an auxiliary stage learns and is judged by; None where that is the recipe's task."""
        if not self.target:
            return None
        return Task(kind="regression", target=self.target, metric=self.metric or "mae")

    @property
    def training_only(self) -> bool:
        """Whether a member reads columns that only training tables have, and predicts no other rows by itself."""
        return any(one.table is not None and one.table.training_only for one in self._effective_members())

    def member_settings(self, name: str) -> TrainSettings:
        """The effective settings of one member: the stage's, overlaid with the member's own."""
        own = self.model_dump(exclude_unset=True, include=set(TrainSettings.model_fields))
        return TrainSettings.model_validate(overlay(own, self.members[name].model_dump(exclude_unset=True)))

    @model_validator(mode="after")
    def _an_auxiliary_stage_learns_its_own_targets(self) -> "TrainStage":
        if self.metric is not None and not self.target:
            raise ValueError("`metric` judges a stage with a `target` of its own; the others are judged by task.metric")
        if len(set(self.target)) < len(self.target):
            raise ValueError(f"`target` names a column twice: {list(self.target)}")
        if self.target and self.labels is not None:
            raise ValueError("`labels` are of the task's target, and this stage has a `target` of its own")
        return self

    @model_validator(mode="after")
    def _members_are_complete(self) -> "TrainStage":
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds are given twice: {list(self.seeds)}")
        for name in self.members:
            settings = self._valid_settings(name)
            self._refuse_conflicts(name, settings)
            refuse_member(settings, name, labels=self.labels)
        return self

    def _valid_settings(self, name: str) -> TrainSettings:
        """The effective settings of a member.

        Raises:
            ValidationError: they do not go together; at the member's own part, where it has one.
        """
        try:
            return self.member_settings(name)
        except ValidationError as error:
            own = self.members[name].model_fields_set
            raise moved(error, lambda place: ("members", name, *place) if place[0] in own else place) from error

    def _refuse_conflicts(self, name: str, settings: TrainSettings) -> None:
        """Refuse parts of a member whose settings, the stage's and its own together, do not go together.

        Raises:
            ValidationError: at the member's own part, or at the stage's where the member has none.
        """
        for key in TrainSettings.model_fields:
            part = getattr(settings, key)
            try:
                if isinstance(part, Part):
                    part.refuse_conflicts()
            except ValueError as error:
                if key in self.members[name].model_fields_set:
                    raise placed(error, "members", name, key) from error
                raise placed(ValueError(f"member {name!r}: {error}"), key) from error


def _of_kind(kind: str, member: Any) -> Any:
    """A member as a recipe writes it, the kind of its view filled in."""
    view = member.get("view") if isinstance(member, dict) else None
    return {**member, "view": {"kind": kind, **view}} if isinstance(view, dict) else member
