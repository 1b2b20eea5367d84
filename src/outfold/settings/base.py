"""What every model of a recipe shares: unknown keys are refused, values are frozen once validated."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """Base of all parts of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, use_attribute_docstrings=True)
