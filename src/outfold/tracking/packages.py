"""Which module serves a tracker, and the packages that it needs besides outfold's own."""

from importlib.util import find_spec
from typing import NamedTuple

from outfold.errors import RecipeError
from outfold.settings.track import Track


class Served(NamedTuple):
    """What serves a tracker."""

    module: str
    """Holds a class `Book`, a `Tracker`."""
    packages: tuple[str, ...]
    """Import names of what it needs."""


TRACKERS = {
    "tensorboard": Served("outfold.tracking.tensorboard", ("tensorboard",)),
    "mlflow": Served("outfold.tracking.mlflow", ("mlflow", "sqlalchemy", "alembic")),
    "wandb": Served("outfold.tracking.wandb", ("wandb",)),
}
"""By the name that a recipe's `track` gives."""


def require_packages(track: Track | None) -> None:
    """Look for a tracker's packages without importing them.

    Raises:
        RecipeError: one is not installed; says what to install.
    """
    if track is None:
        return
    missing = [package for package in TRACKERS[track.to].packages if find_spec(package) is None]
    if missing:
        raise RecipeError(
            f"track: {track.to} needs packages that are not installed",
            got=f"no {', '.join(missing)}",
            fix=f'pip install "outfold[{track.to}]", or run without a tracker: --set track=null',
        )
