"""The settings of a serve stage: a stage that learned on given inputs, as it predicts where they are missing."""

from typing import Literal

from pydantic import Field

from outfold.settings.base import Name, Spec


class ServeStage(Spec):
    """Predicts with a train stage's models, another stage's predictions standing for table inputs that are missing.

    Its out-of-fold score is what the system is worth: each row's inputs are predicted out of fold, as at inference.
    """

    kind: Literal["serve"]
    source: Name = Field(alias="from")
    """The train stage whose models predict; its table inputs are `training_only`."""
    inputs: Name
    """The auxiliary train stage whose targets are those inputs."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source, self.inputs)

    @property
    def predicts_with(self) -> tuple[str, ...]:
        """Of these, the stages whose predictions it needs to predict other rows; the models are used as they are."""
        return (self.inputs,)
