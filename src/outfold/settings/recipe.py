"""The recipe: one YAML file that declares data, task, folds and stages."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

from pydantic import Field, model_validator

from outfold.settings.adapt import AdaptStage
from outfold.settings.base import Name, Spec
from outfold.settings.blend import BlendStage
from outfold.settings.chains import predicted_columns, refuse_broken_chains
from outfold.settings.data import Data
from outfold.settings.duplicates import Duplicates
from outfold.settings.folds import Folds
from outfold.settings.label import LabelStage
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.recipe_conflicts import recipe_conflicts
from outfold.settings.rounds import NoisyStudent, with_rounds
from outfold.settings.serve import ServeStage
from outfold.settings.stage_sources import refuse_wrong_order, source_conflicts
from outfold.settings.submit import SubmitStage
from outfold.settings.task import Task
from outfold.settings.track import Track
from outfold.settings.train import TrainSettings, TrainStage
from outfold.settings.whole import refuse_what_needs_folds

Stage = Annotated[
    TrainStage | ServeStage | AdaptStage | BlendStage | PostprocessStage | LabelStage | NoisyStudent | SubmitStage,
    Field(discriminator="kind"),
]
"""A validated recipe holds no `noisy_student`: its rounds stand in its place."""


class Recipe(Spec):
    """A whole system: what to train on what, how to score it, and what to write."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str = ""
    data: Data
    task: Task
    folds: Folds = Folds()
    duplicates: Duplicates | None = None
    """Look for near-duplicates before the folds are made; only byte-identical files are known without."""
    stages: dict[Name, Stage] = Field(min_length=1)
    track: Track | None = None
    """Where else a run's figures go: `tensorboard`, `mlflow` or `wandb`, or one of them with its settings."""
    profiles: dict[str, dict[str, Any]] = {}
    """Named sets of overrides, e.g. `small: {stages.fit.view.size: 160}`; chosen by `--profile`."""

    @model_validator(mode="before")
    @classmethod
    def _rounds_as_stages(cls, values: object) -> object:
        if not isinstance(values, dict) or not isinstance(values.get("stages"), dict):
            return values
        return {**values, "stages": with_rounds(values["stages"])}

    @model_validator(mode="after")
    def _its_parts_go_together(self) -> "Recipe":
        refuse_wrong_order(self.stages)
        refuse_broken_chains(self.stages, self.task, self.folds)
        if self.folds.full:
            refuse_what_needs_folds(self.stages, self.members())
        for fault in chain(source_conflicts(self), recipe_conflicts(self)):
            raise ValueError(fault)
        return self

    def members(self) -> Iterator[tuple[str, str, TrainSettings]]:
        """Every member of every stage that trains: the stage's name, the member's name, its effective settings."""
        for name, stage in self.stages.items():
            if isinstance(stage, TrainStage | AdaptStage):
                for member, settings in self.members_of(name).items():
                    yield name, member, settings

    def members_of(self, name: str) -> dict[str, TrainSettings]:
        """A stage's members by name, with their effective settings; none where a stage has no models of its own."""
        stage = self.stages[name]
        if isinstance(stage, TrainStage):
            return {member: stage.member_settings(member) for member in stage.members}
        if isinstance(stage, ServeStage):
            return self.members_of(stage.source)
        if isinstance(stage, AdaptStage):
            known = self.members_of(stage.source)
            return {member: stage.adapted(known[member]) for member in stage.members or known}
        return {}

    def task_of(self, name: str) -> Task:
        """What a stage learns and is judged by: the recipe's task, or an auxiliary stage's own."""
        stage = self.stages[name]
        own = stage.task if isinstance(stage, TrainStage) else None
        return own or self.task

    def seen_by(self, name: str) -> "Recipe":
        """The recipe as a stage sees it, with `task_of` as its task."""
        task = self.task_of(name)
        return self if task is self.task else self.model_copy(update={"task": task})

    def predicted_columns(self, settings: TrainSettings) -> tuple[str, ...]:
        """The columns of a member's table inputs that another stage predicts."""
        return predicted_columns(settings, self.stages)

    def fold_variant_of(self, name: str) -> str | None:
        """The fold variant that all members of a stage share; None where they have the recipe's own, or mixed folds."""
        variants = {settings.folds for settings in self.members_of(name).values()}
        return variants.pop() if len(variants) == 1 else None

    def fold_variants(self) -> tuple[str, ...]:
        """The names of `folds.variants` that members use, in the order they are written."""
        used = {settings.folds for _, _, settings in self.members()}
        return tuple(name for name in self.folds.variants if name in used)

    def labels_unlabelled(self) -> bool:
        """Whether a label stage labels the rows of `data.unlabelled`; nobody reads them where none does."""
        return any(isinstance(stage, LabelStage) and stage.rows == "unlabelled" for stage in self.stages.values())

    def final_stage(self) -> str:
        """The stage whose predictions are the recipe's answer: the last one, or what the last one submits."""
        name = list(self.stages)[-1]
        stage = self.stages[name]
        return stage.source if isinstance(stage, SubmitStage) else name

    def predicts_out_of_fold(self, name: str) -> bool:
        """Whether a stage predicts training rows too.

        Test-time training may adapt to new rows alone, and where nothing is held out there is nothing to predict.
        """
        stage = self.stages[name]
        if self.folds.full:
            return False
        if isinstance(stage, AdaptStage):
            return stage.out_of_fold
        passes_on = isinstance(stage, BlendStage | PostprocessStage | SubmitStage)
        return all(map(self.predicts_out_of_fold, stage.reads)) if passes_on else True

    def answers_with_ranks(self, name: str) -> bool:
        """Whether a stage's predictions are ranks."""
        stage = self.stages[name]
        if isinstance(stage, SubmitStage):
            return self.answers_with_ranks(stage.source)
        return isinstance(stage, BlendStage) and stage.method == "rank_mean"

    def ancestors(self, name: str) -> list[str]:
        """The stages that a stage needs to predict, itself last, in the order of the recipe.

        Models that are trained predict alone: a student needs its teacher's labels no more. Test-time training needs
        labels of the very rows.
        """
        needed = {name}
        for other in reversed(self.stages):
            stage = self.stages[other]
            if other in needed:
                needed.update(self._predicts_with(stage))
        return [other for other in self.stages if other in needed]

    def answerers(self, name: str) -> set[str]:
        """The stages whose models make a stage's predictions of the task's target, itself perhaps among them."""
        stages = [(other, self.stages[other]) for other in self.ancestors(name)]
        served = {stage.source for _, stage in stages if isinstance(stage, ServeStage)}
        return served | {other for other, _ in stages if self.task_of(other) is self.task}

    def _predicts_with(self, stage: Stage) -> tuple[str, ...]:
        """The stages whose predictions a stage needs to predict other rows, of those that it reads."""
        if isinstance(stage, AdaptStage):
            return (stage.labels, *self._predicts_with(self.stages[stage.source]))
        return stage.predicts_with if isinstance(stage, TrainStage | ServeStage) else stage.reads
