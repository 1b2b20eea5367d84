"""Types of the parameters a recipe gives a transform: numbers, ranges, and scalars that stand for a range."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)
"""Configuration of every transform: unknown parameters are refused."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _symmetric(value: Any) -> Any:
    return (-abs(value), abs(value)) if _is_number(value) else value


def _around_one(value: Any) -> Any:
    return (max(0.0, 1.0 - value), 1.0 + value) if _is_number(value) else value


def _up_to(value: Any) -> Any:
    return (0.0, value) if _is_number(value) else value


def _fixed(value: Any) -> Any:
    return (value, value) if _is_number(value) else value


def _up_to_one(value: Any) -> Any:
    return (value, 1.0) if _is_number(value) else value


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"a range goes from low to high, got {list(value)}")
    return value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("a kernel's side is odd")
    return value


Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]

_Ordered = AfterValidator(_ordered)
Range = Annotated[tuple[float, float], BeforeValidator(_fixed), _Ordered]
"""A range; a scalar v means exactly v."""
Symmetric = Annotated[tuple[float, float], BeforeValidator(_symmetric), _Ordered]
"""A range; a scalar v means [-v, v]."""
Factor = Annotated[tuple[NonNegative, NonNegative], BeforeValidator(_around_one), _Ordered]
"""A range of factors; a scalar v means [max(0, 1 - v), 1 + v]."""
PositiveFactor = Annotated[tuple[Positive, Positive], BeforeValidator(_around_one), _Ordered]
"""A range of positive factors; a scalar v below 1 means [1 - v, 1 + v]."""
UpTo = Annotated[tuple[NonNegative, NonNegative], BeforeValidator(_up_to), _Ordered]
"""A range of magnitudes; a scalar v means [0, v]."""
PositiveRange = Annotated[tuple[Positive, Positive], BeforeValidator(_fixed), _Ordered]
"""A range of positive numbers; a scalar v means exactly v."""
ShareRange = Annotated[tuple[Share, Share], BeforeValidator(_up_to_one), _Ordered]
"""A range of shares in (0, 1]; a scalar v means [v, 1]."""
FixedShare = Annotated[tuple[Share, Share], BeforeValidator(_fixed), _Ordered]
"""A range of shares in (0, 1]; a scalar v means exactly v."""
OddSide = Annotated[int, Field(ge=3), AfterValidator(_odd)]
"""An odd number of pixels, at least 3."""
