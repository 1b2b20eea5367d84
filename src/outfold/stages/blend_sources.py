"""Whose predictions a blend takes, and with which weights that the recipe gives."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from outfold.data.predictions import Predictions
from outfold.ensemble.members import aligned
from outfold.errors import RecipeError
from outfold.settings.blend import BlendStage
from outfold.settings.recipe import Recipe
from outfold.stages.base import Job, Result

Table = Literal["oof", "test"]
"""Out-of-fold predictions of the training rows, or predictions of other rows."""


def source_names(name: str, stage: BlendStage, recipe: Recipe) -> list[str]:
    """What is blended: `stage/member` for each member of a stage that has some, the stage's name for another blend.

    Raises:
        RecipeError: a member is named twice, by itself and by its stage.
    """
    names = [one for source in stage.sources for one in _expanded(source, recipe)]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise RecipeError(f"stage {name!r} blends {twice[0]!r} twice", got=list(stage.sources))
    return names


def given_weights(stage: BlendStage, names: Sequence[str]) -> np.ndarray:
    """Equal weights, or the recipe's, each shared by the members of its source."""
    if not stage.weights:
        return np.full(len(names), 1 / len(names))
    sources = [name if name in stage.weights else name.partition("/")[0] for name in names]
    weights = np.array([stage.weights[source] / sources.count(source) for source in sources])
    return weights / weights.sum()


def feeds(job: Job, names: Sequence[str]) -> bool:
    """Whether a job's outcome is part of what these sources offer."""
    return (job.stage if job.model is None else f"{job.stage}/{job.model.member}") in names


def members_of(names: Sequence[str], results: Mapping[str, Result]) -> dict[str, Result]:
    """The result of each source."""
    found = {}
    for name in names:
        stage, _, member = name.partition("/")
        found[name] = results[stage].members[member] if member else results[stage]
    return found


def first_of(members: Mapping[str, Result], table: Table) -> Predictions:
    """Whose ids, outputs and space the blend has."""
    return _predictions(next(iter(members.values())), table)


def values_of(members: Mapping[str, Result], table: Table) -> np.ndarray:
    """float64 (m, n, k), in the order of the first member's ids."""
    return aligned([_predictions(member, table) for member in members.values()])


def _expanded(source: str, recipe: Recipe) -> list[str]:
    members = recipe.members_of(source) if source in recipe.stages else {}
    return [f"{source}/{member}" for member in members] or [source]


def _predictions(member: Result, table: Table) -> Predictions:
    part = member.oof if table == "oof" else member.test
    assert part is not None  # every stage that can be blended predicts
    return part
