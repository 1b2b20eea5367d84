"""Files that are either whole or not there: everything is written beside its place and then renamed."""

import errno
import json
import os
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

from outfold.errors import RunError


def write_atomically(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file beside `path`, flush it to disk, then rename it to `path`.

    Args:
        path: the final place; its folder is made when missing.
        write: is called with the temporary path, which has the same suffix as `path`.

    Raises:
        RunError: the folder cannot be written or the disk is full; `path` is as it was before.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if "No space left" in str(error):  # safetensors and torch wrap the system's error
            raise unwritable(path, OSError(errno.ENOSPC, "No space left on device")) from error
        raise
    return path


def unwritable(path: Path, error: OSError) -> RunError:
    """The error for a file that the system refuses to write."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return RunError(
        f"cannot write {path}: {error.strerror or error}",
        fix=(
            "free some space, then give the same command again: finished work is kept"
            if full
            else "choose a folder you may write to, then give the same command again"
        ),
    )


def write_text(path: Path, text: str) -> Path:
    """Write a UTF-8 text file atomically."""
    return write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any) -> Path:
    """Write JSON atomically; floats keep every digit, NaN is refused."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def known(value: float) -> float | None:
    """The value for JSON: None (null) where it is not a number, as an AUC of one class or an interval of one group."""
    return float(value) if isfinite(value) else None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        RunError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing", fix="is this a run folder? run the recipe again to complete it") from error
    except json.JSONDecodeError as error:
        raise RunError(f"{path} is not valid JSON: {error}", fix="delete it and run the recipe again") from error
