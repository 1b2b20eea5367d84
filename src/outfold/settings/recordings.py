"""The settings of recordings: which seconds of a file a row is, and tables made of the windows of files."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Audio(Spec):
    """Where a sample's recording is, as a template over the table's columns, and which seconds of it the sample is."""

    path: str
    """Path relative to the data root; `{column}` is replaced by that column, e.g. `train_audio/{filename}`."""
    start_s: str | None = None
    """Column of the second at which the sample begins; the recording's beginning when not given."""
    end_s: str | None = None
    """Column of the second at which it ends; the recording's end when not given."""


class Recordings(Spec):
    """A table made of recordings: one row a window.

    Its columns: the recipe's id, `<file's name without its ending>_<end second>`; `file`, relative to the data root;
    `recording`, its name without the ending; `start_s` and `end_s`. One whose name the id has is called `window_` and
    that name. Where two files have one name, paths stand for names.
    """

    path: str
    """Files below the data root, e.g. `test_soundscapes/*.ogg`; `**` stands for any folders, a last `.{ogg,wav}`
    for either ending."""
    window_s: Seconds = 5.0
    """Length of a window in seconds."""
    hop_s: Seconds | None = None
    """From one window's beginning to the next one's; windows follow each other when not given."""
    last: Literal["drop", "pad"] = "drop"
    """A last window that the recording does not fill is left out, or filled with silence."""

    @model_validator(mode="after")
    def _below_the_root(self) -> "Recordings":
        parts = self.path.split("/")
        if not self.path or ".." in parts or parts[0] == "":
            raise ValueError(f"recordings are named by a pattern below the data root, got {self.path!r}")
        return self

    def audio(self, id_column: str) -> Audio:
        """Where the rows' sound is, by the columns of this table, whose ids are in the column of this name."""
        file, start, end = (column_beside(id_column, name) for name in ("file", "start_s", "end_s"))
        return Audio(path=f"{{{file}}}", start_s=start, end_s=end)

    @property
    def step_s(self) -> float:
        """`hop_s`, or what it means when it is not given."""
        return self.hop_s or self.window_s


def column_beside(id_column: str, name: str) -> str:
    """What a table of windows calls one of its columns: by its name, unless the recipe's id has it."""
    return f"window_{name}" if name == id_column else name


def uneven_answers(every_s: float, recordings: Recordings | None) -> Iterator[str]:
    """What is wrong with answers every so many seconds where windows are cut: no window may begin there."""
    steps = 1.0 if recordings is None else every_s / recordings.step_s
    if recordings is not None and (round(steps) < 1 or abs(steps - round(steps)) > 1e-6):
        yield (
            f"`every_s` is {every_s:g} and no multiple of the hop of data.test.recordings, {recordings.step_s:g} s: "
            "between answers there would be gaps; set a `hop_s` that goes into it"
        )
