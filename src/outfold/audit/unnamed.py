"""Columns that look like groups and that the recipe does not name: a date, a patient, an object, a recording."""

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from outfold.audit.crossings import codes_of, exposed_rows
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


class Crossing(NamedTuple):
    """A column whose values lie on both sides of folds."""

    name: str
    codes: np.ndarray
    exposed: np.ndarray
    agreement: Resemblance


def unnamed_crossings(
    samples: Samples,
    target: np.ndarray,
    splits: Sequence[Split],
    *,
    ignore: Collection[str] = (),
    seed: int = 0,
) -> list[Crossing]:
    """Group-like columns that cross folds, and whose rows agree in the target more than chance allows.

    Each value's rows are then no independent evidence: a model may know the photo next to the one it is judged on.

    Args:
        samples: the training rows, n.
        target: (n, k) as encoded by `TargetCodec`.
        splits: rows that train and rows that are judged.
        ignore: columns with another role: id, target, folds, groups that the recipe names.
        seed: decides the shuffles that chance is measured by.

    Returns:
        The worst first: much agreement, many rows.
    """
    found: list[Crossing] = []
    judged = judged_rows(splits)
    for name in map(str, samples.frame.columns):
        if name in ignore or not is_group_like(samples.frame[name], target):
            continue
        codes = codes_of(samples.frame[name])
        exposed = exposed_rows(codes, splits)
        if exposed.sum() < max(ENOUGH_ROWS, 0.01 * len(judged)):
            continue
        agreement = resemblance(codes, target, seed)
        if agreement.agreement >= MEANINGFUL and agreement.z >= CERTAIN:
            found.append(Crossing(name, codes, exposed, agreement))
    return sorted(found, key=lambda crossing: -crossing.agreement.agreement * crossing.exposed.mean())


def unnamed_findings(samples: Samples, crossings: Sequence[Crossing], splits: Sequence[Split]) -> list[Finding]:
    """One warning for each column; one that only refines another is named with it."""
    judged = len(judged_rows(splits))
    return [_finding(samples, *family, judged=judged) for family in _families(crossings)]


def is_group_like(column: pd.Series, target: np.ndarray) -> bool:
    """Whether a column names things that have several rows each, by its values alone.

    Identifiers and dates hold digits, and categories seldom do; of whole numbers those are left out that measure
    rather than name, see `SMOOTH`. What the target itself determines is an alias of the class, no group.
    """
    rows, distinct = int(column.notna().sum()), column.nunique()
    if kind_of(column) in ("float", "bool") or not FEWEST_VALUES <= distinct < 0.995 * rows:
        return False
    codes = codes_of(column)
    if _follows_from(codes, target):
        return False
    if kind_of(column) == "text":
        return _mostly_numbered(column) or rows / distinct <= FEW_ROWS
    return _says_id(str(column.name)) or not _is_smooth(column, target)


def _follows_from(codes: np.ndarray, target: np.ndarray) -> bool:
    """Whether every class has one value; a regression's many different targets say nothing of that kind."""
    labels, own = np.unique(target, axis=0, return_inverse=True)
    if len(labels) > len(target) / 3:
        return False
    return len(np.unique(np.stack([own.reshape(-1), codes]), axis=1).T) == len(labels)


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


def _families(found: Sequence[Crossing]) -> list[tuple[Crossing, list[str]]]:
    """Each crossing with the names of finer ones that it covers: keeping its values together keeps theirs."""
    families: list[tuple[Crossing, list[str]]] = []
    for crossing in sorted(found, key=lambda one: int(one.codes.max())):
        coarser = next((family for family in families if _nested(crossing.codes, family[0].codes)), None)
        if coarser is None:
            families.append((crossing, []))
        else:
            coarser[1].append(crossing.name)
    return sorted(families, key=lambda family: found.index(family[0]))


def _nested(fine: np.ndarray, coarse: np.ndarray) -> bool:
    known = fine >= 0
    pairs = np.unique(np.stack([fine[known], coarse[known]]), axis=1)
    return pairs.shape[1] == len(np.unique(fine[known]))


def _finding(samples: Samples, crossing: Crossing, covered: list[str], judged: int) -> Finding:
    name, codes, exposed, agreement = crossing
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
