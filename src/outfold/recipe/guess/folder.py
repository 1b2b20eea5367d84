"""A folder of class folders as a table: one row a photo, the first folder is its label."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

import pandas as pd

from outfold.errors import DataError
from outfold.recipe.guess.columns import TEST_WORDS, TRAIN_WORDS, VALID_WORDS
from outfold.recipe.guess.media import MEDIA_SUFFIXES

_SPLITS = TRAIN_WORDS | TEST_WORDS | VALID_WORDS


def class_folder_table(folder: Path) -> pd.DataFrame:
    """List the media below a folder of class folders, sorted by path.

    Args:
        folder: `folder/LABEL/.../file`, or `folder/SPLIT/LABEL/.../file` where all first folders are named like train,
            val and test (then unlabelled photos may lie right in the test folder).

    Returns:
        The columns `file` (path relative to `folder`, with slashes), `label`, `split` where the first level is one, and
        `subfolder` where files lie deeper than their label's folder.

    Raises:
        DataError: no media lie in at least two class folders.
    """
    files = sorted(_media_below(folder))
    parts = [tuple(file.split("/")) for file in files if "/" in file]
    has_split = {p[0].lower() for p in parts} <= _SPLITS and any(len(p) > 2 for p in parts)
    rows = [_row(p, has_split) for p in parts]
    labels = {row["label"] for row in rows} - {None}
    if len(labels) < 2:
        raise DataError(
            f"{folder} is not a folder of class folders",
            got=f"{len(files)} media files, {len(labels)} folders that hold some",
            expected="FOLDER/LABEL/photo.jpg with at least two labels",
            fix="give a table of labels instead: outfold init TABLE",
        )
    frame = pd.DataFrame(rows)
    return frame if frame["subfolder"].any() else frame.drop(columns="subfolder")


def folder_warnings(folder: Path, frame: pd.DataFrame) -> list[str]:
    """What a table made from a folder leaves out or takes for granted."""
    stray = sum(1 for _ in _media_below(folder)) - len(frame)
    found = [f"{stray} media files lie directly in {folder.name} and have no label: left out"] if stray else []
    if "subfolder" in frame.columns:
        found.append(
            "class folders hold folders: the first level is the label, `subfolder` the rest (a finer label? a group?)"
        )
    return found


def _media_below(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if PurePath(name).suffix.lower() in MEDIA_SUFFIXES and not name.startswith("."):
                yield Path(parent, name).relative_to(folder).as_posix()


def _row(parts: tuple[str, ...], has_split: bool) -> dict[str, str | None]:
    inner = parts[1:] if has_split else parts
    label = inner[0] if len(inner) > 1 else None
    split = {"split": parts[0]} if has_split else {}
    return {"file": "/".join(parts), "label": label, **split, "subfolder": "/".join(inner[1:-1])}
