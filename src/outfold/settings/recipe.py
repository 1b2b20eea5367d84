"""The recipe: one YAML file that declares data, task, folds and stages."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec
from outfold.settings.data import Data, Folds, Task
from outfold.settings.duplicates import Duplicates
from outfold.settings.train import Name, TrainSettings, TrainStage


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


Stage = Annotated[TrainStage | SubmitStage, Field(discriminator="kind")]


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
    profiles: dict[str, dict[str, Any]] = {}
    """Named sets of overrides, e.g. `small: {stages.fit.view.size: 160}`; chosen by `--profile`."""

    @model_validator(mode="after")
    def _stages_refer_backwards(self) -> "Recipe":
        seen: list[str] = []
        for name, stage in self.stages.items():
            source = getattr(stage, "source", None)
            if source is not None and source not in seen:
                raise ValueError(f"stage {name!r} reads from {source!r}, but the stages before it are {seen}")
            seen.append(name)
        files = [stage.file for stage in self.stages.values() if isinstance(stage, SubmitStage)]
        if len(set(files)) < len(files) or "folds.csv" in files:
            raise ValueError(f"submissions need files of their own (not folds.csv), got {files}")
        return self

    @model_validator(mode="after")
    def _settings_fit_the_task(self) -> "Recipe":
        for name, member, settings in self.members():
            place = f"stage {name!r}, member {member!r}"
            if self.task.kind == "regression" and settings.balance != "none":
                raise ValueError(f"{place}: a regression has no classes to balance; remove `balance`")
            if self.data.weight is not None and settings.mix is not None:
                raise ValueError(f"{place}: mixed samples have no weight of their own; use `mix` or `data.weight`")
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

    def members(self) -> Iterator[tuple[str, str, TrainSettings]]:
        """Every member of every train stage: the stage's name, the member's name, its effective settings."""
        for name, stage in self.stages.items():
            if isinstance(stage, TrainStage):
                for member in stage.members:
                    yield name, member, stage.member_settings(member)

    def final_stage(self) -> str:
        """The stage whose predictions are the recipe's answer: the last one, or what the last one submits."""
        name = list(self.stages)[-1]
        stage = self.stages[name]
        return stage.source if isinstance(stage, SubmitStage) else name
