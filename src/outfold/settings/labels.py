"""The settings of weak labels: further labels that a sample may have, and how good a sample is."""

from pydantic import Field, model_validator

from outfold.settings.base import Spec


class Secondary(Spec):
    """Labels that are also heard or seen in a sample, of which it is not sure where or how well."""

    column: str
    """Of the training table: in each cell a label, a list of labels as text, or nothing."""
    value: float = Field(0.0, ge=0, le=1)
    """Without `mask`: the target of a class that is only a secondary label. No metric counts it: the truth is in the
    task's own target alone."""
    mask: bool = True
    """The loss passes over the cells of classes that are only secondary labels."""

    @model_validator(mode="after")
    def _either_hidden_or_learned(self) -> "Secondary":
        if self.mask and self.value:
            raise ValueError("`value` is the target of cells that `mask` hides from the loss; set `mask: false`")
        if not self.mask and not self.value:
            raise ValueError("`mask: false` without a `value` means what no `secondary` at all means; leave it out")
        return self


class Rating(Spec):
    """Sample weights from ratings: `lowest_weight` + (1 - `lowest_weight`) x rating / `best`."""

    column: str
    """Of the training table: numbers above 0 up to `best`; 0 and empty cells are rows that nobody rated."""
    best: float = Field(5.0, gt=0, allow_inf_nan=False)
    """The best rating, whose weight is 1."""
    lowest_weight: float = Field(0.0, ge=0, le=1)
    """What the line comes down to at a rating of 0."""
    unrated_weight: float = Field(1.0, ge=0, le=1)
    """Weight of rows without a rating."""
    drop_below: float = Field(0.0, ge=0)
    """Rows rated lower weigh nothing: they are predicted and judged, but not learned from."""

    @model_validator(mode="after")
    def _weights_differ(self) -> "Rating":
        if self.drop_below > self.best:
            raise ValueError(f"`drop_below` {self.drop_below} is above the best rating, {self.best}")
        if self.lowest_weight == 1 and self.unrated_weight == 1 and not self.drop_below:
            raise ValueError("every row weighs 1, whatever its rating; leave `rating` out")
        return self
