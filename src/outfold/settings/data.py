"""The parts of a recipe that say what the data is: tables, roles of columns, the task and the folds."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from outfold.settings.base import Name, Spec
from outfold.settings.labels import Rating, Secondary
from outfold.settings.recordings import Audio, Recordings
from outfold.settings.sums import in_order

TaskKind = Literal["multiclass", "binary", "multilabel", "regression"]
Label = str | int | float | bool
Where = dict[str, Label | list[Label]]
"""Conditions on rows: a column has this value, or one of these; all must hold."""
Names = Annotated[tuple[str, ...], Field(description="One column name or a list of them.")]


class Media(Spec):
    """Where a sample's file is, as a template over the table's columns."""

    path: str
    """Path relative to the data root; `{column}` is replaced by that column, e.g. `images/{image}.jpg`."""


class Source(Spec):
    """One table of training rows, when there are several."""

    table: str
    """CSV or parquet file, relative to the data root; where it is made of `recordings`, their pattern."""
    recordings: Recordings | None = None
    """Instead of a file: one row for each window of these recordings."""
    name: str | None = None
    """Value of the `source` column for its rows; the table's file name when not given."""
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

    @property
    def own_audio(self) -> Audio | None:
        """Where the sound of its rows is, where that differs from `data.audio`."""
        return self.audio if self.recordings is None else self.recordings.audio


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
    on_bad_media: Literal["stop", "drop"] = "stop"
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
        return self.audio is not None or any(source.own_audio for source in self.sources)

    @property
    def has_photos(self) -> bool:
        """Whether samples are photos."""
        return self.image is not None or any(source.image for source in self.sources)

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


class Score(Spec):
    """One more score to report: a metric over some of the rows, or over ranks."""

    metric: str | None = None
    """The task's own when not given."""
    where: Where = {}
    """Only these training rows, e.g. `{source: "2020"}`; `source == '2020'` is read as the same."""
    fold_ranks: bool = False
    """Replace predictions by their ranks within each fold, 0 to 1, before folds are pooled: a score that does not
    depend on how the folds' models are calibrated against each other."""

    @field_validator("where", mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = EQUATION.fullmatch(value)
        if found is None:
            raise ValueError(f"expected `column == value`, got {value!r}")
        column, quoted, bare = found["column"], found["quoted"], found["bare"]
        return {column: quoted if quoted is not None else bare}


EQUATION = re.compile(
    r"""\s*(?P<column>\w+)\s*==\s*(?:(?P<quote>['"])(?P<quoted>.*)(?P=quote)|(?P<bare>[^'"\s]+))\s*"""
)
"""`column == value`, the value with or without quotes."""


class Task(Spec):
    """What is predicted and how it is judged."""

    kind: TaskKind
    target: Names
    """Target column; for multilabel (without `label_sets`) and several regression targets a list of columns."""
    metric: str
    """The metric the run is judged by; see `outfold.metrics.METRICS`."""
    metrics: tuple[str, ...] = ()
    """Further metrics to report beside it."""
    scores: dict[str, Score] = {}
    """Further scores by name, each over some of the rows or over ranks within folds."""
    score_class: Label | None = None
    """Multiclass, with `classes`: judge and answer with this class's probability alone. Members learn all classes; the
    metric is one of a binary task."""
    target_weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = {}
    """Regression: how much each target counts in `weighted_r2`, by column name; all alike when not given."""
    identities: dict[str, tuple[str, ...]] = {}
    """Regression: targets that are the sum of others, e.g. `{total: [leaves, stems]}`; see the members' `outputs`."""
    classes: tuple[Label, ...] | None = None
    """Classes and label sets: the allowed labels in output order; those found in the target column of the training
    table, sorted, when not given."""
    positive: Label | None = None
    """Binary only: the label that counts as 1; the larger of the two when not given."""
    label_sets: bool = False
    """Multilabel: the one target column holds all labels of a row: a label, or a list of them as text, such as
    `['a', 'b']` or `[]`."""
    secondary: Secondary | None = None
    """Label sets: a column of further labels, and what is learned of them."""

    @model_validator(mode="before")
    @classmethod
    def _target_as_list(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("target"), str):
            values = {**values, "target": [values["target"]]}
        return values

    @model_validator(mode="after")
    def _one_target_for_classes(self) -> "Task":
        if self.kind in ("multiclass", "binary") and len(self.target) != 1:
            raise ValueError(f"a {self.kind} task has exactly one target column, got {list(self.target)}")
        return self

    @model_validator(mode="after")
    def _label_sets_in_one_column(self) -> "Task":
        if self.label_sets and (self.kind != "multilabel" or len(self.target) != 1):
            raise ValueError(
                "label_sets are of a multilabel task with one target column, "
                f"got a {self.kind} task of {list(self.target)}"
            )
        if self.classes is not None and self.kind in ("multilabel", "regression") and not self.label_sets:
            raise ValueError(f"classes has no effect on a {self.kind} task, whose outputs are its target columns")
        if self.secondary is not None and not self.label_sets:
            raise ValueError("secondary labels are beside those of label_sets; set `label_sets: true`")
        if self.secondary is not None and self.secondary.column in self.target:
            raise ValueError(f"secondary.column is the target column itself, {self.secondary.column!r}")
        return self

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of a table that hold labels."""
        return self.target if self.secondary is None else (*self.target, self.secondary.column)

    @model_validator(mode="after")
    def _a_weight_for_each_target(self) -> "Task":
        if self.target_weights and self.kind != "regression":
            raise ValueError(f"target_weights are for regression tasks, this is a {self.kind} task")
        if self.target_weights and set(self.target_weights) != set(self.target):
            raise ValueError(
                f"target_weights must name each target once: expected {list(self.target)}, "
                f"got {list(self.target_weights)}"
            )
        return self

    @property
    def weights(self) -> tuple[float, ...] | None:
        """`target_weights` in the order of the targets; None where all count alike."""
        return tuple(self.target_weights[name] for name in self.target) if self.target_weights else None

    @model_validator(mode="after")
    def _sums_of_targets(self) -> "Task":
        if self.identities and self.kind != "regression":
            raise ValueError(f"identities are for regression tasks, this is a {self.kind} task")
        in_order(self.identities, self.target, "identities")
        return self

    @property
    def answer(self) -> "Task":
        """The task that predictions are judged by: this one, or the binary task of `score_class` against the rest."""
        if self.score_class is None:
            return self
        changed = {"kind": "binary", "positive": self.score_class, "score_class": None, "classes": None}
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _a_class_to_score(self) -> "Task":
        if self.score_class is not None and self.kind != "multiclass":
            raise ValueError(f"score_class picks one of several classes, this is a {self.kind} task")
        if self.score_class is not None and self.score_class not in (self.classes or ()):
            raise ValueError(f"score_class must be one of `classes`, got {self.score_class!r} and {self.classes}")
        taken = {self.metric, *self.metrics} & set(self.scores)
        if taken:
            raise ValueError(f"scores need names of their own, but {sorted(taken)} are metrics of the task")
        return self


class Cut(Spec):
    """One rule that cuts groups which are too large for even folds into virtual groups."""

    where: dict[str, str | int | float | bool] = Field(min_length=1)
    """The rows whose groups are cut: a column and its value, e.g. `{State: WA}`."""
    parts: int = Field(ge=2)
    """How many virtual groups these rows become, of about equal size."""
    by: str
    """Column whose order decides which rows stay together, e.g. a date or a file name."""


class Folds(Spec):
    """How training rows are split; a sample's fold is where its out-of-fold prediction is made."""

    full: bool = False
    """Hold nothing out, or `folds: full` for short: every model trains on all rows, and there are no out-of-fold
    predictions and no scores. The same recipe with folds says what to expect."""
    k: int = Field(5, ge=2)
    seed: int = Field(0, ge=0, lt=2**32)
    group: Names = ()
    """Columns whose equal values must share a fold (patient, site, recording ..)."""
    unknown_group: tuple[Label | None, ...] = ()
    """Values of group columns that mean that the group is not known, e.g. `[-1]`, with `null` for empty cells: such a
    row is a group of its own."""
    stratify: Names = ()
    """Columns whose distribution should be the same in all folds; numeric targets are binned by quantile, and a list of
    labels counts as its first one. The audit judges the user's own folds by them."""
    group_size: bool = False
    """Spread large and small groups evenly too: the number of a group's rows is one more thing to stratify by."""
    cut: tuple[Cut, ...] = ()
    """Rules that cut groups which are too large for even folds; the audit then says which groups are torn."""
    search: int | None = Field(None, ge=1)
    """Look among this many seeds, from `seed` on, for the most even folds; needs groups. See `outfold.folds.search`."""
    method: Literal["greedy", "balanced"] = "balanced"
    """How a search deals groups out: scikit-learn's greedy rule, or local search from many starts."""
    weights: dict[str, float] = {}
    """Weights of the columns in a search's objective; `rows` (fold sizes) and `group_size` can be weighted too."""
    time: str | None = None
    """Column of dates or numbers: rows are cut into k + 1 blocks by time, and each block is predicted by models that
    trained on earlier ones only. The first block is never predicted."""
    leave_one_group_out: bool = False
    """Every group is a fold of its own."""
    repeats: int = Field(1, ge=1)
    """Deal the rows out so many times, with seeds that follow each other; predictions of a row are averaged."""
    column: str | None = None
    """A column of the training table that already holds the folds."""
    file: str | None = None
    """A CSV of id and fold, relative to the data root, e.g. an edited folds.csv of an earlier run."""
    variants: dict[Name, dict[str, Any]] = {}
    """Further assignments that members may name in their `folds`: what differs from these settings, e.g.
    `{new: {seed: 1}}`."""
    only: tuple[int, ...] | None = Field(None, min_length=1)
    """Train and score only these folds, e.g. [0] for a quick look or a single hold-out; all when not given."""
    duplicates: Literal["group", "ignore"] = "group"
    """Rows with byte-identical files share a fold (`group`), or are treated as unrelated; so are rows with nearly equal
    files, where the recipe's `duplicates` looks for them."""

    @model_validator(mode="before")
    @classmethod
    def _columns_as_lists(cls, values: object) -> object:
        if values == "full":
            return {"full": True}
        if isinstance(values, dict):
            values = {k: [v] if k in ("group", "stratify") and isinstance(v, str) else v for k, v in values.items()}
            if isinstance(values.get("cut"), dict):
                values["cut"] = [values["cut"]]
        return values

    @model_validator(mode="after")
    def _one_origin(self) -> "Folds":
        if self.only is not None and len(set(self.only)) < len(self.only):
            raise ValueError(f"folds.only names a fold twice: {list(self.only)}")
        ways = ("column", "file", "time", "leave_one_group_out", "search")
        chosen = [name for name in ways if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(f"folds come from one origin: give one of {', '.join(chosen)}")
        if self.stratify and (self.time or self.leave_one_group_out):
            raise ValueError(f"folds.stratify has no effect on folds.{chosen[0]}; remove one of the two")
        if self.repeats > 1 and chosen not in ([], ["search"]):
            raise ValueError(f"folds.repeats deals rows out at random and does not go with folds.{chosen[0]}")
        return self

    @model_validator(mode="after")
    def _full_leaves_nothing_to_deal_out(self) -> "Folds":
        idle = sorted(self.model_fields_set - {"full", "group", "unknown_group"})
        if self.full and idle:
            raise ValueError(f"folds.full holds nothing out, so folds.{idle[0]} has no effect; remove one of the two")
        return self

    @model_validator(mode="after")
    def _variants_can_be_made(self) -> "Folds":
        if self.variants and self.only is not None:
            raise ValueError("folds.only holds out other rows in each of folds.variants; use one of the two")
        for name in self.variants:
            other = self.variant(name)
            for way in ("column", "file", "time", "leave_one_group_out"):
                if getattr(other, way) and getattr(other, way) == getattr(self, way):
                    why = f"folds.{way} leaves nothing to chance"
                    raise ValueError(f"folds.variants.{name} cannot differ from the recipe's folds: {why}")
        return self

    @property
    def held_out(self) -> int | None:
        """How many folds are held out in turn; None where only the table shows it."""
        if self.full:
            return 0
        if self.only is not None:
            return len(self.only)
        return None if self.column or self.file or self.leave_one_group_out else self.k * self.repeats

    def variant(self, name: str | None) -> "Folds":
        """The settings of one of the variants; these settings themselves when not named."""
        if name is None:
            return self
        fixed = {"variants", "k", "group", "unknown_group", "only", "duplicates", "cut"} & set(self.variants[name])
        if fixed:
            raise ValueError(f"folds.variants.{name} cannot change {sorted(fixed)[0]!r}: all variants share it")
        own = self.model_dump(exclude={"variants"}, exclude_unset=True)
        return Folds.model_validate({**own, **self.variants[name]})

    @model_validator(mode="after")
    def _groups_where_they_are_needed(self) -> "Folds":
        needed = [name for name in ("search", "leave_one_group_out", "cut", "group_size") if getattr(self, name)]
        if needed and not self.group:
            raise ValueError(f"folds.{needed[0]} is about groups; name their columns in folds.group")
        if (self.group_size or self.weights) and not self.search:
            raise ValueError("folds.group_size and folds.weights guide a search; say how long with folds.search")
        return self
