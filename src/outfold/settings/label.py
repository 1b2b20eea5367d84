"""The settings of a label stage, and of the rounds of a noisy student that are made of label and train stages."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec, overlay

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


class NoisyStudent(Spec):
    """Rounds of labelling and learning: the student of a round is the teacher of the next.

    As a stage of a recipe it stands for a label and a train stage a round: `NAME1-labels`, `NAME1`, `NAME2-labels`, ..

    Source: Xie et al., "Self-training with Noisy Student improves ImageNet classification", 2020.
    """

    kind: Literal["noisy_student"]
    source: str = Field(alias="from")
    """Name of the train stage that is the first teacher."""
    rounds: int = Field(1, ge=1)
    label: LabelSettings = LabelSettings()
    student: dict[str, Any] = {}
    """What the students set otherwise than the first teacher: a larger backbone, `drop_path_rate`, `head.dropout`,
    more augmentation."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source,)

    @model_validator(mode="after")
    def _no_stage_of_its_own(self) -> "NoisyStudent":
        if "kind" in self.student or "labels" in self.student:
            raise ValueError("`student` changes a train stage; leave `kind` and `labels` out")
        return self


def rounds_of(name: str, rounds: NoisyStudent, before: dict[str, Any]) -> dict[str, Any]:
    """The label and train stages that a noisy student stands for, as a recipe would write them.

    Args:
        name: the stage's name.
        rounds: its settings.
        before: the stages before it, as written.

    Raises:
        ValueError: the first teacher is no train stage before it.
    """
    first = before.get(rounds.source)
    if not isinstance(first, dict) or first.get("kind") != "train":
        raise ValueError(f"stage {name!r}: the teacher {rounds.source!r} is no train stage before it")
    stages: dict[str, Any] = {}
    teacher = rounds.source
    for number in range(1, rounds.rounds + 1):
        labels, student = f"{name}{number}-labels", f"{name}{number}"
        stages[labels] = {"kind": "label", "from": teacher, **rounds.label.model_dump(exclude_unset=True)}
        stages[student] = {**overlay(first, rounds.student), "kind": "train", "labels": labels}
        teacher = student
    return stages
