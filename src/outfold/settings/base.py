"""What every model of a recipe shares: unknown keys are refused, values are frozen once validated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
"""Name of a stage, a member or a set of folds; it becomes part of a path in the run folder."""
Label = str | int | float | bool
Where = dict[str, Label | list[Label]]
"""Conditions on rows: a column has this value, or one of these; all must hold."""
Names = Annotated[tuple[str, ...], Field(description="One column name or a list of them.")]


@dataclass(frozen=True)
class ShortFor:
    """Marks a setting that may be a text, which stands for a mapping with that text under one key."""

    key: str


class Spec(BaseModel):
    """Base of all parts of a recipe."""

    exclusive: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Keys that exclude each other, each followed by those that go with it: one that a profile or an override sets
    takes the place of another and of all that goes with that."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


class Part(Spec):
    """A part that a stage may set some of and its members the rest: what its settings mean together is known last."""

    def refuse_conflicts(self) -> None:
        """Refuse settings that contradict each other, that lack another one, or that have no effect.

        Raises:
            ValueError: says which.
        """


AnyPart = TypeVar("AnyPart", bound=Part)


def whole(part: AnyPart) -> AnyPart:
    """The same part, for a stage that has no members to set the rest of it.

    Raises:
        ValueError: its settings do not go together.
    """
    part.refuse_conflicts()
    return part


def refuse_idle(part: Spec, name: str | None, readers: Mapping[str, Sequence[str]]) -> None:
    """Refuse settings that differ from their defaults where nothing reads them.

    Args:
        part: whose settings they are.
        name: its `name`.
        readers: of each such setting, the names that read it.

    Raises:
        ValueError: the first of them, and what reads it.
    """
    for setting, names in readers.items():
        default = type(part).model_fields[setting].default
        if name not in names and getattr(part, setting) != default:
            raise ValueError(
                f"`{setting}` is for `name: {' or '.join(names)}` and has no effect with `name: {name}`; leave it out, "
                f"or set what the stage gives back to {default}"
            )


def placed(error: ValueError, *place: str) -> ValidationError:
    """A complaint about something deeper inside, for the validator of a whole: the file's line is then found."""
    details = InitErrorDetails(type="value_error", loc=place, input=None, ctx={"error": error})
    return ValidationError.from_exception_data(".".join(place), [details])


Location = tuple[int | str, ...]
"""Where a complaint is, seen from the model that is validated."""


def moved(error: ValidationError, to: Callable[[Location], Location]) -> ValidationError:
    """The same complaints at other places."""
    details = [
        InitErrorDetails(type=one["type"], loc=to(one["loc"]), input=one["input"], ctx=one.get("ctx", {}))
        for one in error.errors(include_url=False)
    ]
    return ValidationError.from_exception_data(error.title, details)


INDIVISIBLE = ("mel", "pseudo_batch")
"""Settings that mean something together only: a member's replace the stage's whole."""


def overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge two nested dictionaries; `above` wins. Lists, and what is of another `kind`, are replaced whole."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = value
        if (
            isinstance(value, dict)
            and isinstance(under, dict)
            and key not in INDIVISIBLE
            and _of_one_kind(under, value)
        ):
            merged[key] = overlay(under, value)
    return merged


def _of_one_kind(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two mappings are parts of the same thing; one that does not say its `kind` may be."""
    return len({part["kind"] for part in (one, other) if "kind" in part}) < 2
