"""The settings of a label stage: how rows without labels become rows to learn from."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec

Chance = Annotated[float, Field(ge=0, le=1)]


class LabelSettings(Spec):
    """How rows without labels become rows to learn from."""

    rows: Literal["unlabelled", "test"] = "unlabelled"
    """`data.unlabelled`, or the test table."""
    confidence: Chance = 0.0
    """Keep rows whose largest class probability is at least this."""
    labels: Literal["soft", "hard"] = "soft"
    """Learn the teacher's probabilities, or its most likely class."""
    per_class: Annotated[int, Field(ge=1)] | Literal["all", "balanced"] | None = None
    """Rows of each (most likely) class: `all` that are kept; the same number of each, repeated or cut to the most
    confident; `balanced` takes the mean number of a class that has any. `balanced` for multiclass and binary tasks,
    `all` for others when not given."""
    teachers: Literal["same_fold", "same_seed", "all"] = "same_fold"
    """Which of the teacher's models label for the student that holds out a fold: those that held out the same fold; of
    these only the ones of the student's own seed; or all, which hands the student labels made by models that saw its
    validation rows."""
    average: Literal["probability", "logit"] | None = None
    """What the mean over these models is taken of: logits with `sharpen`, probabilities otherwise, when not given."""
    sharpen: Literal["recording"] | None = None
    """Multilabel tasks on recordings: raise what is heard anywhere in a recording in all of its windows, and lower the
    rest. Of P, the teachers' mean logits of its windows, and M, their maxima over time, it becomes
    sigmoid((P + M + mean(P) - mean(M)) / 2); `confidence` and `labels` are about the result."""
    complete_windows: int | None = Field(None, ge=2)
    """Leave out recordings of which fewer windows can be read than this: 48 of 5 s make four minutes."""
    seen_groups: Literal["leave_out", "keep"] = "leave_out"
    """Rows of groups (`folds.group`) that the teacher trained on. It is surer of them than it should be; to keep them
    does not spoil the students' scores, for rows of groups that are held out are left out in any case."""
    weight: float = Field(1.0, gt=0, le=1, allow_inf_nan=False)
    """Weight of a pseudo-labelled row in the loss; a labelled one has 1."""

    @property
    def of_recordings(self) -> str | None:
        """The first setting that is about the windows of a recording; None where there is none."""
        given = {"sharpen": self.sharpen, "complete_windows": self.complete_windows}
        return next((name for name, value in given.items() if value is not None), None)

    @property
    def averaged(self) -> Literal["probability", "logit"]:
        """`average`, or what it means when it is not given."""
        return self.average or ("probability" if self.sharpen is None else "logit")

    def balance_of(self, kind: str) -> int | str:
        """`per_class`, or what it means for this kind of task when it is not given."""
        return self.per_class or ("balanced" if kind in ("multiclass", "binary") else "all")

    def decisive(self) -> dict[str, Any]:
        """The settings that decide the labels; what is not used does not count, so that it never changes a key."""
        unused = {name for name in ("average", "sharpen", "complete_windows") if getattr(self, name) is None}
        return self.model_dump(mode="json", exclude={"kind", "source", *unused})

    def most_rows(self, rows: int, classes: int) -> int:
        """How many rows an epoch has of those that are labelled, at most, repetitions included."""
        return self.per_class * classes if isinstance(self.per_class, int) else rows


class PseudoBatch(Spec):
    """Pseudo-labelled rows that every batch has beside its labelled ones: whole recordings, or windows at random."""

    exclusive = (("recordings",), ("windows",))

    recordings: int | None = Field(None, ge=1)
    """All windows of so many recordings."""
    windows: int | None = Field(None, ge=1)
    """So many windows, whatever recordings they are of."""

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "PseudoBatch":
        if (self.recordings is None) == (self.windows is None):
            raise ValueError("a batch has either whole `recordings` or `windows` at random beside its labelled rows")
        return self

    @property
    def parts(self) -> int:
        """How many recordings, or windows, it asks for."""
        return self.recordings or self.windows or 0

    def rows(self, windows_of_recording: float) -> int:
        """How many rows it adds to a batch, about, where recordings have so many windows."""
        return self.windows or round((self.recordings or 0) * windows_of_recording)


class LabelStage(LabelSettings):
    """Predicts rows without labels, and keeps the confident ones as rows to learn from."""

    kind: Literal["label"]
    source: str = Field(alias="from")
    """Name of the train stage that is the teacher."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from."""
        return (self.source,)
