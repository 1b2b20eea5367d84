"""The settings that say where else a run's figures go."""

from typing import Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec


class Track(Spec):
    """A tracker that is told parameters, epochs and scores, besides the run folder."""

    to: Literal["tensorboard", "mlflow", "wandb"]
    project: str = "outfold"
    """MLflow's experiment, or the project of Weights & Biases."""
    uri: str | None = None
    """MLflow's tracking store; a SQLite file `mlflow.db` beside the run folder when not given."""
    name: str | None = Field(None, min_length=1)
    """The run's name there; that of the run folder when not given."""
    offline: bool = True
    """Weights & Biases: write to the run folder; `wandb sync` sends it later."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, values: object) -> object:
        return {"to": values} if isinstance(values, str) else values
