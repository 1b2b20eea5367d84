"""One of several transforms, each with the same chance."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from outfold.views.augment.base import Transform


@dataclass(frozen=True)
class OneOf(Transform):
    """Draws one of its transforms and applies it. The parser builds it, for its transforms are items, too."""

    of: tuple[Transform, ...]

    def sample(self, rng: np.random.Generator, height: int, width: int) -> Any:
        """The chosen transform's own step or steps."""
        return self.of[int(rng.integers(len(self.of)))].sample(rng, height, width)

    def leaves(self) -> tuple[Transform, ...]:
        """Those of all choices."""
        return tuple(leaf for transform in self.of for leaf in transform.leaves())
