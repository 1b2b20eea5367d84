"""The settings of a label stage: how rows without labels become rows to learn from."""

from typing import Annotated, Literal

from pydantic import Field

from outfold.settings.base import Spec

Chance = Annotated[float, Field(ge=0, le=1)]


class LabelSettings(Spec):
    """How rows without labels become rows to learn from."""

    rows: Literal["unlabelled", "test"] = "unlabelled"
    """`data.unlabelled`, or the test table."""
    confidence: Chance = 0.0
    """Keep rows whose largest class probability is at least this."""
    labels: Literal["soft", "hard"] = "soft"
    """Learn the teacher's probabilities, or its most likely class."""
    per_class: Annotated[int, Field(ge=1)] | Literal["all", "balanced"] | None = None
    """Rows of each (most likely) class: `all` that are kept; the same number of each, repeated or cut to the most
    confident; `balanced` takes the mean number of a class that has any. `balanced` for multiclass and binary tasks,
    `all` for others when not given."""
    teachers: Literal["same_fold", "all"] = "same_fold"
    """Which of the teacher's models label for the student that holds out a fold: those that held out the same fold, or
    all, which hands the student labels made by models that saw its validation rows."""
    seen_groups: Literal["leave_out", "keep"] = "leave_out"
    """Rows of groups (`folds.group`) that the teacher trained on. It is surer of them than it should be; to keep them
    does not spoil the students' scores, for rows of groups that are held out are left out in any case."""
    weight: float = Field(1.0, gt=0, le=1, allow_inf_nan=False)
    """Weight of a pseudo-labelled row in the loss; a labelled one has 1."""

    def most_rows(self, rows: int, classes: int) -> int:
        """How many rows an epoch has of those that are labelled, at most, repetitions included."""
        return self.per_class * classes if isinstance(self.per_class, int) else rows


class LabelStage(LabelSettings):
    """Predicts rows without labels, and keeps the confident ones as rows to learn from."""

    kind: Literal["label"]
    source: str = Field(alias="from")
    """Name of the train stage that is the teacher."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source,)
