"""What is predicted and how it is judged."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from outfold.settings.base import Label, Names, Spec, Where
from outfold.settings.labels import Secondary
from outfold.settings.sums import in_order

TaskKind = Literal["multiclass", "binary", "multilabel", "regression"]


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
