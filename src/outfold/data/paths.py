"""Media paths from a template over a table's columns, confined to the data root."""
# Tables have tens of thousands of rows, and pathlib takes ten times as long as strings:
# ruff: noqa: PTH100, PTH114, PTH118

import os
import re
from pathlib import Path

import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.rows import name_rows
from outfold.errors import DataError, MediaError

_PLAIN = re.compile(r"(?!\.\.?(/|$))[^/]+(/(?!\.\.?(/|$))[^/]+)*")
"""A relative path without empty, `.` and `..` parts."""
_FIELD = re.compile(r"\{([^{}]+)\}")


def template_columns(template: str) -> tuple[str, ...]:
    """The column names in a template: `images/{site}/{image}.jpg` -> ("site", "image")."""
    if {"{", "}"} & set(_FIELD.sub("", template)):
        raise DataError("a media path has an unpaired brace", got=template, expected="e.g. images/{image}.jpg")
    return tuple(_FIELD.findall(template))


def media_paths(frame: pd.DataFrame, template: str, root: Path) -> tuple[Path, ...]:
    """The absolute path of each row's file; existence is not checked.

    Args:
        frame: the table.
        template: path relative to `root`, where `{column}` stands for that column's text.
        root: data root; may itself be a symbolic link.

    Raises:
        DataError: the template names a column that the table lacks.
        MediaError: a cell is missing, or a path leaves the root by `..`, as an absolute path or over a symbolic link.
    """
    names = template_columns(template)
    require_columns(frame, names, role=f"part of the path {template!r}", table="table")
    columns = [cell_texts(frame[name]) for name in names]
    for name, texts in zip(names, columns, strict=True):
        empty = [row for row, text in enumerate(texts) if not text]
        if empty:
            raise MediaError(f"{name_rows(frame, empty)}: no value in column {name!r}, a part of the media path")
    pieces = _FIELD.split(template)[::2]
    pattern = "{}".join(pieces)
    relatives = [pattern.format(*parts) for parts in zip(*columns, strict=True)] if names else [template] * len(frame)
    confine = Confinement(root)
    return tuple(confine.path_of_row(frame, row, relative) for row, relative in enumerate(relatives))


class Confinement:
    """Checks that paths stay inside a root, with one system call for each file and folder."""

    def __init__(self, root: Path) -> None:
        self.root = os.path.abspath(root)
        self.real_root = os.path.realpath(self.root)
        self._real_folders = {self.root: self.real_root}

    def path_of_row(self, frame: pd.DataFrame, row: int, relative: str) -> Path:
        """`root / relative`, or MediaError that names the row."""
        path = self.resolve(relative)
        if path is None:
            raise MediaError(
                f"{name_rows(frame, [row])}: the media path leaves the data root",
                got=relative,
                expected=f"a path inside {self.root}",
                fix="move the files below the data root, or choose a root that holds them",
            )
        return Path(path)

    def resolve(self, relative: str) -> str | None:
        """The absolute path, or None where its real place lies outside the root."""
        if "\0" in relative:
            return None
        if _PLAIN.fullmatch(relative):
            path = self.root + os.sep + relative
            real = self._real(path)
        else:
            path = real = os.path.realpath(os.path.join(self.root, relative))
        return path if real.startswith(self.real_root.rstrip(os.sep) + os.sep) else None

    def _real(self, path: str) -> str:
        """`os.path.realpath` of a plain path below the root, remembering its folders."""
        folder, _, name = path.rpartition(os.sep)
        if folder not in self._real_folders:
            self._real_folders[folder] = self._real(folder)
        joined = self._real_folders[folder] + os.sep + name
        return os.path.realpath(joined) if os.path.islink(joined) else joined
