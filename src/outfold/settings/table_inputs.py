"""The part of a member that says which columns of the table its network reads, and how."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Name, Spec

Finite = Annotated[float, Field(allow_inf_nan=False)]
Derived = Literal["log_group_rows", "log_file_bytes"]
"""`log_group_rows`: log(1 + rows of the same group in the same table), so that a row's prediction depends on the rows
it came with; `log_file_bytes`: log of the file's size in bytes. Both are inputs as they are, not standardised."""


class Numeric(Spec):
    """A column of numbers as one input, and one more that says where it is missing.

    Where a fold's training rows have no gap, that one stays 0: nobody has learned what it means.
    """

    column: str
    log: bool = False
    """Take log(1 + number) first, that of its size with its sign: for heights, counts and others of many small values
    and few large ones."""
    divide: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Divide by this instead of standardising by the training rows' mean and deviation."""
    missing: Finite | None = None
    """What stands for a missing number, in the input's own scale, instead of the mean and a second input."""


class Categorical(Spec):
    """A column of names as one input a name, and one more for missing cells and names that training never saw.

    Where a fold's training rows have no gap, that one stays 0: nobody has learned what it means.
    """

    column: str
    codes: dict[str, Finite] = {}
    """Instead: one input with a number for each of these names, e.g. `{male: 1, female: 0}`."""
    missing: Finite = -1.0
    """With `codes`: the number for missing cells and other names."""


class TableInputs(Spec):
    """Columns that a small network of their own brings to the head, beside the photo's features."""

    numeric: tuple[Numeric, ...] = ()
    categorical: tuple[Categorical, ...] = ()
    derived: tuple[Derived, ...] = ()
    group: str | None = None
    """Column of the groups that `log_group_rows` counts."""
    widths: tuple[Annotated[int, Field(ge=1)], ...] = (512, 128)
    """Units of each linear layer; batch norm and the activation follow each. `[]`: the head reads the inputs themselves
    beside the features."""
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    """With `widths: []`: multiply the inputs by this. A few numbers beside hundreds of features are hardly used while
    each weighs as much as one of them."""
    activation: Literal["silu", "relu"] = "silu"
    """After each batch norm."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Before each layer but the first."""
    last_dropout: float = Field(0.0, ge=0, lt=1)
    """After the last layer."""
    predicted_by: Name | None = None
    """An auxiliary train stage before this one whose targets are numeric columns of this table branch. Its predictions
    stand for these columns: out of fold for training rows, and wherever else rows are predicted."""
    train_on: Literal["predicted", "mixed"] = "predicted"
    """With `predicted_by`: what training shows; `mixed` draws each time between the given and the predicted values."""
    training_only: bool = False
    """The columns are in the training tables alone. The stage learns and is scored with the given values, and predicts
    other rows only through a `serve` stage, which is also where its honest score is."""

    @model_validator(mode="before")
    @classmethod
    def _columns_from_names(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for role in ("numeric", "categorical"):
            if isinstance(values.get(role), list | tuple):
                values[role] = [{"column": item} if isinstance(item, str) else item for item in values[role]]
        return values

    @model_validator(mode="after")
    def _one_way_to_do_without(self) -> "TableInputs":
        if self.training_only and self.predicted_by is not None:
            raise ValueError("`predicted_by` fills columns that are missing, so `training_only` says nothing; give one")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """All inputs by name: columns of the table, then derived ones."""
        return (*(one.column for one in self.numeric), *(one.column for one in self.categorical), *self.derived)

    @model_validator(mode="after")
    def _each_input_once(self) -> "TableInputs":
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"table inputs name a column twice: {list(self.columns)}")
        return self

    def refuse_incomplete(self) -> None:
        """Refuse settings that read nothing, or count the rows of no group; a member may set a part of them only.

        Raises:
            ValueError: says what is missing.
        """
        if not self.columns:
            raise ValueError("a table input needs columns: give `numeric`, `categorical` or `derived`")
        if self.train_on == "mixed" and self.predicted_by is None:
            raise ValueError("`train_on: mixed` draws between given and predicted values, so it needs `predicted_by`")
        self._refuse_settings_of_layers()
        if ("log_group_rows" in self.derived) != (self.group is not None):
            raise ValueError("`log_group_rows` counts the rows of a `group`; give both or neither")

    def _refuse_settings_of_layers(self) -> None:
        """Refuse what would have no effect: settings of layers without layers, and a weight that batch norm undoes."""
        if self.widths and self.weight != 1:
            raise ValueError("`weight` is undone by the batch norm after the first layer; it is for `widths: []`")
        fields = type(self).model_fields
        vain = [name for name in ("activation", "dropout") if getattr(self, name) != fields[name].default]
        if not self.widths and vain:
            raise ValueError(f"`{vain[0]}` is for the layers that `widths` are of, and `widths: []` gives none")
