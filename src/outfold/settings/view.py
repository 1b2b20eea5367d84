"""The settings of a view: how a sample becomes model input."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.base import Spec
from outfold.settings.network import BackboneOptions, Weights

Pixels = Annotated[int, Field(ge=1)]
Size = Pixels | tuple[Pixels, Pixels]


class ImageView(Spec):
    """How a photo becomes model input."""

    kind: Literal["image"] = "image"
    size: Size = 224
    """Side in pixels, or [height, width]."""
    resize: Literal["crop", "squash", "pad"] = "crop"
    """`crop`: shorter side to size / crop_pct, then the centre; `squash`: both sides; `pad`: a border."""
    crop_pct: float = Field(1.0, gt=0, le=1)
    """Share of the shorter side that the centre crop keeps (`resize: crop`)."""
    interpolation: Literal["area", "linear", "cubic", "lanczos"] = "area"
    cache_size: int | None = Field(None, ge=1)
    """Shorter side in pixels of the photos kept in the cache; what training needs when not given."""
    tiles: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 1)
    """Rows and columns of a grid that the photo is cut into after augmentation: [1, 2] is its left and its right half.
    All tiles go through one shared backbone and their features are concatenated."""
    mean: tuple[float, float, float] | None = None
    """Per channel, on a 0..1 scale; the backbone's own when not given."""
    std: tuple[float, float, float] | None = None

    @property
    def height_width(self) -> tuple[int, int]:
        """The size as (height, width) in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def tile_height_width(self) -> tuple[int, int]:
        """What the backbone sees at once, as (height, width) in pixels."""
        (height, width), (rows, columns) = self.height_width, self.tiles
        return height // rows, width // columns

    @model_validator(mode="after")
    def _whole_pixels_in_tiles(self) -> "ImageView":
        if "size" in self.model_fields_set:  # a member that sets tiles alone has the stage's size
            self.refuse_uneven(self.size)
        return self

    def refuse_uneven(self, size: Size) -> None:
        """Refuse a size that the grid of tiles does not divide.

        Raises:
            ValueError: says which.
        """
        (height, width), (rows, columns) = (size, size) if isinstance(size, int) else size, self.tiles
        if height % rows or width % columns:
            raise ValueError(f"size {height} x {width} cannot be cut into {rows} x {columns} tiles of whole pixels")


class EmbeddingView(Spec):
    """Vectors instead of photos: given in a file, or made once by a frozen backbone and cached. Only a head trains."""

    exclusive = (("vectors", "ids"), ("backbone", "weights", "backbone_options", "image", "batch_size"))

    kind: Literal["embedding"]
    vectors: tuple[str, ...] = ()
    """Files of vectors, relative to the data root: parquet with the id column and one column a number, or .npy (n, f),
    whose rows `ids` names. Together they hold every row of every table."""
    ids: tuple[str, ...] = ()
    """For .npy files, one each: CSV files with the id column, in the order of the vectors."""
    backbone: str | None = None
    """Instead of files: a timm model whose pooled features are the vectors."""
    weights: Weights = Weights()
    """The backbone's."""
    backbone_options: BackboneOptions = {}
    """The backbone's; further arguments of the timm model."""
    image: ImageView = ImageView()
    """How the backbone sees the photos."""
    batch_size: int = Field(16, ge=1)
    """Photos that the backbone sees at once."""
    standardize: bool = True
    """Bring every number to mean 0 and deviation 1 over the training rows of a fold."""
    noise: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Training adds Gaussian noise of this deviation to every number, after they are standardised, drawn anew each time
    a row is seen; predictions, and phases with `augment: false`, see the vectors as they are."""

    @property
    def height_width(self) -> tuple[int, int]:
        """No pixels: work is counted in them, and a head on vectors costs next to nothing."""
        return (0, 0)

    @model_validator(mode="before")
    @classmethod
    def _files_as_lists(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {k: [v] if k in ("vectors", "ids") and isinstance(v, str) else v for k, v in values.items()}

    @model_validator(mode="after")
    def _one_origin(self) -> "EmbeddingView":
        if bool(self.vectors) == (self.backbone is not None):
            raise ValueError("vectors come from one origin: give `vectors` (files) or a `backbone`")
        if self.vectors and (wrong := {*self.exclusive[1]} & self.model_fields_set - {"backbone"}):
            raise ValueError(f"`{sorted(wrong)[0]}` is for a `backbone`, and the vectors are given")
        if self.backbone is not None and self.weights.source == "none":
            raise ValueError("a frozen backbone of random weights makes other vectors each time; give it `weights`")
        arrays = [name for name in self.vectors if name.endswith(".npy")]
        if len(arrays) != len(self.ids):
            raise ValueError(
                f"`ids` names the rows of each .npy file: expected {len(arrays)} files, got {len(self.ids)}"
            )
        return self


def _kind(value: Any) -> str:
    """A view is of photos where it does not say what it is."""
    kind = value.get("kind", "image") if isinstance(value, dict) else getattr(value, "kind", "image")
    return str(kind)


View = Annotated[
    Annotated[ImageView, Tag("image")]
    | Annotated[EmbeddingView, Tag("embedding")]
    | Annotated[AudioView, Tag("audio")]
    | Annotated[WaveformView, Tag("waveform")],
    Discriminator(_kind),
]
