"""The parts of a recipe that say what the data is: tables, media and the roles of columns."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Label, Spec, Where
from outfold.settings.labels import Rating
from outfold.settings.nouns import PHOTO, RECORDING, ROW, Noun
from outfold.settings.recordings import Audio, Recordings

OnBad = Literal["stop", "drop"]
"""What is done about rows whose media cannot be used: an error that names them, or they are left out and counted."""


class Media(Spec):
    """Where a sample's file is, as a template over the table's columns."""

    path: str
    """Path relative to the data root; `{column}` is replaced by that column, e.g. `images/{image}.jpg`."""


class Source(Spec):
    """One table of training rows, when there are several."""

    exclusive = (("table",), ("recordings",))

    table: str
    """CSV or parquet file, relative to the data root; where it is made of `recordings`, their pattern."""
    recordings: Recordings | None = None
    """Instead of a file: one row for each window of these recordings."""
    name: str | None = None
    """Value of the `source` column for its rows; the table's file name, or its pattern, when not given."""
    where: Where = {}
    """Keep only rows whose column has this value or one of these values, e.g. `{split: train}`."""
    rename: dict[str, str] = {}
    """Columns to rename: this table's name -> the recipe's name."""
    map: dict[str, Label | dict[str, Label]] = {}
    """This table's labels in the recipe's words, e.g. `{MEL: melanoma}`, or values of another column, by the recipe's
    name of it: `{sex: {m: male, f: female}}`. Values that are not listed stay, and `where` still means the table's own
    values."""
    image: Media | None = None
    """Media of this source, when it differs from `data.image`."""
    audio: Audio | None = None
    """Recordings of this source, when they differ from `data.audio`."""

    @model_validator(mode="before")
    @classmethod
    def _named_by_its_recordings(cls, values: object) -> object:
        if not isinstance(values, dict) or values.get("recordings") is None:
            return values
        given = values["recordings"]
        given = {"path": given} if isinstance(given, str) else given
        if isinstance(given, dict) and values.get("table") in (None, given.get("path")):
            return {**values, "recordings": given, "table": given.get("path")}
        return values

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if self.recordings is None:
            return self
        if self.table != self.recordings.path:
            raise ValueError("rows come from a `table` or from `recordings`, not from both")
        if self.audio is not None or self.image is not None:
            raise ValueError("`recordings` say themselves where the sound is; leave out `audio` and `image`")
        return self

    def own_audio(self, id_column: str) -> Audio | None:
        """Where the sound of its rows is, where that differs from `data.audio`.

        Args:
            id_column: the recipe's `data.id`.
        """
        return self.audio if self.recordings is None else self.recordings.audio(id_column)


class Prepare(Spec):
    """Photos brought once to stored sizes and kept as JPEG files, which members of any training size share."""

    crop: Literal["square", "none"] = "square"
    """`square`: the largest square in the middle of the photo; `none`: its own shape."""
    sizes: tuple[Annotated[int, Field(ge=16)], ...] = Field((512, 768, 1024), min_length=1)
    """Shorter sides in pixels that are stored; a member reads the smallest that is not smaller than it needs, else the
    largest. Photos smaller than a stored size are never enlarged."""
    quality: int = Field(95, ge=1, le=100)
    """Of the JPEG files."""


class Long(Spec):
    """Tables with one row a sample and target, as some competitions give them; all of a recipe's tables are so."""

    row: str
    """Column that identifies a row of the table; a submission keeps it, in the test table's order."""
    name: str
    """Column that says which target a row is about."""
    value: str
    """Column of the target's value; a submission fills it."""
    separator: str | None = Field(None, min_length=1)
    """Where the tables have no id column: a row is called by its sample's id, this text and the target's name."""

    @property
    def columns(self) -> tuple[str, str, str]:
        """Its columns, which say something of a row rather than of a sample."""
        return self.row, self.name, self.value


class Data(Spec):
    """The user's tables and the roles of their columns."""

    train: tuple[Source, ...]
    """Training rows: a file name, one source, or a list of sources."""
    test: Source | None = None
    """Rows to predict at the end of a run."""
    unlabelled: tuple[Source, ...] = ()
    """Rows without labels, for stages that label them: a file name, one source, or a list of sources."""
    id: str
    """Column that identifies a sample; unique."""
    image: Media | None = None
    """The sample's photo."""
    audio: Audio | None = None
    """The sample's recording, or the seconds of one."""
    long: Long | None = None
    """The tables have one row a sample and target; their other columns are the same in all rows of a sample."""
    crops: str | None = None
    """CSV of the part of a photo to use: id, left, top, right, bottom in the photo's pixels, right and bottom not
    included; as `outfold review crops` writes it. Photos that it does not name stay whole. A photo is cut right after
    it is decoded, before anything else; near-duplicates are looked for among whole photos."""
    prepare: Prepare | None = None
    """Bring photos to stored sizes once; without, each way of viewing photos keeps its own pixels in the cache."""
    weight: str | None = None
    """Column of non-negative sample weights."""
    rating: Rating | None = None
    """Sample weights from ratings of quality; they multiply those of `weight`."""
    equal_media: Literal["keep", "join"] = "keep"
    """Training rows with identical media, byte for byte (of recordings: and the same seconds): keep all, or with
    `task.label_sets` make one row of them, the first, with the labels of all."""
    on_bad_media: OnBad = "stop"
    """Rows whose file is missing or unreadable: stop with their list, or go on without them and count them."""

    @model_validator(mode="before")
    @classmethod
    def _tables_from_names(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for name in ("train", "unlabelled"):
            sources = values.get(name)
            if isinstance(sources, str | dict):
                sources = [sources]
            if isinstance(sources, list | tuple):
                values[name] = [{"table": source} if isinstance(source, str) else source for source in sources]
        if isinstance(values.get("test"), str):
            values["test"] = {"table": values["test"]}
        return values

    @model_validator(mode="after")
    def _long_tables_have_columns_for_each_role(self) -> "Data":
        if self.long is None:
            return self
        if len(set(self.long.columns)) < 3:
            raise ValueError(f"data.long needs three different columns, got {list(self.long.columns)}")
        taken = [name for name in (self.id, self.weight) if name in self.long.columns]
        if taken:
            raise ValueError(f"column {taken[0]!r} of data.long is about a row; a sample needs a column of its own")
        return self

    @property
    def sources(self) -> tuple[Source, ...]:
        """All tables."""
        return (*self.train, *([self.test] if self.test else []), *self.unlabelled)

    @property
    def has_audio(self) -> bool:
        """Whether samples are recordings."""
        return self.audio is not None or any(source.own_audio(self.id) for source in self.sources)

    @property
    def has_photos(self) -> bool:
        """Whether samples are photos."""
        return self.image is not None or any(source.image for source in self.sources)

    @property
    def noun(self) -> Noun:
        """What texts call a sample and its file."""
        return RECORDING if self.has_audio else PHOTO if self.has_photos else ROW

    @model_validator(mode="after")
    def _media_are_of_one_kind(self) -> "Data":
        if self.has_audio and self.has_photos:
            raise ValueError("samples are photos (`image`) or recordings (`audio`), not both")
        if self.crops is not None and not self.has_photos:
            raise ValueError("`crops` has no effect without photos; set `image` too")
        if self.prepare is not None and self.has_audio:
            raise ValueError("`prepare` stores photos, and these samples are recordings")
        if self.long is not None and any(source.recordings for source in self.sources):
            raise ValueError("tables made of `recordings` have one row a sample, and `long` tables have several")
        return self
