"""Columns that look like groups and that the recipe does not name: a date, a patient, an object, a recording."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from outfold.audit.crossings import codes_of, exposed_rows
from outfold.audit.features import date_days
from outfold.audit.resemblance import Resemblance, intraclass_correlation, resemblance
from outfold.audit.splits import Split, judged_rows
from outfold.data.columns import cell_texts, kind_of
from outfold.data.findings import Finding, count, listed, places_of
from outfold.data.table import Samples

FEWEST_VALUES = 10
"""Columns with fewer values are strata, sources or classes, not groups."""
FEW_ROWS = 20
"""Columns of plain words are groups only with no more rows a value than this, on average."""
ENOUGH_ROWS = 10
"""Fewer exposed rows than this move no score."""
MEANINGFUL, CERTAIN = 0.1, 5.0
"""Agreement within values, and its distance from chance in standard deviations, from which on a column is shown."""
SMOOTH = 0.75
"""A column of whole numbers is a quantity where values next to each other agree this much of the way."""


class GroupLike(NamedTuple):
    """A column whose rows of one value agree in the target, although no role says why."""

    name: str
    codes: np.ndarray
    """int64 (n,), -1 where a row has no value."""
    agreement: Resemblance


def group_like_columns(
    samples: Samples, target: np.ndarray, *, ignore: Collection[str] = (), seed: int = 0
) -> list[GroupLike]:
    """Columns that look like groups, and whose rows agree in the target more than chance allows.

    Identifiers and dates hold digits, and categories seldom do; of whole numbers those are left out that measure
    rather than name, see `SMOOTH`. What the classes themselves determine is an alias of the target.

    Args:
        samples: the training rows, n.
        target: (n, k) as encoded by `TargetCodec`.
        ignore: columns with another role: id, target, folds, groups that the recipe names.
        seed: decides the shuffles that chance is measured by.
    """
    labels = np.unique(target, axis=0, return_inverse=True)[1].reshape(-1)
    found = []
    for name in map(str, samples.frame.columns):
        column = samples.frame[name]
        if name in ignore or not _names_things(column):
            continue
        codes = codes_of(column)
        if _follows_from(codes, labels) or (_counts_something(column) and _is_smooth(column, target)):
            continue
        agreement = resemblance(codes, target, seed, at_least=MEANINGFUL)
        if agreement.agreement >= MEANINGFUL and agreement.z >= CERTAIN:
            found.append(GroupLike(name, codes, agreement))
    return found


def unnamed_groups(samples: Samples, columns: Sequence[GroupLike], splits: Sequence[Split]) -> list[Finding]:
    """Group-like columns whose values lie in several folds, the worst first.

    Each value's rows are no independent evidence: a model may know the photo next to the one it is judged on. A column
    that only refines another is named with it.

    Args:
        samples: the training rows, n.
        columns: from `group_like_columns`.
        splits: rows that train and rows that are judged.
    """
    judged = len(judged_rows(splits))
    exposed = {one.name: exposed_rows(one.codes, splits) for one in columns}
    torn = [one for one in columns if exposed[one.name].sum() >= max(ENOUGH_ROWS, 0.01 * judged)]
    torn.sort(key=lambda one: -one.agreement.agreement * exposed[one.name].mean())
    return [_finding(samples, one, covered, exposed[one.name], judged) for one, covered in _families(torn)]


def is_identifier(column: pd.Series) -> bool:
    """Whether a column holds names of things with a few rows each: numbered texts, or numbers that are called an id."""
    kind = kind_of(column)
    if kind in ("float", "bool") or int(column.notna().sum()) > FEW_ROWS * column.nunique():
        return False
    return _says_id(str(column.name)) if kind == "integer" else _mostly_numbered(column) and date_days(column) is None


def _names_things(column: pd.Series) -> bool:
    """Whether a column may name things that have several rows each: not too few, not nearly one for each row."""
    if kind_of(column) in ("float", "bool"):
        return False
    rows, distinct = int(column.notna().sum()), column.nunique()
    if not FEWEST_VALUES <= distinct < 0.995 * rows:
        return False
    return kind_of(column) == "integer" or _mostly_numbered(column) or rows / distinct <= FEW_ROWS


def _counts_something(column: pd.Series) -> bool:
    return kind_of(column) == "integer" and not _says_id(str(column.name))


def _follows_from(codes: np.ndarray, labels: np.ndarray) -> bool:
    """Whether every class has one value; a regression's many different targets say nothing of that kind."""
    classes = int(labels.max()) + 1
    if classes > len(labels) / 3:
        return False
    pairs = np.unique(labels * (int(codes.max()) + 2) + codes + 1)
    return len(pairs) == classes


def _mostly_numbered(column: pd.Series) -> bool:
    texts = [text for text in cell_texts(column.drop_duplicates().head(200)) if text]
    return sum(any(map(str.isdigit, text)) for text in texts) > 0.9 * len(texts)


def _says_id(name: str) -> bool:
    return re.search(r"(^|[^A-Za-z])(id|ID|Id)$|[a-z](ID|Id)$", name) is not None


def _is_smooth(column: pd.Series, target: np.ndarray) -> bool:
    """Whether neighbouring numbers agree nearly as much as equal ones: joined in pairs, they lose little agreement."""
    known = column.notna().to_numpy()
    ranks = np.unique(column[known].to_numpy(), return_inverse=True)[1]
    values = np.asarray(target[known], dtype=np.float64)
    alone = intraclass_correlation(ranks, values)
    return bool(intraclass_correlation(ranks // 2, values) >= SMOOTH * alone)


def _families(found: Sequence[GroupLike]) -> list[tuple[GroupLike, list[str]]]:
    """Each crossing with the names of finer ones that it covers: keeping its values together keeps theirs."""
    families: list[tuple[GroupLike, list[str]]] = []
    for one in sorted(found, key=lambda one: int(one.codes.max())):
        coarser = next((family for family in families if _nested(one.codes, family[0].codes)), None)
        if coarser is None:
            families.append((one, []))
        else:
            coarser[1].append(one.name)
    return sorted(families, key=lambda family: found.index(family[0]))


def _nested(fine: np.ndarray, coarse: np.ndarray) -> bool:
    known = fine >= 0
    pairs = np.unique(np.stack([fine[known], coarse[known]]), axis=1)
    return pairs.shape[1] == len(np.unique(fine[known]))


def _finding(samples: Samples, one: GroupLike, covered: list[str], exposed: np.ndarray, judged: int) -> Finding:
    name, codes, agreement = one
    rows = np.flatnonzero(exposed)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    values = samples.frame[name]
    too = f" (and of {listed(f'`{other}`' for other in covered)})" if covered else ""
    what = (
        f"rows of one `{name}`{too} lie in several folds, and they agree in the target: intraclass agreement "
        f"{agreement.agreement:.2f}, {agreement.z:.0f} standard deviations beyond chance"
    )
    impact = (
        f"{count(len(rows), 'judged row')} of {judged:,} ({len(rows) / judged:.0%}) have a row of the same `{name}` "
        f"among their training rows; it has {count(int(values.nunique()), 'value')}"
    )
    fix = f"add `{name}` to folds.group, unless new rows will come from the same ones too"
    notes = [f"{name} {values.iloc[row]}" for row in rows]
    return Finding("warning", what, places_of(samples, rows, notes=notes), fix, "unnamed-group", impact)
