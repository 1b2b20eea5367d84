"""What every transform is: parameters that a recipe may set, and a way to draw one step from them."""

import dataclasses
from typing import Any, ClassVar

import numpy as np


class Transform:
    """A named change of a photo. Subclasses are frozen dataclasses whose first field is the main parameter."""

    p: ClassVar[float] = 1.0
    """Chance of being applied where the recipe gives none."""

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Any:
        """Draw parameters for an image of this size and return the step or steps to do."""
        raise NotImplementedError

    def leaves(self) -> tuple["Transform", ...]:
        """The transforms that it may apply: itself, or its choices."""
        return (self,)

    @classmethod
    def parameter_names(cls) -> list[str]:
        """What a recipe may set, the main parameter first."""
        return [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]

    @classmethod
    def from_value(cls, value: Any) -> dict[str, Any]:
        """Parameters for a recipe that gives a bare value: it is the main parameter's.

        Raises:
            ValueError: the value is a list of the wrong length.
        """
        return {cls.parameter_names()[0]: value}
