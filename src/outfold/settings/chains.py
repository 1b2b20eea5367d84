"""What stages may build on: every stage that reads another finds there what it needs, or the recipe is refused."""

from collections.abc import Iterator, Mapping
from typing import Any

from outfold.settings.adapt import AdaptStage
from outfold.settings.blend import BlendStage
from outfold.settings.folds import Folds
from outfold.settings.label import LabelStage
from outfold.settings.network import InitFrom
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.serve import ServeStage
from outfold.settings.table_inputs import TableInputs
from outfold.settings.task import Task
from outfold.settings.train import TrainSettings, TrainStage

Stages = Mapping[str, Any]
"""All stages of a recipe by name, in its order."""


def refuse_broken_chains(stages: Stages, task: Task, folds: Folds) -> None:
    """Refuse stages that build on others which do not make what they need.

    Args:
        stages: of a recipe, each after those it reads from.
        task: the recipe's.
        folds: the recipe's.

    Raises:
        ValueError: the first fault, with the stage's name.
    """
    for name, stage in stages.items():
        place = f"stage {name!r}"
        if isinstance(stage, TrainStage):
            for member in stage.members:
                _check_member(f"{place}, member {member!r}", stage, member, stages, folds)
        elif isinstance(stage, ServeStage):
            _check_serve(place, stage, stages)
        elif isinstance(stage, AdaptStage):
            _check_adapt(place, stage, stages, task, folds)
        else:
            _check_reader(place, stage, stages)


def why_no_answer(stage: object) -> str | None:
    """Why nothing can be made of a stage's predictions of the task's target; None where that is possible."""
    if isinstance(stage, TrainStage) and stage.target:
        return f"is an auxiliary stage: it predicts {', '.join(stage.target)} and not the task's target"
    if isinstance(stage, TrainStage) and stage.training_only:
        return "has inputs that only training tables have; take the `serve` stage that predicts in its place"
    return None


def start_of(settings: TrainSettings, member: str, stages: Stages) -> str | None:
    """The member of an earlier stage whose weights a member starts from; None where it starts from none.

    Raises:
        ValueError: there is no such stage or member.
    """
    start = settings.init_from
    if start is None:
        return None
    other = _train_stage(start.stage, "`init_from`", stages)
    only = next(iter(other.members)) if len(other.members) == 1 else None
    name = start.member or (member if member in other.members else only)
    if name not in other.members:
        asked = f"has no member {name!r}" if name else "has several members; name one"
        raise ValueError(f"`init_from`: stage {start.stage!r} {asked} (it has {list(other.members)})")
    return name


def predicted_columns(settings: TrainSettings, stages: Stages) -> tuple[str, ...]:
    """The columns of a member's table inputs that an auxiliary stage predicts."""
    table = settings.table
    if table is None or table.predicted_by is None:
        return ()
    return columns_from(table, table.predicted_by, stages)


def columns_from(table: TableInputs, auxiliary: str, stages: Stages) -> tuple[str, ...]:
    """The numeric columns of table inputs that are targets of an auxiliary stage."""
    return tuple(one.column for one in table.numeric if one.column in stages[auxiliary].target)


def fold_variants_behind(name: str, stages: Stages) -> set[str | None]:
    """The assignments of folds of all members that predictions of a stage, or of `stage/member`, are made of."""
    place, _, member = name.partition("/")
    stage = stages[place]
    if isinstance(stage, TrainStage):
        return {stage.member_settings(one).folds for one in ([member] if member else stage.members)}
    if isinstance(stage, ServeStage):
        return fold_variants_behind(f"{stage.source}/{member}" if member else stage.source, stages)
    sources: tuple[str, ...] = stage.sources if isinstance(stage, BlendStage) else stage.reads
    if isinstance(stage, PostprocessStage):
        sources = (stage.source,)
    if isinstance(stage, AdaptStage):
        chosen = (member,) if member else stage.members
        sources = (stage.labels, *([f"{stage.source}/{one}" for one in chosen] or [stage.source]))
    return set().union(*(fold_variants_behind(source, stages) for source in sources))


def _check_member(place: str, stage: TrainStage, member: str, stages: Stages, folds: Folds) -> None:
    settings = stage.member_settings(member)
    try:
        if settings.init_from is not None:
            _check_start(settings.init_from, stage, settings, start_of(settings, member, stages), stages)
        if settings.table is not None and settings.table.predicted_by is not None:
            _check_predicted(settings, settings.table.predicted_by, stage, stages, folds)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    if stage.labels is not None and settings.table is not None and settings.table.training_only:
        raise ValueError(f"{place}: rows without labels lack its table inputs, which are `training_only`")


def _check_start(
    start: InitFrom, stage: TrainStage, settings: TrainSettings, member: str | None, stages: Stages
) -> None:
    other = _train_stage(start.stage, "`init_from`", stages)
    assert member is not None  # found by `start_of`
    theirs, ours = other.member_settings(member).folds, settings.folds
    if start.fold == "same" and theirs != ours:
        raise ValueError(
            f"`init_from` takes the model of the same fold, but {start.stage}/{member} has {_folds(theirs)} "
            f"and this member {_folds(ours)}; give both the same, or name a `fold`"
        )
    missing = [seed for seed in stage.seeds if seed not in other.seeds]
    if missing and len(other.seeds) > 1:
        raise ValueError(f"`init_from`: stage {start.stage!r} has no model of seed {missing[0]}, only {other.seeds}")


def _check_predicted(settings: TrainSettings, name: str, stage: TrainStage, stages: Stages, folds: Folds) -> None:
    _check_auxiliary(name, "`predicted_by`", stages)
    table = settings.table
    assert table is not None  # the caller's condition
    if not predicted_columns(settings, stages):
        raise ValueError(f"`predicted_by`: {name!r} predicts {list(stages[name].target)}, none of them a numeric input")
    ways = [way for way in ("only", "time") if getattr(folds, way)]
    if ways:
        raise ValueError(f"`predicted_by`: folds.{ways[0]} leaves training rows without out-of-fold inputs of {name!r}")
    if table.train_on == "mixed" and not any(phase.augment for phase in settings.phases):
        raise ValueError("`train_on: mixed` draws where training is at random, and no phase has `augment: true`")
    labels = stages[stage.labels] if stage.labels is not None else None
    if isinstance(labels, LabelStage) and labels.rows == "unlabelled":
        raise ValueError(f"`predicted_by`: {name!r} predicts no rows of data.unlabelled, which {stage.labels!r} labels")


def _check_auxiliary(name: str, role: str, stages: Stages) -> None:
    auxiliary = _train_stage(name, role, stages)
    if not auxiliary.target:
        raise ValueError(f"{role}: {name!r} is no auxiliary stage; say which columns it predicts (`target`)")
    if auxiliary.training_only:
        raise ValueError(f"{role}: {name!r} has inputs that only training tables have and predicts no other rows")


def _check_serve(place: str, stage: ServeStage, stages: Stages) -> None:
    source = _train_stage(stage.source, f"{place}: `from`", stages)
    if source.target:
        raise ValueError(f"{place}: {stage.source!r} {why_no_answer(source)}")
    _check_auxiliary(stage.inputs, f"{place}: `inputs`", stages)
    tables = {member: source.member_settings(member).table for member in source.members}
    for member, table in tables.items():
        if table is not None and not table.training_only:
            raise ValueError(f"{place}: {stage.source}/{member} predicts by itself; set its `table.training_only`")
        if table is not None and not columns_from(table, stage.inputs, stages):
            raise ValueError(f"{place}: {stage.inputs!r} predicts none of the inputs of {stage.source}/{member}")
    if not any(tables.values()):
        raise ValueError(f"{place}: no member of {stage.source!r} has table inputs")


def _check_adapt(place: str, stage: AdaptStage, stages: Stages, task: Task, folds: Folds) -> None:
    source = _train_stage(stage.source, f"{place}: `from`", stages)
    unknown = [member for member in stage.members if member not in source.members]
    if unknown:
        raise ValueError(f"{place}: {stage.source!r} has no member {unknown[0]!r}, only {list(source.members)}")
    _check_reader(place, stage, stages)
    if task.score_class is not None:
        raise ValueError(f"{place}: predictions of `task.score_class` alone cannot label rows for all classes")
    members = [source.member_settings(member) for member in stage.members or source.members]
    if task.kind == "regression" and stage.weight < 1 and any(one.mix is not None for one in members):
        raise ValueError(f"{place}: mixed values have no weight of their own; use `mix` or `weight`, not both")
    if not stage.out_of_fold:
        return
    variants = fold_variants_behind(stage.labels, stages) | {one.folds for one in members}
    if len(variants) > 1:
        raise ValueError(
            f"{place}: models behind it have {' and '.join(sorted(map(_folds, variants)))}; out of fold, labels of "
            "held-out rows must come from models that held out the same rows (or set `out_of_fold: false`)"
        )
    if any(folds.variant(one).repeats > 1 for one in variants if one is None or one in folds.variants):
        raise ValueError(f"{place}: with folds.repeats, labels come from models that saw the fold; use seeds instead")


def _check_reader(place: str, stage: Any, stages: Stages) -> None:
    """A stage that takes what others say of the task's target."""
    for source in stage.reads:
        other = stages[source]
        if (reason := why_no_answer(other)) is not None:
            raise ValueError(f"{place}: {source!r} {reason}")
    if isinstance(stage, LabelStage) and stage.rows == "unlabelled":
        for settings in _members_of(stages[stage.source]):
            if settings.table is not None and settings.table.predicted_by is not None:
                raise ValueError(
                    f"{place}: {settings.table.predicted_by!r}, which predicts its teacher's inputs, predicts no rows "
                    "of data.unlabelled; label the test table (`rows: test`)"
                )


def _members_of(stage: Any) -> Iterator[TrainSettings]:
    return (stage.member_settings(member) for member in stage.members) if isinstance(stage, TrainStage) else iter(())


def _train_stage(name: str, role: str, stages: Stages) -> TrainStage:
    stage = stages[name]
    if not isinstance(stage, TrainStage):
        raise ValueError(f"{role} names a train stage, {name!r} is none")
    return stage


def _folds(variant: str | None) -> str:
    return "the recipe's folds" if variant is None else f"folds {variant!r}"
