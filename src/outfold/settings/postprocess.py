"""The settings of a postprocess stage: steps on named columns of a regression, or in time on rows of recordings."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec
from outfold.settings.sums import in_order
from outfold.settings.task import Task

Number = Annotated[float, Field(allow_inf_nan=False)]
NumberOrFit = Number | Literal["fit"]
"""A number, or `fit`: learned by the task's metric on out-of-fold predictions, inside folds."""
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]


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


class Boost(Spec):
    """What is heard anywhere in a recording rises in all of its rows.

    The logits P (rows, classes) of one recording become P + weight * (M + mean(P) - mean(M)), where M are the maxima by
    class, and both means are single numbers. Predictions go to logits and back: log(p) and softmax for a multiclass
    task, log(p / (1 - p)) and sigmoid otherwise, where 0 and 1 are first moved in by 1.2e-7. A single output has
    M = mean(M), so that only the recording's mean logit is left of the boost.
    """

    weight: Share | Literal["fit"]
    """From 0, which changes nothing, on."""


class Smooth(Spec):
    """Each row's probabilities become a weighted mean of its own and those of its neighbours in time.

    Probabilities are averaged, not logits. At the ends of a recording, and beside a missing row, the rest of the kernel
    is scaled to a sum of one.
    """

    kernel: tuple[Share, ...] | Literal["fit"]
    """An odd number of weights in the order of time, the row's own in the middle. `fit`: a symmetric one of two
    neighbours on either side."""
    hop_s: float = Field(5.0, gt=0, allow_inf_nan=False)
    """Seconds from the beginning of one row to that of the next; rows off this grid are an error."""

    @model_validator(mode="after")
    def _kernel_has_a_middle(self) -> "Smooth":
        if self.kernel != "fit" and (len(self.kernel) % 2 == 0 or not self.kernel[len(self.kernel) // 2]):
            raise ValueError(f"kernel: expected an odd number of weights, the middle one above 0, got {self.kernel}")
        return self

    @property
    def smooths_nothing(self) -> bool:
        """Whether no neighbour counts."""
        return self.kernel != "fit" and sum(weight > 0 for weight in self.kernel) == 1


class Step(Spec):
    """One step: exactly one of its keys.

    `multiply`, `clip`, `zero_below` and `sum` are for regressions, `boost`, `smooth` and `overlap` for rows of
    recordings (`data.audio`) in all other tasks.
    """

    multiply: dict[str, NumberOrFit] = {}
    """By target, a factor."""
    clip: Clip | None = None
    zero_below: NumberOrFit | dict[str, NumberOrFit] | None = None
    """Values below this become 0: one number for all targets, or by target."""
    sum: Literal["identities"] | dict[str, tuple[str, ...]] | None = None
    """Targets as the sum of others: as `task.identities` say, or by target."""
    boost: Boost | None = None
    smooth: Smooth | None = None
    overlap: Literal["mean"] | None = None
    """`mean`: each row's probabilities become the mean over all rows of its recording that overlap it, itself among
    them, by the seconds they share."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "Step":
        given = sorted(self.model_fields_set)
        if len(given) != 1:
            raise ValueError(f"a step is one of {', '.join(type(self).model_fields)}; got {given or 'none'}")
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
        numbers += [self.boost and self.boost.weight, self.smooth and self.smooth.kernel]
        return "fit" in numbers

    @property
    def in_time(self) -> bool:
        """Whether it looks at the rows of a recording together."""
        return self.boost is not None or self.smooth is not None or self.overlap is not None

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
        without_weight = self.boost is not None and self.boost.weight == 0
        without_neighbours = self.smooth is not None and self.smooth.smooths_nothing
        given = getattr(self, self.name)
        return without_bounds or without_weight or without_neighbours or given is None or given == {}


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

    def wrong_steps(self, task: Task, *, recordings: bool = False) -> Iterator[str]:
        """What is wrong with steps that do not fit the task or its rows.

        A step is of another kind of task or needs recordings, names no target, or adds up what is no sum of targets.

        Args:
            task: the recipe's.
            recordings: whether rows are of recordings.
        """
        for step in self.steps:
            yield from _without_time(step, task, recordings) if step.in_time else _wrong_columns(step, task)

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source.partition("/")[0],)

    @property
    def fitted(self) -> bool:
        """Whether any number is learned."""
        return any(step.fitted for step in self.steps)

    @property
    def in_time(self) -> bool:
        """Whether any step looks at the rows of a recording together."""
        return any(step.in_time for step in self.steps)

    @property
    def overlaps(self) -> bool:
        """Whether any step looks at how rows overlap."""
        return any(step.overlap is not None for step in self.steps)


def _without_time(step: Step, task: Task, recordings: bool) -> Iterator[str]:
    if task.kind == "regression":
        yield f"step `{step.name}` changes probabilities, this is a regression task"
    if not recordings:
        yield f"step `{step.name}` looks at the rows of a recording together; set data.audio"


def _wrong_columns(step: Step, task: Task) -> Iterator[str]:
    if task.kind != "regression":
        yield f"step `{step.name}` changes values of a regression, this is a {task.kind} task"
        return
    unknown = [column for column in step.columns if column not in task.target]
    if unknown:
        yield f"{unknown[0]!r} of step `{step.name}` is none of the targets {list(task.target)}"
        return
    try:
        added = step.sums(task) if step.name == "sum" else True
    except ValueError as error:
        yield str(error)
    else:
        if not added:
            yield "`sum: identities` needs task.identities"
