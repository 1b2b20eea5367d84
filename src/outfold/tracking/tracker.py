"""What a tracker is asked to do."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from outfold.settings.recipe import Recipe


class Tracker(Protocol):
    """The run as one entry of somebody's book of experiments.

    Methods may raise whatever the tracker's own package raises; the listener deals with it.
    """

    def start(self, recipe: Recipe, folder: Path, known: str | None) -> str:
        """Open the entry.

        Args:
            recipe: the effective recipe; its `track` says where to.
            folder: the run folder, absolute.
            known: id of the entry that an earlier process opened for this very recipe; it is continued if it is there.

        Returns:
            The entry's id: `known`, or that of a new one.
        """

    def epoch(self, model: str, epoch: int, figures: Mapping[str, float]) -> None:
        """Note what an epoch came to.

        Args:
            model: e.g. fit/b3/fold0-seed0.
            epoch: counted from 1.
            figures: losses, scores, rates; all finite.
        """

    def scores(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        """Note what the run came to, and keep its files where the tracker keeps files."""

    def finish(self, *, failed: bool) -> None:
        """Close the entry."""
