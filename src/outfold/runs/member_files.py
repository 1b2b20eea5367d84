"""What each member of a finished run predicted, read from its models' files: out of fold, and of the test table."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.predictions import Predictions, Space
from outfold.data.targets import TargetCodec
from outfold.ensemble.shift import as_held_out
from outfold.errors import DataError, RunError
from outfold.files import read_json
from outfold.run_folder import WHOLE, read_model_folder
from outfold.settings.blend import BlendStage
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.recipe import Recipe
from outfold.settings.task import TaskKind
from outfold.stages.base import Model, answered

AGAIN = "give the run's command again to make it anew"


@dataclass(frozen=True)
class MemberFiles:
    """One member's predictions in its own outputs, of m rows by f models.

    Attributes:
        name: `stage/member`.
        oof: by model, its held-out rows; empty where nothing was held out.
        test: by model, the test table; empty without one.
        kind: the task it learned.
    """

    name: str
    oof: tuple[Predictions, ...]
    test: tuple[Predictions, ...]
    kind: TaskKind

    @cached_property
    def whole(self) -> Predictions:
        """Out of fold, probabilities or values in the member's own outputs."""
        return Predictions.pooled(self.oof).to_probability(self.kind)

    def answer(self, ids: np.ndarray, codec: TargetCodec) -> np.ndarray:
        """Out-of-fold predictions of what is judged, float32 (n, k), in the order of the ids."""
        return answered(self.whole, self.kind, codec).aligned_to(ids).values

    def own(self, ids: np.ndarray) -> np.ndarray:
        """Out-of-fold predictions in the member's own outputs, float32 (n, k)."""
        return self.whole.aligned_to(ids).values

    def own_test(self, test_ids: np.ndarray, ids: np.ndarray, donor: np.ndarray) -> np.ndarray:
        """Test predictions as out-of-fold ones are made, (t, k); see `outfold.ensemble.shift`.

        Args:
            test_ids: (t,) of the test rows.
            ids: (n,) of the training rows.
            donor: int64 (t,), a training row for each test row.
        """
        rows = pd.Index(ids, dtype=object)
        held_out = np.stack([np.isin(rows, part.ids) for part in self.oof])
        first = self.test[0]
        values = as_held_out(np.stack([part.aligned_to(test_ids).values for part in self.test]), held_out, donor)
        return Predictions(test_ids, values, first.outputs, first.space).to_probability(self.kind).values


def member_names(recipe: Recipe, stage: str) -> list[str]:
    """`stage/member` of all single models that a stage's prediction is made of, each once."""
    members, settings = recipe.members_of(stage), recipe.stages[stage]
    if members:
        return [f"{stage}/{member}" for member in members]
    sources = settings.sources if isinstance(settings, BlendStage) else settings.reads
    if isinstance(settings, PostprocessStage):
        sources = (settings.source,)
    parts = [[source] if "/" in source else member_names(recipe, source) for source in sources]
    return list(dict.fromkeys(name for part in parts for name in part))


def ensemble_stage(recipe: Recipe) -> str:
    """The stage whose members make the run's answer: the final one, or what it changes by steps of post-processing."""
    name = recipe.final_stage()
    while isinstance(stage := recipe.stages[name], PostprocessStage) and "/" not in stage.source:
        name = stage.source
    return name


def read_member(folder: Path, summary: Mapping[str, Any], name: str, kind: TaskKind) -> MemberFiles:
    """Read the files of one member's models.

    Args:
        folder: the run folder.
        summary: of the run; it lists the models.
        name: `stage/member`.
        kind: the task that it learned.

    Raises:
        RunError: a file is missing or damaged.
    """
    stage, _, member = name.partition("/")
    part = summary["stages"][stage]["members"][member]
    places = [_place(folder, stage, member, job) for job in part.get("served", part["jobs"])]
    # Test-time training leaves one model for the test table, as it leaves one for each fold.
    whole = [_place(folder, stage, member, part["test"])] * len(places) if "test" in part else places
    has_test = bool(summary["data"]["test_rows"])
    oof = tuple(_read(place, "oof") for place in places if read_model_folder(place.name)[0] != WHOLE)
    test = tuple(_read(place, "test") for place in whole) if has_test else ()
    return MemberFiles(name, oof, test, kind)


def _place(folder: Path, stage: str, member: str, job: Mapping[str, Any]) -> Path:
    return folder / "stages" / Model(stage, member, job["fold"], job["seed"]).place


def _read(place: Path, step: str) -> Predictions:
    space: Space = read_json(place / f"{step}.json")["space"]
    path = place / f"{step}.parquet"
    try:
        frame = pd.read_parquet(path)
        return Predictions.from_frame(frame, [name for name in frame.columns if name != "id"], space)
    except (OSError, ValueError, DataError) as error:
        raise RunError(f"{path} cannot be read: {error}", fix=AGAIN) from error
