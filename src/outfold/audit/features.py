"""What a table says about a row besides its label, as features: columns, parts of names, dates, facts of files."""

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, kind_of
from outfold.data.media import probe_image
from outfold.data.rows import SOURCE, SOURCE_ROW
from outfold.data.table import Samples
from outfold.errors import MediaError

Origin = Literal["input", "column", "name", "file"]

BINS = 100
ROWS_A_BIN = 10
"""Quantities are cut into at most BINS parts of at least ROWS_A_BIN rows."""
MOSTLY = 0.9
NUMBERS_IN_A_NAME = 3
_NUMBERS = ("bytes", "width", "height")


@dataclass(frozen=True)
class Feature:
    """One thing known of each row."""

    name: str
    """In words for a sentence, as in "`site`" or "the size of the file in bytes"."""
    origin: Origin
    """`input`: a declared model input; `column`: another column; `name`: an id, a path, an order; `file`: of a file."""
    values: np.ndarray
    """float64 (n,), NaN where missing; of a category its code, by first appearance."""
    categories: tuple[str, ...] = ()
    """What the codes of a category mean; empty for a quantity."""

    def bins(self) -> np.ndarray:
        """int64 (n,), dense from 0: rows of one bin are alike; missing cells have a bin of their own."""
        known = ~np.isnan(self.values)
        bins = np.full(len(self.values), -1, dtype=np.int64)
        distinct = np.unique(self.values[known])
        if self.categories or len(distinct) <= BINS:
            bins[known] = np.searchsorted(distinct, self.values[known])
        else:
            parts = int(np.clip(known.sum() // ROWS_A_BIN, 2, BINS))
            edges = np.unique(np.quantile(self.values[known], np.linspace(0, 1, parts + 1)[1:-1]))
            bins[known] = np.searchsorted(edges, self.values[known], side="right")
        return np.unique(bins, return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class FileFacts:
    """What a file system and a header say of each file, n rows."""

    bytes: np.ndarray
    """float64 (n,), NaN where the file cannot be read."""
    width: np.ndarray
    """float64 (n,) pixels as stored; NaN where it is no image."""
    height: np.ndarray
    format: tuple[str, ...]
    """(n,) PIL's name and mode, as in `JPEG RGB`; empty where it is no image."""

    def features(self) -> list[Feature]:
        """The facts that differ between rows."""
        found = [
            Feature("the size of the file in bytes", "file", self.bytes),
            Feature("the width of the image", "file", self.width),
            Feature("the height of the image", "file", self.height),
            category("the format of the file", "file", [text or None for text in self.format]),
        ]
        return [feature for feature in found if varies(feature)]

    def joined(self, other: "FileFacts") -> "FileFacts":
        """These files, then those of another table."""
        size, width, height = (np.concatenate([getattr(part, name) for part in (self, other)]) for name in _NUMBERS)
        return FileFacts(size, width, height, (*self.format, *other.format))

    def numbers(self) -> np.ndarray:
        """float64 (n, 3): logarithms of bytes, width and height."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(np.stack([self.bytes, self.width, self.height], axis=1))


def read_file_facts(paths: Sequence[Path], *, workers: int = 1) -> FileFacts:
    """Size and header of each file; no pixel is decoded, and nothing is raised for a file that is no image."""
    with ThreadPoolExecutor(workers) as pool:
        facts = dict(zip(dict.fromkeys(paths), pool.map(_facts_of, dict.fromkeys(paths)), strict=True))
    size, width, height, form = zip(*(facts[path] for path in paths), strict=True)
    return FileFacts(np.array(size), np.array(width), np.array(height), form)


def _facts_of(path: Path) -> tuple[float, float, float, str]:
    try:
        size = float(path.stat().st_size)
    except OSError:
        return float("nan"), float("nan"), float("nan"), ""
    try:
        info = probe_image(path)
    except MediaError:
        return size, float("nan"), float("nan"), ""
    return size, float(info.width), float(info.height), f"{info.format} {info.mode}"


def category(name: str, origin: Origin, cells: Iterable[str | None]) -> Feature:
    """A feature of named values; None is missing."""
    codes, labels = pd.factorize(pd.Series(list(cells), dtype=object))
    return Feature(name, origin, np.where(codes < 0, np.nan, codes).astype(np.float64), tuple(map(str, labels)))


def varies(feature: Feature) -> bool:
    """Whether rows differ in it; one missing among equal ones is a difference."""
    return len(np.unique(feature.values)) > 1


def column_features(frame: pd.DataFrame, name: str, origin: Origin = "column") -> list[Feature]:
    """A column as a quantity, a date, a category or, where nearly each row has its own text, the parts of a name."""
    column = frame[name]
    if kind_of(column) != "text":
        values = pd.to_numeric(column).to_numpy(np.float64, na_value=np.nan)
        return [Feature(f"`{name}`", origin, np.where(np.isfinite(values), values, np.nan))]
    texts = cell_texts(column)
    dates = date_days(column)
    if dates is not None:
        return [Feature(f"the date `{name}`", origin, dates)]
    if column.nunique() > len(column) / 2:
        return name_features(f"`{name}`", texts, "name" if origin == "column" else origin)
    return [category(f"`{name}`", origin, texts)]


def name_features(title: str, texts: Sequence[str | None], origin: Origin = "name") -> list[Feature]:
    """An id or a path in parts: its folder, its letters, its numbers, its length and its ending."""
    paths = [PurePath(text or "") for text in texts]
    stems = [path.stem for path in paths]
    numbers = [[float(digits) for digits in re.findall(r"[0-9]{1,15}", stem)] for stem in stems]
    features = [
        category(f"the folder of {title}", origin, [str(path.parent) for path in paths]),
        category(f"the letters of {title}", origin, [re.sub(r"[0-9]+", "#", stem) for stem in stems]),
        category(f"the ending of {title}", origin, [path.suffix for path in paths]),
        Feature(f"the length of {title}", origin, np.array([len(stem) for stem in stems], dtype=np.float64)),
    ]
    for place in range(min(NUMBERS_IN_A_NAME, max(map(len, numbers), default=0))):
        cells = [found[place] if place < len(found) else np.nan for found in numbers]
        which = "the number in" if max(map(len, numbers)) == 1 else f"number {place + 1} in"
        features.append(Feature(f"{which} {title}", origin, np.array(cells)))
    own_text = len(texts) / 2
    return [one for one in features if varies(one) and len(one.categories) <= own_text]


def table_features(samples: Samples, *, inputs: Sequence[str] = (), ignore: Sequence[str] = ()) -> list[Feature]:
    """Everything a table says of its rows.

    Args:
        samples: the rows.
        inputs: columns that are declared as model inputs.
        ignore: columns with another role: targets, folds.
    """
    features: list[Feature] = []
    for name in map(str, samples.frame.columns):
        if name in ignore or name in (SOURCE_ROW, samples.id_column):
            continue
        features += column_features(samples.frame, name, "input" if name in inputs else "column")
    if samples.id_column not in ignore:
        features += name_features(f"the id `{samples.id_column}`", list(samples.ids))
    if SOURCE_ROW in samples.frame.columns and samples.frame[SOURCE].nunique() == 1:
        order = pd.to_numeric(samples.frame[SOURCE_ROW]).to_numpy(np.float64)
        features.append(Feature("the place in the table", "name", order))
    return [feature for feature in features if varies(feature)]


def date_days(column: pd.Series) -> np.ndarray | None:
    """Days since 1970, float64 (n,), of dates written year first; None where most cells are no such dates."""
    texts = column.astype("string").str.strip()
    written = texts.str.fullmatch(r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}([ T].*)?").fillna(False).astype(bool)
    if not texts.notna().any() or written.sum() < MOSTLY * texts.notna().sum():
        return None
    dashed = texts.where(written).str.replace(r"^([0-9]{4})[/.]([0-9]{1,2})[/.]", r"\1-\2-", regex=True)
    days = pd.to_datetime(dashed, format="mixed", errors="coerce", utc=True)
    return ((days - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)).to_numpy(np.float64, na_value=np.nan)
