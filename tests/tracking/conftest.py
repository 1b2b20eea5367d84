"""Short runs that a tracker is told of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import outfold
from outfold.settings.recipe import Recipe


@pytest.fixture
def tracked(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Runs the tiny recipe, two folds of it, with a tracker and further overrides; returns the events."""
    tiny_recipe["folds"]["only"] = [0, 1]
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 2
    tiny_recipe["task"]["metrics"] = ["log_loss"]

    def run(track: Any, *, out: str = "run", stop: str | None = None, **fit: Any) -> list[dict[str, Any]]:
        recipe = {**tiny_recipe, "track": track}
        recipe["stages"] = {**recipe["stages"], "fit": {**recipe["stages"]["fit"], **fit}}
        events: list[dict[str, Any]] = []

        def note(event: dict[str, Any]) -> None:
            events.append(event)
            if event["event"] == stop:
                raise KeyboardInterrupt

        outfold.run(Recipe.model_validate(recipe), tmp_path / out, data=shapes, device="cpu", emit=note)
        return events

    return run
