"""What a recipe cannot ask for where nothing is held out (`folds: full`)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outfold.settings.adapt import AdaptStage
from outfold.settings.blend import LEARNED, BlendStage
from outfold.settings.label import LabelStage
from outfold.settings.serve import ServeStage
from outfold.settings.train import TrainSettings


def refuse_what_needs_folds(stages: Mapping[str, Any], members: Iterable[tuple[str, str, TrainSettings]]) -> None:
    """Refuse stages and settings that follow predictions or scores of held-out rows, or choose among folds.

    Args:
        stages: of a recipe, by name.
        members: stage, member and effective settings of all of them.

    Raises:
        ValueError: the first of them, with the stage's and the member's name.
    """
    for name, stage in stages.items():
        for fault in _of_stage(stage):
            raise ValueError(f"stage {name!r}: `folds: full` holds nothing out, {fault}")
    for name, member, settings in members:
        for fault in _of_member(settings):
            raise ValueError(f"stage {name!r}, member {member!r}: `folds: full` holds nothing out, {fault}")


def _of_stage(stage: Any) -> Iterator[str]:
    if isinstance(stage, AdaptStage | ServeStage):
        yield f"and `kind: {stage.kind}` builds on models of folds"
    if isinstance(stage, BlendStage) and stage.method in LEARNED:
        yield f"and `method: {stage.method}` learns weights on held-out rows; give weights, or take `mean`"
    if isinstance(stage, BlendStage) and stage.ranks == "oof":
        yield "and `ranks: oof` ranks among held-out predictions; take `ranks: table`"
    if isinstance(stage, LabelStage) and stage.teachers == "all":
        yield "so that `teachers: all` changes nothing; leave it out"


def _of_member(settings: TrainSettings) -> Iterator[str]:
    if settings.keep.best != "last":
        yield "so that no score chooses an epoch: set `keep.best: last`"
    if settings.keep.validate_after == "training":
        yield "so that `keep.validate_after` changes nothing; leave it out"
    if any(phase.schedule == "plateau" for phase in settings.phases):
        yield "so that `schedule: plateau` has no loss to follow; choose another schedule"
    if settings.table is not None and settings.table.predicted_by is not None:
        yield "and `table.predicted_by` reads predictions of training rows by models that held them out"
    if settings.init_from is not None and settings.init_from.fold != "same":
        yield "so that `init_from` has no fold to name"
