"""The settings of prediction: test-time views and averages."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec

Orientation = Literal["identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "transverse"]

SWAPPING: tuple[Orientation, ...] = ("rot90", "rot270", "transpose", "transverse")
"""Those that swap height and width."""


class Predict(Spec):
    """How a trained model predicts: the same for out-of-fold, test and later rows."""

    tta: tuple[Orientation, ...] = ("identity",)
    average: Literal["logit", "probability"] = "logit"
    """The space in which views and folds are averaged."""
    fold_weights: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] = ()
    """How much the model of each held-out fold counts for rows outside the folds, in the order of the folds; models of
    several seeds share their fold's weight. All alike when not given."""
    batch_size: int | None = Field(None, ge=1)
    """Twice the training batch when not given."""

    @model_validator(mode="before")
    @classmethod
    def _named_sets(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("tta"), str):
            values = {**values, "tta": TTA_SETS.get(values["tta"], [values["tta"]])}
        return values

    @model_validator(mode="after")
    def _some_fold_counts(self) -> "Predict":
        if self.fold_weights and not any(self.fold_weights):
            raise ValueError("all fold_weights are 0")
        return self


TTA_SETS = {
    "none": ["identity"],
    "flips": ["identity", "hflip", "vflip", "rot180"],
    "orientations": ["identity", "hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "transverse"],
}
"""Names a recipe may give instead of a list of views; `orientations` is the dihedral group of the square."""
