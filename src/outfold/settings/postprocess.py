"""The settings of a postprocess stage: steps on named columns of a regression's predictions."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Name, Spec

Number = Annotated[float, Field(allow_inf_nan=False)]
NumberOrFit = Number | Literal["fit"]
"""A number, or `fit`: learned by the task's metric on out-of-fold predictions, inside folds."""


class Clip(Spec):
    """Bounds of values."""

    min: Number | None = None
    max: Number | None = None
    columns: tuple[str, ...] = ()
    """Targets that are cut; all when not given."""


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


class PostprocessStage(Spec):
    """Changes the predictions of a stage by steps, in their order."""

    kind: Literal["postprocess"]
    source: Name = Field(alias="from")
    steps: tuple[Step, ...] = Field(min_length=1)

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source,)
