"""How training rows are split."""

from typing import Any, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Label, Name, Names, Spec


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
