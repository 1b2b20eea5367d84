"""What a person decided about pairs of photos: a CSV that the review page writes and a run reads back."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, cast, get_args

import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.findings import listed
from outfold.data.reading import read_rows
from outfold.errors import DataError
from outfold.files import write_atomically

Decision = Literal["same", "different", "unsure"]
Decisions = dict[tuple[str, str], Decision]
"""By the ids of a pair, the lesser first."""

COLUMNS = ("first", "second", "decision", "similarity")


def pair_key(first: str, second: str) -> tuple[str, str]:
    """The pair's ids in the order that decisions are kept in."""
    return (first, second) if first <= second else (second, first)


def read_decisions(path: Path, ids: Collection[str]) -> Decisions:
    """Read decisions; the order of a pair's ids does not matter, and equal rows may repeat.

    Args:
        path: CSV with the columns first, second and decision.
        ids: of all rows there are.

    Raises:
        DataError: the file is not such a table, names an id that is not there, another word, a photo paired with
            itself, or one pair with two decisions.
    """
    frame, lines = read_rows(path, exact={"first", "second"})
    require_columns(frame, COLUMNS[:3], role="a decision", table=str(path))
    known, decisions, seen = set(ids), Decisions(), dict[tuple[str, str], int]()
    cells = [cell_texts(frame[name]) for name in COLUMNS[:3]]
    for line, first, second, word in zip(lines.tolist(), *cells, strict=True):
        place = f"{path}:{line}"
        _check(place, first, second, word, known)
        pair = pair_key(str(first), str(second))
        if decisions.get(pair, word) != word:
            raise DataError(
                f"{place}: {first} and {second} have another decision in line {seen[pair]}",
                got=f"{word}, and before {decisions[pair]}",
                fix="keep one of the two rows",
            )
        decisions[pair] = cast(Decision, word)
        seen[pair] = line
    return decisions


def _check(place: str, first: str | None, second: str | None, word: str | None, known: Collection[str]) -> None:
    unknown = [str(name) for name in (first, second) if name not in known]
    if unknown:
        raise DataError(f"{place}: no row has the id {listed(unknown)}", fix="are these decisions for another table?")
    if first == second:
        raise DataError(f"{place}: {first} is paired with itself", fix="remove the row")
    if word not in get_args(Decision):
        raise DataError(f"{place}: not a decision", got=word, expected="same, different or unsure")


def write_decisions(
    path: Path, decisions: Mapping[tuple[str, str], str], similarity: Mapping[tuple[str, str], float]
) -> Path:
    """Write decisions as `read_decisions` reads them.

    Args:
        path: the CSV file.
        decisions: by the ids of a pair.
        similarity: by the ids of a pair; empty for pairs that have none.
    """
    rows = [(*pair, word, similarity.get(pair)) for pair, word in decisions.items()]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return write_atomically(path, lambda part: frame.to_csv(part, index=False))
