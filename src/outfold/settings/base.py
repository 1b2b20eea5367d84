"""What every model of a recipe shares: unknown keys are refused, values are frozen once validated."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
"""Name of a stage, a member or a set of folds; it becomes part of a path in the run folder."""


class Spec(BaseModel):
    """Base of all parts of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)


def overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge two nested dictionaries; `above` wins, lists are replaced whole."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlay(merged[key], value) if both else value
    return merged
