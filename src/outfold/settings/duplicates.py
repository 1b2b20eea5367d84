"""The part of a recipe that says how near-duplicates are found and what becomes of them."""

from typing import Annotated, Literal

from pydantic import Field

from outfold.settings.base import Spec
from outfold.settings.network import Weights

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Duplicates(Spec):
    """Photos that show the same picture: exact copies, and copies rescaled, recompressed, turned, cropped or relit."""

    action: Literal["group", "drop", "review"] = "group"
    """`group`: linked rows share a fold; `drop`: one training row of each group stays; `review`: also write a page."""
    backbone: str | None = None
    """timm model whose features find look-alikes; a small EfficientNet when not given."""
    weights: Weights | None = None
    """As in a train stage; those that an installed package ships, else the hub's, when not given."""
    size: int = Field(96, ge=32, le=512)
    """Side in pixels at which the backbone sees photos."""
    threshold: Share | Literal["auto"] = "auto"
    """Similarity from which two photos are one picture, 0 to 1; proposed from copies of the user's photos by `auto`."""
    cosine: Share | Literal["auto"] = "auto"
    """Cosine of features from which two photos are compared pixel by pixel; proposed in the same way."""
    test: bool = True
    """Look across the test table too."""
    prefer: str | None = None
    """`drop`: name of the source whose photo stays; the largest photo when not given."""
    decisions: str | None = None
    """A CSV of a person's decisions, relative to the data root: first, second, decision (same, different, unsure)."""
