"""What a check of the data found, in a form that a terminal, a report or a run can show."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from outfold.data.rows import SOURCE, SOURCE_ROW, name_rows
from outfold.data.table import Samples
from outfold.errors import OutfoldError

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
"""From bad to good."""


@dataclass(frozen=True)
class Place:
    """One row that a finding is about."""

    row: str
    """As in `train.csv:17`."""
    id: str
    file: str = ""
    """Path relative to the data root; empty when the finding is not about files."""
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about the data."""

    level: Level
    """`error`: a run would stop; `warning`: it would run, but look here first; `note`: for information."""
    what: str
    """One sentence."""
    places: tuple[Place, ...] = ()
    fix: str | None = None
    """What to do about it."""
    rule: str = ""
    """Short name of what was looked for, as in `group-across-folds`; the same in every version."""
    impact: str = ""
    """How bad it is, in figures where there are any."""

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Plain values for JSON, with the first `limit` places (None: all) and how many more there are."""
        places = [asdict(place) for place in self.places[:limit]]
        return {**asdict(replace(self, places=())), "places": places, "more": len(self.places) - len(places)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Finding":
        """The finding that `to_dict` described, with the places that it kept."""
        kept = {name: value for name, value in values.items() if name != "more"}
        return cls(**{**kept, "places": tuple(Place(**place) for place in values["places"])})


def finding_of(error: OutfoldError, level: Level = "error") -> Finding:
    """The finding that says what an error says."""
    what = error.problem if error.got is None else f"{error.problem}: {error.got}"
    if error.expected is not None:
        what += f" (expected {error.expected})"
    return Finding(level, what, fix=error.fix)


def places_of(
    samples: Samples, rows: Iterable[int], *, root: Path | None = None, notes: Sequence[str] | None = None
) -> tuple[Place, ...]:
    """Rows of a table as places.

    Args:
        samples: the table.
        rows: positions in it.
        root: show each row's file, relative to this folder; None leaves files out.
        notes: a remark for each of `rows`.
    """
    rows = [int(row) for row in rows]
    remarks = notes or [""] * len(rows)
    return tuple(
        Place(name, str(samples.ids[row]), _file(samples, row, root), note)
        for row, name, note in zip(rows, _names(samples.frame, rows), remarks, strict=True)
    )


def count(number: int, singular: str, plural: str | None = None) -> str:
    """`1 row`, `2 rows`, `1,204 rows`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def listed(values: Iterable[object], limit: int = 5) -> str:
    """The first few values, and how many more there are."""
    texts = list(map(str, values))
    more = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {more} more" if more > 0 else "")


def _names(frame: pd.DataFrame, rows: list[int]) -> list[str]:
    """The name of each row; all at once, for looking up one cell of a table takes a tenth of a millisecond."""
    if not {SOURCE, SOURCE_ROW} <= set(frame.columns):
        return [name_rows(frame, [row]) for row in rows]
    places = frame[[SOURCE, SOURCE_ROW]].iloc[rows]
    return [f"{table}:{line}" for table, line in zip(places[SOURCE], places[SOURCE_ROW], strict=True)]


def _file(samples: Samples, row: int, root: Path | None) -> str:
    if root is None or samples.media is None:
        return ""
    path = samples.media[row]
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
