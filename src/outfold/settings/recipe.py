"""The recipe: one YAML file that declares data, task, folds and stages."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from outfold.settings.adapt import AdaptStage
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.base import Name, Spec
from outfold.settings.blend import BlendStage
from outfold.settings.chains import predicted_columns, refuse_broken_chains
from outfold.settings.data import Data
from outfold.settings.duplicates import Duplicates
from outfold.settings.folds import Folds
from outfold.settings.label import LabelStage
from outfold.settings.network import Outputs
from outfold.settings.postprocess import PostprocessStage
from outfold.settings.recordings import refuse_uneven_answers
from outfold.settings.rounds import NoisyStudent, with_rounds
from outfold.settings.serve import ServeStage
from outfold.settings.task import Task
from outfold.settings.track import Track
from outfold.settings.train import TrainSettings, TrainStage, refuse_sizes
from outfold.settings.view import ImageView
from outfold.settings.whole import refuse_what_needs_folds


class SubmitStage(Spec):
    """Writes the final answer for the test table in the user's own labels."""

    kind: Literal["submit"]
    source: str = Field(alias="from")
    """Name of the stage whose predictions are submitted."""
    file: str = Field("submission.csv", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\.csv$")
    """Name of the CSV file in the run folder."""
    format: Literal["auto", "label", "probability"] = "auto"
    """`auto`: labels where the metric judges labels, probabilities where it judges probabilities."""
    columns: dict[str, str] = {}
    """Columns to rename: outfold's name -> the submission's name."""
    every_s: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Of rows that are windows of recordings, only those that begin at a multiple of so many seconds: an answer every
    5 s of windows that were predicted every second. A multiple of their hop. All when not given."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source,)


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
    def _stages_refer_backwards(self) -> "Recipe":
        seen: list[str] = []
        for name, stage in self.stages.items():
            for source in stage.reads:
                if source not in seen:
                    raise ValueError(f"stage {name!r} reads from {source!r}, but the stages before it are {seen}")
            seen.append(name)
        files = [stage.file for stage in self.stages.values() if isinstance(stage, SubmitStage)]
        if len(set(files)) < len(files) or "folds.csv" in files:
            raise ValueError(f"submissions need files of their own (not folds.csv), got {files}")
        return self

    @model_validator(mode="after")
    def _stages_build_on_fitting_ones(self) -> "Recipe":
        refuse_broken_chains(self.stages, self.task, self.folds)
        if self.folds.full:
            refuse_what_needs_folds(self.stages, self.members())
        for name, stage in self.stages.items():
            if isinstance(stage, AdaptStage) and self.answers_with_ranks(stage.labels):
                raise ValueError(f"stage {name!r}: {stage.labels!r} gives ranks, and no rank is a label")
            learned_from = stage.reads if isinstance(stage, BlendStage) else ()
            if isinstance(stage, AdaptStage) and stage.out_of_fold:
                learned_from = (stage.labels,)
            for source in learned_from if not self.folds.full else ():
                if not self.predicts_out_of_fold(source):
                    raise ValueError(f"stage {name!r}: {source!r} predicts nothing out of fold")
            if isinstance(stage, AdaptStage) and not stage.out_of_fold and self.data.test is None:
                raise ValueError(f"stage {name!r} has nothing to do: `out_of_fold` is false and there is no data.test")
        final = self.final_stage()
        if self.task_of(final) is not self.task:
            raise ValueError(f"the recipe ends with {final!r}, an auxiliary stage, which does not answer the task")
        return self

    @model_validator(mode="after")
    def _settings_fit_the_task(self) -> "Recipe":
        for name, member, settings in self.members():
            place = f"stage {name!r}, member {member!r}"
            if self.task_of(name).kind == "regression":
                self._refuse_what_needs_classes(place, settings)
            if settings.add_clips is not None and self.task_of(name).kind not in ("binary", "multilabel"):
                raise ValueError(f"{place}: `add_clips` joins labels, and a clip of this task has one; use `mix`")
        return self

    def _refuse_what_needs_classes(self, place: str, settings: TrainSettings) -> None:
        """Refuse what a regression cannot have: rows balanced by class, and mixed ones that have weights."""
        if settings.balance != "none":
            raise ValueError(f"{place}: a regression has no classes to balance; remove `balance`")
        if settings.class_cap or settings.class_floor:
            raise ValueError(f"{place}: a regression has no classes; remove `class_cap` and `class_floor`")
        weighing = [name for name in ("weight", "rating") if getattr(self.data, name) is not None]
        if weighing and settings.mix is not None:
            raise ValueError(f"{place}: mixed values have no weight of their own; use `mix` or `data.{weighing[0]}`")

    @model_validator(mode="after")
    def _stages_read_what_is_there(self) -> "Recipe":
        for name, stage in self.stages.items():
            if isinstance(stage, SubmitStage) and stage.every_s is not None and not self.data.has_audio:
                raise ValueError(f"stage {name!r}: `every_s` chooses windows of recordings; set data.audio")
            if isinstance(stage, SubmitStage) and stage.every_s is not None and self.data.test is not None:
                refuse_uneven_answers(stage.every_s, self.data.test.recordings)
            if isinstance(stage, SubmitStage) and stage.format == "label" and self.answers_with_ranks(name):
                raise ValueError(f"stage {name!r}: {stage.source!r} gives ranks, and no rank says a label")
            if isinstance(stage, LabelStage) and not isinstance(self.stages[stage.source], TrainStage):
                raise ValueError(f"stage {name!r}: the teacher must be a train stage, {stage.source!r} is none")
            if isinstance(stage, TrainStage) and stage.labels and not isinstance(self.stages[stage.labels], LabelStage):
                raise ValueError(f"stage {name!r}: `labels` names a label stage, {stage.labels!r} is none")
            for source in stage.sources if isinstance(stage, BlendStage) else ():
                place, _, member = source.partition("/")
                upstream = self.stages[place]
                if isinstance(upstream, LabelStage | SubmitStage):
                    raise ValueError(f"stage {name!r}: {place!r} makes no predictions to blend")
                if self.answers_with_ranks(place) and not self.answers_with_ranks(name):
                    raise ValueError(f"stage {name!r}: {place!r} gives ranks, which only `method: rank_mean` can blend")
                known = self.members_of(place)
                if member and member not in known:
                    raise ValueError(f"stage {name!r}: {place!r} has no member {member!r}, only {list(known)}")
        return self

    @model_validator(mode="after")
    def _long_tables_have_a_value_for_each_target(self) -> "Recipe":
        if self.data.long is not None and self.task.kind == "multiclass":
            raise ValueError("data.long has a value for each target, and a multiclass task has one label a sample")
        return self

    @model_validator(mode="after")
    def _steps_after_prediction_fit_the_task(self) -> "Recipe":
        for name, stage in self.stages.items():
            if isinstance(stage, PostprocessStage):
                self._refuse_wrong_steps(name, stage)
        return self

    def _refuse_wrong_steps(self, name: str, stage: PostprocessStage) -> None:
        place, _, member = stage.source.partition("/")
        upstream = self.stages[place]
        known = self.members_of(place)
        if isinstance(upstream, LabelStage | SubmitStage):
            raise ValueError(f"stage {name!r}: {place!r} makes no predictions to change")
        if member and member not in known:
            raise ValueError(f"stage {name!r}: {place!r} has no member {member!r}, only {list(known)}")
        if stage.fitted and not self.predicts_out_of_fold(place):
            raise ValueError(f"stage {name!r}: {place!r} predicts nothing out of fold to learn from; give numbers")
        if stage.in_time and self.answers_with_ranks(place):
            raise ValueError(f"stage {name!r}: {place!r} gives ranks, and steps in time change probabilities")
        try:
            stage.refuse_wrong_steps(self.task, recordings=self.data.has_audio)
        except ValueError as error:
            raise ValueError(f"stage {name!r}: {error}") from error

    @model_validator(mode="after")
    def _members_have_their_folds_and_classes(self) -> "Recipe":
        for name, member, settings in self.members():
            place = f"stage {name!r}, member {member!r}"
            if settings.folds is not None and settings.folds not in self.folds.variants:
                known = list(self.folds.variants)
                raise ValueError(f"{place}: folds.variants has no {settings.folds!r}, only {known}")
            if settings.merge_classes:
                self._refuse_wrong_merges(place, settings.merge_classes)
        return self

    def _refuse_wrong_merges(self, place: str, merges: dict[str, str]) -> None:
        if self.task.score_class is None:
            raise ValueError(f"{place}: merge_classes needs task.score_class, which members with other classes share")
        classes = list(map(str, self.task.classes or ()))
        for label, into in merges.items():
            unknown = [name for name in (label, into) if name not in classes]
            if unknown:
                raise ValueError(f"{place}: merge_classes names {unknown[0]!r}, which is not among task.classes")
            if into in merges or label == into:
                raise ValueError(f"{place}: merge_classes maps {label!r} to {into!r}, which is itself merged")
            if str(self.task.score_class) in (label, into):
                raise ValueError(f"{place}: merge_classes must leave the scored class {self.task.score_class!r} alone")

    @model_validator(mode="after")
    def _outputs_fit_the_targets(self) -> "Recipe":
        for name, member, settings in self.members():
            place, task = f"stage {name!r}, member {member!r}", self.task_of(name)
            if settings.outputs != Outputs() and task.kind != "regression":
                raise ValueError(f"{place}: `outputs` are of a regression, this is a {task.kind} task")
            if settings.head.name == "sed" and task.kind == "regression":
                raise ValueError(f"{place}: `head.name: sed` gives probabilities, this is a regression")
            if settings.outputs.identities != "report" and not task.identities:
                raise ValueError(f"{place}: outputs.identities needs task.identities of the targets it learns")
            if settings.loss is not None and settings.loss.target_weights and not task.target_weights:
                raise ValueError(f"{place}: loss.target_weights needs task.target_weights of the targets it learns")
        return self

    @model_validator(mode="after")
    def _adapted_members_cut_whole_tiles(self) -> "Recipe":
        for name, stage in self.stages.items():
            for settings in self.members_of(name).values() if isinstance(stage, AdaptStage) else ():
                if isinstance(settings.view, ImageView):
                    refuse_sizes(settings.predict, settings.phases, settings.view)
        return self

    @model_validator(mode="after")
    def _weights_of_folds_have_an_effect(self) -> "Recipe":
        for name, member, settings in self.members():
            given, folds = settings.predict.fold_weights, self.folds.variant(settings.folds).held_out
            if given and folds is not None and len(given) != folds:
                place = f"stage {name!r}, member {member!r}"
                raise ValueError(f"{place}: {folds} folds are held out, but predict.fold_weights has {len(given)}")
            for label in self.stages.values() if given else ():
                if isinstance(label, LabelStage) and label.source == name and label.teachers == "all":
                    raise ValueError(f"stage {name!r}: with `teachers: all` every fold counts alike; no fold_weights")
        return self

    @model_validator(mode="after")
    def _duplicates_have_photos_and_an_effect(self) -> "Recipe":
        if self.duplicates is None:
            return self
        if self.data.image is None and all(source.image is None for source in self.data.train):
            raise ValueError("`duplicates` compares photos, but the recipe does not say where they are: set data.image")
        if self.folds.duplicates == "ignore" and self.duplicates.action != "drop":
            raise ValueError("`folds.duplicates: ignore` leaves nothing for `duplicates` to do; remove one of the two")
        return self

    @model_validator(mode="after")
    def _equal_media_have_labels_to_join(self) -> "Recipe":
        if self.data.equal_media == "keep":
            return self
        if not self.task.label_sets or not (self.data.has_audio or self.data.has_photos):
            raise ValueError("`data.equal_media: join` joins the labels of rows with media; it needs task.label_sets")
        if any(isinstance(stage, AdaptStage) for stage in self.stages.values()):
            raise ValueError("`data.equal_media: join` does not go with stages of test-time training (`kind: adapt`)")
        return self

    @model_validator(mode="after")
    def _who_hears_has_recordings(self) -> "Recipe":
        for name, member, settings in self.members():
            if isinstance(settings.view, AudioView | WaveformView) and not self.data.has_audio:
                raise ValueError(
                    f"stage {name!r}, member {member!r} hears recordings, but the recipe does not say where they are: "
                    "set data.audio"
                )
        return self

    @model_validator(mode="after")
    def _crops_have_an_effect(self) -> "Recipe":
        views = [settings.view for _, _, settings in self.members()]
        if self.data.crops is not None and not any(
            view.kind == "image" or (view.kind == "embedding" and view.backbone) for view in views
        ):
            raise ValueError("`data.crops` has no effect: no member looks at photos")
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
