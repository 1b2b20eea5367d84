"""The settings of an adapt stage: test-time training."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from outfold.settings.base import Name, Spec, whole
from outfold.settings.learning import Keep, Optimizer, Phase
from outfold.settings.train import Seed, TrainSettings


class AdaptStage(Spec):
    """Test-time training: rows to predict join the training rows, labelled by the run's own predictions of them.

    Every chosen member of a train stage goes on from the weights of one of its folds for a few epochs and predicts
    again. Out of fold the same is done for each fold: its rows are taken as the rows to predict, labelled by models
    that never saw them, so that the score is honest. Later tables (`outfold predict`) are adapted to anew; the run's
    own models stay as they are.
    """

    kind: Literal["adapt"]
    source: Name = Field(alias="from")
    """The train stage whose members go on learning."""
    members: tuple[Name, ...] = ()
    """Of that stage; all of them when not given."""
    labels: Name
    """The stage whose predictions are the labels: the train stage itself, or a blend or postprocess stage after it."""
    start: Literal["best"] | int = "best"
    """Whose weights to start from for the test table: the fold with the best out-of-fold score, or this fold. Out of
    fold it is always the model that held out the same fold. Of a stage with several seeds the first goes on."""
    phases: tuple[Phase, ...] = Field(min_length=1)
    optimizer: Annotated[Optimizer, AfterValidator(whole)] | None = None
    """The member's own when not given."""
    batch_size: int | None = Field(None, ge=1)
    keep: Annotated[Keep, AfterValidator(whole)] = Keep(best="last")
    weight: float = Field(1.0, gt=0, le=1)
    """Weight in the loss of a row labelled by predictions; a labelled one has 1."""
    out_of_fold: bool = True
    """Adapt to each fold as well, for a score; costs as many trainings as there are folds."""
    seed: Seed = 0

    @model_validator(mode="before")
    @classmethod
    def _members_as_list(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("members"), str):
            values = {**values, "members": [values["members"]]}
        return values

    @model_validator(mode="after")
    def _nothing_is_validated(self) -> "AdaptStage":
        if self.keep.best != "last":
            raise ValueError("test-time training has no labelled rows to choose an epoch by: set `keep.best: last`")
        if self.keep.validate_after != "epoch":
            raise ValueError(
                "test-time training validates nothing, so `keep.validate_after` means nothing; leave it out"
            )
        if any(phase.schedule == "plateau" for phase in self.phases):
            raise ValueError("test-time training has no validation loss for `schedule: plateau` to follow")
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError(f"two phases have one name: {names}")
        if len(set(self.members)) < len(self.members):
            raise ValueError(f"`members` names one twice: {list(self.members)}")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return tuple(dict.fromkeys((self.source, self.labels)))

    def adapted(self, settings: TrainSettings) -> TrainSettings:
        """What a member of the train stage learns by when it goes on; both kinds of rows are shuffled together."""
        changed: dict[str, Any] = {"phases": self.phases, "keep": self.keep, "init_from": None, "pseudo_batch": None}
        changed["predict"] = settings.predict.model_copy(update={"fold_weights": ()})  # it has one model a table
        own = {"optimizer": self.optimizer, "batch_size": self.batch_size}
        return settings.model_copy(update=changed | {name: value for name, value in own.items() if value is not None})
