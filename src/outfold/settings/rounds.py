"""The settings of a noisy student, and the label and train stages that its rounds stand for."""

from typing import Any, Literal

from pydantic import Field, ValidationError

from outfold.settings.base import Name, Spec, overlay
from outfold.settings.label import LabelSettings
from outfold.settings.train import Member, Seed, TrainSettings, TrainStage


class Student(TrainSettings):
    """What the students of a noisy student set otherwise than the first teacher."""

    members: dict[Name, Member] = {}
    """All students; one that is named like a teacher's member starts from its settings. The teacher's members when not
    given."""
    seeds: tuple[Seed, ...] = (0,)


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
    student: Student = Student()
    """What the students set otherwise than the first teacher: a larger backbone, `drop_path_rate`, `head.dropout`,
    more augmentation. It holds for all members, also for those that set it themselves as teachers."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source,)


def with_rounds(stages: dict[str, Any]) -> dict[str, Any]:
    """Stages as a recipe writes them, each noisy student replaced by what it stands for.

    One that is not valid stays, and so does one whose teacher is not, for the validation to complain of.

    Raises:
        ValueError: the first teacher is no train stage before it, its students cannot be made, or a name is taken.
    """
    made: dict[str, Any] = {}
    for name, stage in stages.items():
        noisy = _valid(NoisyStudent, stage)
        new = {name: stage} if noisy is None else rounds_of(name, noisy, made)
        taken = [other for other in new if other in made]
        if taken:
            raise ValueError(f"two stages are called {taken[0]!r}: the rounds of a noisy student have such names")
        made |= new
    return made


def rounds_of(name: str, noisy: NoisyStudent, before: dict[str, Any]) -> dict[str, Any]:
    """The label and train stages that a noisy student stands for, as a recipe would write them.

    Args:
        name: the stage's name.
        noisy: its settings.
        before: the stages before it, as written.

    Raises:
        ValueError: the first teacher is no train stage before it, or its settings and the students' do not go together.
    """
    first = before.get(noisy.source)
    if isinstance(first, TrainStage):
        first = first.model_dump(by_alias=True, exclude_unset=True)
    if not isinstance(first, dict) or first.get("kind") != "train":
        raise ValueError(f"stage {name!r}: the teacher {noisy.source!r} is no train stage before it")
    if _valid(TrainStage, first) is None:
        return {name: noisy}
    changed = student_of(first, noisy.student.model_dump(by_alias=True, exclude_unset=True))
    try:
        TrainStage.model_validate({**changed, "labels": f"{name}1-labels"})
    except ValidationError as error:
        fault = error.errors()[0]
        place = f"{'.'.join(map(str, fault['loc']))}: " if fault["loc"] else ""
        raise ValueError(f"stage {name!r}: its students cannot be: {place}{fault['msg']}") from error
    stages: dict[str, Any] = {}
    teacher = noisy.source
    for number in range(1, noisy.rounds + 1):
        labels, student = f"{name}{number}-labels", f"{name}{number}"
        stages[labels] = {"kind": "label", "from": teacher, **noisy.label.model_dump(exclude_unset=True)}
        stages[student] = {**changed, "labels": labels}
        teacher = student
    return stages


def student_of(teacher: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A train stage as a recipe would write it, with changes that hold for all its members.

    Args:
        teacher: a valid train stage.
        changes: settings of a `Student`, those that are set.
    """
    common = {key: value for key, value in changes.items() if key != "members"}
    members = {
        name: overlay(own, {key: value for key, value in common.items() if key in own})
        for name, own in teacher["members"].items()
    }
    if changes.get("members"):
        members = {name: overlay(members.get(name, {}), own) for name, own in changes["members"].items()}
    return {**overlay(teacher, common), "members": members}


def _valid(model: type[Spec], value: object) -> Any:
    """The value as one of the models, or None where it is none."""
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
