"""Content keys of many files, remembered so that an unchanged file is not read twice."""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outfold.data.locks import exclusive
from outfold.data.media import content_key
from outfold.errors import MediaError

_MEMORY = "content_keys.json"
_SETTLED_NS = 2_000_000_000
"""A file changed less than this before it was read may change again within one tick of its file system's clock."""

Stamp = tuple[int, int, int]


def content_keys(paths: Sequence[Path], folder: Path, *, workers: int) -> tuple[list[str], dict[int, str]]:
    """The content key of each file, "" for those that cannot be read, and the reasons by position.

    Args:
        paths: the files; repeated ones are read once.
        folder: where earlier keys are remembered by path, size, and the times of last change; must exist.
        workers: threads that read.
    """
    known = _recall(folder)
    names = list(dict.fromkeys(map(str, paths)))
    stamps = {name: _stamp(name) for name in names}
    keys = {name: entry[1] for name in names if (entry := known.get(name)) and entry[0] == stamps[name]}
    started = time.time_ns()
    with ThreadPoolExecutor(workers) as pool:
        fresh = [name for name in names if name not in keys]
        read = dict(zip(fresh, pool.map(_key_or_reason, fresh), strict=True))
    keys |= {name: key for name, (key, _) in read.items()}
    settled = {name: (stamp, keys[name]) for name in fresh if (stamp := stamps[name]) and _settled(stamp, started)}
    _remember(folder, {name: entry for name, entry in settled.items() if entry[1]})
    reasons = {row: read[name][1] for row, name in enumerate(map(str, paths)) if not keys[name]}
    return [keys[name] for name in map(str, paths)], reasons


def _key_or_reason(name: str) -> tuple[str, str]:
    try:
        return content_key(Path(name)), ""
    except MediaError as error:
        return "", str(error)


def _stamp(name: str) -> Stamp | None:
    try:
        status = os.stat(name)  # noqa: PTH116  called for every file of a table
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _settled(stamp: Stamp, now_ns: int) -> bool:
    return max(stamp[1:]) < now_ns - _SETTLED_NS


def _recall(folder: Path) -> dict[str, tuple[Stamp, str]]:
    """What was remembered; nothing where there is no memory or it is damaged, for it only saves time."""
    try:
        entries = json.loads((folder / _MEMORY).read_text(encoding="utf-8"))
        return {name: ((size, changed, moved), key) for name, (size, changed, moved, key) in entries.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(folder: Path, entries: dict[str, tuple[Stamp, str]]) -> None:
    """Add entries to the memory; several processes may do so at once."""
    if not entries:
        return
    with exclusive(folder / f"{_MEMORY}.lock"):
        everything = _recall(folder) | entries
        partial = folder / f"{_MEMORY}.partial"
        partial.write_text(json.dumps({name: [*stamp, key] for name, (stamp, key) in everything.items()}), "utf-8")
        partial.replace(folder / _MEMORY)
