"""The settings of an ablation: named sets of overrides against a baseline."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from outfold.settings.base import Spec

BASELINE = "baseline"

VariantName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""Name of a variant; it becomes the name of its run folder."""


class Variants(Spec):
    """A file of variants: each is the baseline with some settings changed."""

    description: str = ""
    baseline: dict[str, Any] = {}
    """What the baseline sets otherwise than the recipe, by dotted path, as a profile does."""
    variants: dict[VariantName, dict[str, Any]] = Field(min_length=1)
    """By name, what a variant sets otherwise than the baseline."""

    @field_validator("variants")
    @classmethod
    def _names_are_free(cls, variants: dict[str, Any]) -> dict[str, Any]:
        lower = [name.lower() for name in variants]
        if BASELINE in lower:
            raise ValueError("`baseline` stands beside `variants`, no variant can be called so")
        if len(set(lower)) < len(lower):
            raise ValueError("names of variants must differ in more than upper and lower case: they are folders")
        return variants
