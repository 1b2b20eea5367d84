"""Rows that are left out because of their media: told of, and refused where none is left."""

from collections.abc import Sequence

from outfold.errors import DataError
from outfold.stages.base import Compute


def tell_dropped(dropped: Sequence[tuple[str, str]], rows: int, table: str, compute: Compute) -> None:
    """Tell of rows that were left out because of their media, (id, reason) each; nothing where there are none.

    Raises:
        DataError: no row is left, of so many.
    """
    if dropped:
        why = "their media cannot be used"
        compute.emit({"event": "dropped", "table": table, "rows": len(dropped), "why": why, "first": dropped[:10]})
        if len(dropped) == rows:
            raise _none_left(dropped, table)


def _none_left(dropped: Sequence[tuple[str, str]], table: str) -> DataError:
    first = [f"{name}: {reason.replace(chr(10), ';')}" for name, reason in dropped[:3]]
    more = [f".. and {len(dropped) - len(first)} more"] if len(dropped) > len(first) else []
    return DataError(
        f"no row is left of the {table} table: the media of all {len(dropped)} cannot be used",
        got="\n            ".join([*first, *more]),
        fix="mend these files, or give rows with others",
    )
