"""Which pairs a review shows, in which order, and what was decided about them before."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from outfold.errors import DataError

DECISIONS = ("same", "different", "unsure")
TEXTS = ("first", "second", "first_table", "second_table", "label_first", "label_second")
FLAGS = ("exact", "conflict")
COLUMNS = (*TEXTS, "similarity", *FLAGS)

Ids = tuple[str, str]
"""The ids of a pair's two photos; their order says nothing."""


@dataclass(frozen=True)
class Review:
    """The pairs of a page.

    Attributes:
        shown: conflicting labels first, then by falling similarity; column `decision` is empty where there is none yet.
        left_out: how many pairs the page has no room for.
        kept: earlier decisions about pairs that are not shown: first, second, decision, similarity (NaN if not known).
    """

    shown: pd.DataFrame
    left_out: int
    kept: pd.DataFrame


def review_of(pairs: pd.DataFrame, decisions: Mapping[Ids, str], most: int) -> Review:
    """Choose and order the pairs of a page.

    Args:
        pairs: (n, 9) with COLUMNS.
        decisions: one of DECISIONS by the ids of a pair, in either order.
        most: pairs on the page; where there are more, those that are not decided yet come before the decided ones.

    Raises:
        DataError: a column is missing or of a wrong type, a similarity is not finite, two pairs have the same two ids,
            or a decision is none of DECISIONS.
    """
    decided = _by_pair(decisions)
    ordered = _in_order(_checked(pairs))
    keys = [_key(first, second) for first, second in zip(ordered["first"], ordered["second"], strict=True)]
    _refuse_repeated(keys)
    ordered["decision"] = [decided.get(key, ("", "", ""))[2] for key in keys]
    undecided_first = np.argsort(ordered["decision"] != "", kind="stable")
    place = np.sort(undecided_first[:most])
    shown = ordered.iloc[place].reset_index(drop=True)
    on_page = {keys[row] for row in place}
    similarity = dict(zip(keys, ordered["similarity"], strict=True))
    kept = [(*row, similarity.get(key, np.nan)) for key, row in decided.items() if key not in on_page]
    columns = ["first", "second", "decision", "similarity"]
    return Review(shown, len(ordered) - len(shown), pd.DataFrame(kept, columns=columns))


def _key(first: str, second: str) -> Ids:
    return (first, second) if first <= second else (second, first)


def _checked(pairs: pd.DataFrame) -> pd.DataFrame:
    """The known columns as str, bool and float64; empty texts where values are missing."""
    missing = [name for name in COLUMNS if name not in pairs]
    if missing:
        raise DataError(
            f"pairs: {'columns are' if len(missing) > 1 else 'a column is'} missing: {', '.join(missing)}",
            got=", ".join(map(str, pairs.columns)) or "no columns",
            expected=", ".join(COLUMNS),
        )
    for name in FLAGS:
        if len(pairs) and not pd.api.types.is_bool_dtype(pairs[name]):
            raise DataError(f"pairs: column {name} is not boolean", got=pairs[name].dtype, expected="bool")
    texts = {name: ["" if pd.isna(value) else str(value) for value in pairs[name]] for name in TEXTS}
    flags = {name: pairs[name].to_numpy(dtype=bool) for name in FLAGS}
    return pd.DataFrame({**texts, "similarity": _similarities(pairs), **flags}, columns=list(COLUMNS))


def _similarities(pairs: pd.DataFrame) -> np.ndarray:
    """Float64 (n,), all finite."""
    values = pd.to_numeric(pairs["similarity"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        row = pairs.iloc[wrong[0]]
        raise DataError(
            f"pairs: the similarity of {row['first']} and {row['second']} (row {wrong[0]}) is not a finite number",
            got=row["similarity"],
        )
    return values


def _in_order(pairs: pd.DataFrame) -> pd.DataFrame:
    """Conflicting labels first, then by falling similarity; ties as they came."""
    order = np.lexsort((-pairs["similarity"].to_numpy(), ~pairs["conflict"].to_numpy()))
    return pairs.iloc[order].reset_index(drop=True)


def _refuse_repeated(keys: list[Ids]) -> None:
    """A decision names a pair by its two ids alone, so no two pairs may have the same ids."""
    repeated = pd.Series(keys, dtype=object).duplicated()
    if repeated.any():
        first, second = keys[int(np.argmax(repeated))]
        raise DataError(
            f"pairs: {first} and {second} are listed twice; a decision could not say which of the two it is about",
            fix="list each pair once, and use ids that differ between the tables",
        )


def _by_pair(decisions: Mapping[Ids, str]) -> dict[Ids, tuple[str, str, str]]:
    """(first, second, decision) by the pair's key."""
    found: dict[Ids, tuple[str, str, str]] = {}
    for (first, second), decision in decisions.items():
        if decision not in DECISIONS:
            raise DataError(f"the decision about {first} and {second}", got=decision, expected=", ".join(DECISIONS))
        other = found.setdefault(_key(first, second), (first, second, decision))
        if other[2] != decision:
            raise DataError(f"{first} and {second} are decided twice", got=f"{other[2]} and {decision}")
    return found
