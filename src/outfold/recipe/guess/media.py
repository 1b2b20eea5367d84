"""Finds where a table's media files are: tries templates over its columns against the files on disk."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
import pandas as pd

from outfold.data.audio.reading import SUFFIXES as AUDIO_SUFFIXES
from outfold.data.columns import cell_texts
from outfold.data.paths import Confinement

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
MEDIA_SUFFIXES = IMAGE_SUFFIXES | AUDIO_SUFFIXES

TRIED_ROWS = 64
LISTED_FOLDERS, LISTED_FILES = 300, 500
"""How much of a data root is looked at: enough to see its layout, not its size."""


@dataclass(frozen=True)
class MediaGuess:
    """A path template and how many of the tried rows lead to a file."""

    template: str
    kind: Literal["image", "audio"]
    columns: tuple[str, ...]
    found: int
    tried: int

    @property
    def things(self) -> str:
        """What they are, in words."""
        return "photos" if self.kind == "image" else "recordings"

    @property
    def why(self) -> str:
        """The reason as a phrase."""
        return f"leads to a file for {self.found} of {self.tried} rows tried"


def some_paths(frame: pd.DataFrame, root: Path, media: MediaGuess) -> list[Path]:
    """The files of some rows, those that exist."""
    columns = [cell_texts(frame[name].iloc[_some_rows(frame)]) for name in media.columns]
    confine, rows = Confinement(root), zip(*columns, strict=True)
    paths = [confine.resolve(_fill(media.template, list(media.columns), cells)) for cells in rows if None not in cells]
    return [Path(path) for path in paths if path is not None and Path(path).is_file()]


def folders_of_rows(frame: pd.DataFrame, root: Path, media: MediaGuess) -> frozenset[str]:
    """The real places of the folders that rows' files lie in, there or not, and of the template's own folder."""
    columns = [cell_texts(frame[name]) for name in media.columns]
    rows = (cells for cells in zip(*columns, strict=True) if None not in cells)
    folders = {PurePath(_fill(media.template, list(media.columns), cells)).parent for cells in rows}
    folders.add(PurePath(media.template.partition("{")[0] + "_").parent)
    return frozenset(os.path.realpath(root / folder) for folder in folders)


def _some_rows(frame: pd.DataFrame) -> np.ndarray:
    return np.unique(np.linspace(0, len(frame) - 1, num=min(TRIED_ROWS, len(frame)), dtype=int))


def guess_media(frame: pd.DataFrame, root: Path) -> MediaGuess | None:
    """The template that leads to the most files under `root`, the shortest of equals; None where none leads to any."""
    rows = _some_rows(frame)
    texts = {str(name): cell_texts(frame[name].iloc[rows]) for name in frame.columns if not {"{", "}"} & set(str(name))}
    folders = media_folders(root)
    best = _best(_one_column(texts, folders), texts, root)
    if best is not None and best.found == best.tried:
        return best
    pair = _best(_two_columns(texts, _folder_columns(texts, folders), folders), texts, root)
    return max((guess for guess in (best, pair) if guess is not None), key=_rank, default=None)


def media_folders(root: Path, depth: int = 3) -> dict[str, tuple[str, ...]]:
    """Folders up to `depth` below a root with the suffixes of the media right in them; "" is the root."""
    folders: dict[str, tuple[str, ...]] = {}
    waiting = [""]
    while waiting and len(folders) < LISTED_FOLDERS:
        relative = waiting.pop(0)
        try:
            with os.scandir(root / relative) as entries:
                seen = list(islice(entries, LISTED_FILES))
        except PermissionError:
            continue  # a folder that cannot be listed cannot be trained from; others are still tried
        suffixes = {suffix for entry in seen if (suffix := PurePath(entry.name).suffix).lower() in MEDIA_SUFFIXES}
        folders[relative] = tuple(sorted(suffixes))
        if relative.count("/") < depth - 1:
            inside = sorted(entry.name for entry in seen if entry.is_dir() and not entry.name.startswith("."))
            waiting += [f"{relative}/{name}".lstrip("/") for name in inside]
    return folders


def has_media_suffix(texts: Sequence[str | None]) -> bool:
    """Whether most of the texts end as media files do."""
    present = [text for text in texts if text]
    return 2 * sum(PurePath(text).suffix.lower() in MEDIA_SUFFIXES for text in present) > len(present)


def _one_column(texts: dict[str, list[str | None]], folders: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    for name, values in texts.items():
        for folder, suffixes in folders.items():
            for suffix in ("",) if has_media_suffix(values) else suffixes:
                yield (f"{folder}/{{{name}}}{suffix}".lstrip("/"), name)


def _folder_columns(texts: dict[str, list[str | None]], folders: dict[str, tuple[str, ...]]) -> list[str]:
    """Columns most of whose values are names of folders."""
    known = {PurePath(folder).name for folder in folders}
    return [name for name, values in texts.items() if 2 * sum(text in known for text in values) > len(values)]


def _two_columns(
    texts: dict[str, list[str | None]], outers: list[str], folders: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, ...]]:
    every_suffix = sorted({suffix for suffixes in folders.values() for suffix in suffixes})
    for name, values in texts.items():
        for outer in outers:
            if outer == name:
                continue
            for folder in folders:
                for suffix in [""] if has_media_suffix(values) else every_suffix:
                    yield (f"{folder}/{{{outer}}}/{{{name}}}{suffix}".lstrip("/"), outer, name)


def _best(candidates: Iterator[tuple[str, ...]], texts: dict[str, list[str | None]], root: Path) -> MediaGuess | None:
    confine = Confinement(root)
    guesses = (_try(template, columns, texts, confine) for template, *columns in candidates)
    return max((guess for guess in guesses if guess is not None), key=_rank, default=None)


def _rank(guess: MediaGuess) -> tuple[float, int]:
    return guess.found / guess.tried, -len(guess.template)


def _try(
    template: str, columns: list[str], texts: dict[str, list[str | None]], confine: Confinement
) -> MediaGuess | None:
    rows = list(zip(*(texts[name] for name in columns), strict=True))
    found = 0
    for number, cells in enumerate(rows):
        if number == 8 and not found:
            return None
        found += _exists(template, columns, cells, confine)
    if not found:
        return None
    suffixes = [PurePath(_fill(template, columns, cells)).suffix.lower() for cells in rows if None not in cells]
    audio = 2 * sum(suffix in AUDIO_SUFFIXES for suffix in suffixes) > len(suffixes)
    return MediaGuess(template, "audio" if audio else "image", tuple(columns), found, len(rows))


def _fill(template: str, columns: list[str], cells: tuple[str | None, ...]) -> str:
    for name, cell in zip(columns, cells, strict=True):
        template = template.replace(f"{{{name}}}", str(cell))
    return template


def _exists(template: str, columns: list[str], cells: tuple[str | None, ...], confine: Confinement) -> bool:
    relative = _fill(template, columns, cells)
    if None in cells or PurePath(relative).suffix.lower() not in MEDIA_SUFFIXES:
        return False
    path = confine.resolve(relative)
    return path is not None and Path(path).is_file()
