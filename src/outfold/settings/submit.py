"""The settings of a submit stage: the file that a run answers with."""

from typing import Literal

from pydantic import Field

from outfold.settings.base import Spec


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
