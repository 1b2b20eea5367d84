"""The run folder: one process at a time, a log of events, and the names of its files."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

from outfold.errors import RunError
from outfold.files import read_json, unwritable

SUMMARY, RECIPE, FOLDS, OOF, PREDICTIONS, TARGET, REPORT, LOG, AUDIT, DIAGNOSIS = (
    "summary.json",
    "recipe.yaml",
    "folds.csv",
    "oof.parquet",
    "predictions.parquet",
    "target.json",
    "report.html",
    "log.jsonl",
    "audit.json",
    "diagnosis.json",
)


WHOLE = -1
"""Stands for the fold of a model that holds none out."""


def model_folder(fold: int, seed: int) -> str:
    """The folder of a model's files, below that of its member."""
    return f"{'whole' if fold == WHOLE else f'fold{fold}'}-seed{seed}"


def read_model_folder(name: str) -> tuple[int, int]:
    """Fold and seed of the model in such a folder."""
    place, _, seed = name.partition("-seed")
    return WHOLE if place == "whole" else int(place.removeprefix("fold")), int(seed)


def variant_file(name: str) -> str:
    """The file of a further assignment of folds."""
    return f"folds-{name}.csv"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder, making it when missing; the system lets go of it when the process ends, however it ends.

    Raises:
        RunError: another process holds it, it is not empty and no run, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if strangers and not {RECIPE, LOG, SUMMARY} & set(strangers):
            raise RunError(
                f"{folder} holds files but no run", got=sorted(strangers)[:5], fix="give another folder with --out"
            )
        lock = (folder / ".lock").open("a")
    except OSError as error:
        raise unwritable(folder, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(
                f"another process is running in {folder}", fix="wait for it, or give another folder with --out"
            ) from error
        yield


def finite(event: dict[str, Any]) -> dict[str, Any]:
    """The event with null for numbers that JSON does not know."""
    return {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in event.items()}


TICKS = ("work", "photos", "duplicates", "folds")
"""Events that only move a bar."""


class EventLog:
    """Appends events to log.jsonl, one a line, with the time in seconds since 1970; progress ticks are left out."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG
        try:
            self._file: TextIO = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise unwritable(self.path, error) from error

    def __call__(self, event: dict[str, Any]) -> None:
        """Write one event."""
        if event["event"] in TICKS:
            return
        try:
            self._file.write(json.dumps({"time": round(time.time(), 3), **finite(event)}, default=str) + "\n")
            self._file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a run.

    Raises:
        RunError: the folder is no run folder.
    """
    if not folder.is_dir():
        raise RunError(f"there is no run folder {folder}")
    return read_json(folder / SUMMARY)
