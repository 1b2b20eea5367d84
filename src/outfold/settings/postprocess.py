"""The settings of a postprocess stage: steps on named columns of a regression's predictions."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec
from outfold.settings.data import Task
from outfold.settings.sums import in_order

Number = Annotated[float, Field(allow_inf_nan=False)]
NumberOrFit = Number | Literal["fit"]
"""A number, or `fit`: learned by the task's metric on out-of-fold predictions, inside folds."""


class Clip(Spec):
    """Bounds of values."""

    min: Number | None = None
    max: Number | None = None
    columns: tuple[str, ...] = ()
    """Targets that are cut; all when not given."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "Clip":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"clip: min {self.min:g} is above max {self.max:g}")
        return self


class Step(Spec):
    """One step: exactly one of its keys."""

    multiply: dict[str, NumberOrFit] = {}
    """By target, a factor."""
    clip: Clip | None = None
    zero_below: NumberOrFit | dict[str, NumberOrFit] | None = None
    """Values below this become 0: one number for all targets, or by target."""
    sum: Literal["identities"] | dict[str, tuple[str, ...]] | None = None
    """Targets as the sum of others: as `task.identities` say, or by target."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "Step":
        given = sorted(self.model_fields_set)
        if len(given) != 1:
            raise ValueError(f"a step is one of multiply, clip, zero_below and sum, got {given}")
        return self

    @property
    def name(self) -> str:
        """Which step it is."""
        return next(iter(self.model_fields_set))

    @property
    def fitted(self) -> bool:
        """Whether any of its numbers is learned."""
        numbers: list[object] = [*self.multiply.values()]
        numbers += self.zero_below.values() if isinstance(self.zero_below, dict) else [self.zero_below]
        return "fit" in numbers

    @property
    def columns(self) -> tuple[str, ...]:
        """The targets that it names."""
        cut = self.zero_below if isinstance(self.zero_below, dict) else {}
        sums = self.sum if isinstance(self.sum, dict) else {}
        return (*self.multiply, *(self.clip.columns if self.clip else ()), *cut, *sums)

    def sums(self, task: Task) -> dict[str, tuple[str, ...]]:
        """What a step `sum` adds up, each after what it adds up itself.

        Raises:
            ValueError: see `outfold.settings.sums.in_order`.
        """
        return in_order(self.sum if isinstance(self.sum, dict) else task.identities, task.target, "sum")

    @property
    def does_nothing(self) -> bool:
        """Whether it leaves every value as it is."""
        without_bounds = self.clip is not None and self.clip.min is None and self.clip.max is None
        given = getattr(self, self.name)
        return without_bounds or given is None or given == {}


class PostprocessStage(Spec):
    """Changes the predictions of a stage, or of one of its members, by steps, in their order."""

    kind: Literal["postprocess"]
    source: str = Field(alias="from", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*(/[A-Za-z0-9_][A-Za-z0-9_-]*)?$")
    """A stage, or one member of it: `fit/b3`."""
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_step_does_something(self) -> "PostprocessStage":
        idle = [step.name for step in self.steps if step.does_nothing]
        if idle:
            raise ValueError(f"a step `{idle[0]}` says nothing of what it does")
        return self

    def refuse_wrong_steps(self, task: Task) -> None:
        """Refuse steps that do not fit the task.

        Raises:
            ValueError: the task is no regression, a step names no target, or adds up what is no sum of targets.
        """
        if task.kind != "regression":
            raise ValueError(f"steps change values of a regression, this is a {task.kind} task")
        for step in self.steps:
            unknown = [column for column in step.columns if column not in task.target]
            if unknown:
                raise ValueError(f"{unknown[0]!r} of step `{step.name}` is none of the targets {list(task.target)}")
            if step.name == "sum" and not step.sums(task):
                raise ValueError("`sum: identities` needs task.identities")

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source.partition("/")[0],)

    @property
    def fitted(self) -> bool:
        """Whether any number is learned."""
        return any(step.fitted for step in self.steps)
