"""Prepared photos on disk: decoded once, shared by folds, members, epochs and processes.

A cache is a folder named by its key, the BLAKE2b of the preparation and of the distinct contents in order:

    arena.bin    the pixels of all distinct photos, one after the other, each uint8 (h, w, 3) in C order
    index.npz    content keys, offsets, heights and widths, and the reasons for contents that cannot be prepared

It is written beside its place and renamed into it, so that it is there whole or not at all. Photos pass through memory
one by one and are read through a memory map: neither writing nor reading needs room for all of them.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar
from zipfile import BadZipFile

import numpy as np

from outfold.data.crops import Photo, file_of, photo_key
from outfold.data.keys import content_keys
from outfold.data.locks import exclusive
from outfold.data.threads import in_order
from outfold.errors import MediaError, OutfoldError, RunError, may_pass
from outfold.settings.data import OnBad

Shown = TypeVar("Shown", bound=Photo)
"""What rows use of photos: whole files, or parts of some."""
Item = TypeVar("Item")
Prepare = Callable[[Shown], np.ndarray]
Progress = Callable[[int, int], None]

_LAYOUT = b"outfold image cache 1"
ARENA, INDEX = "arena.bin", "index.npz"


class ImageCache:
    """Prepared photos by row: `cache[i]` is a read-only uint8 (h, w, 3) view into a memory map.

    Reading is safe from several threads. Pickling sends the path, not the pixels. Rows of equal content share pixels.
    """

    def __init__(
        self, folder: Path, content_keys: Sequence[str], photo_keys: Sequence[str], missing: dict[int, str]
    ) -> None:
        """Open the cache in `folder` for rows with these keys; `missing` has the rows without one."""
        self.folder = folder
        self.content_keys = tuple(content_keys)
        """BLAKE2b of each row's file, "" where it cannot be read."""
        self.photo_keys = tuple(photo_keys)
        """The same of what is used of it: another key for each box (`outfold.data.crops.photo_key`)."""
        index, arena = _read_index(folder), folder / ARENA
        self.nbytes = index.nbytes
        """Bytes of pixels on disk."""
        self._pixels = np.asarray(np.memmap(arena, np.uint8, "r")) if self.nbytes else np.empty(0, np.uint8)
        position = {key: place for place, key in enumerate(index.keys)}
        self._places = [position[key] if key else -1 for key in self.photo_keys]
        self._offsets, self._heights, self._widths = index.offsets, index.heights, index.widths
        unusable = {row: index.reasons[place] for row, place in enumerate(self._places) if place in index.reasons}
        self._missing = dict(missing)
        self.bad: dict[int, str] = dict(sorted((missing | unusable).items()))
        """Rows without pixels and why."""

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, row: int) -> np.ndarray:
        row = range(len(self))[row]
        if row in self.bad:
            raise MediaError(f"row {row} has no photo in the cache", got=self.bad[row])
        place = self._places[row]
        start, height, width = self._offsets[place], self._heights[place], self._widths[place]
        return self._pixels[start : start + height * width * 3].reshape(height, width, 3)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))

    def __reduce__(
        self,
    ) -> tuple[type["ImageCache"], tuple[Path, tuple[str, ...], tuple[str, ...], dict[int, str]]]:
        return ImageCache, (self.folder, self.content_keys, self.photo_keys, self._missing)


def default_cache_folder() -> Path:
    """$OUTFOLD_CACHE, or `outfold` in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache)."""
    own = os.environ.get("OUTFOLD_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outfold"


def build_cache(
    photos: Sequence[Shown],
    prepare_key: str,
    prepare: Prepare[Shown],
    folder: Path,
    *,
    workers: int,
    on_bad: OnBad = "stop",
    progress: Progress | None = None,
    name_row: Callable[[int], str] = "row {}".format,
) -> ImageCache:
    """Open the cache of these photos, preparing them first where it is not there yet.

    Of several processes that want the same cache one builds it and the others wait.

    Args:
        photos: one for each row, a file or a part of one.
        prepare_key: names what `prepare` does; another key is another cache.
        prepare: reads a photo into uint8 (h, w, 3); called in several threads; raises MediaError for a bad file.
        folder: where caches are kept; made when missing.
        workers: threads that read and prepare.
        on_bad: `stop` raises for bad files, once all were tried; `drop` lists their rows in `.bad`.
        progress: called as progress(done, total) for each distinct photo, from the calling thread.
        name_row: what errors call a row, given its position from 0.

    Raises:
        MediaError: with `stop`, the first bad files, their rows and their number.
        RunError: the folder cannot be written, or the disk is full; nothing half-written is left.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        keys, missing = content_keys([file_of(photo) for photo in photos], folder, workers=workers)
        if on_bad == "stop":
            refuse_bad(missing, len(photos), name_row)
        shown = [photo_key(key, photo) for key, photo in zip(keys, photos, strict=True)]
        distinct = first_of_each(shown, photos)
        place = folder / cache_key(_LAYOUT, prepare_key, distinct)
        with exclusive(folder / f"{place.name}.lock"):
            if not (place / INDEX).is_file():
                _write_cache(place, distinct, prepare, workers, progress or _no_progress)
            elif progress is not None:
                progress(len(distinct), len(distinct))
        cache = ImageCache(place, keys, shown, missing)
    if on_bad == "stop":
        refuse_bad(cache.bad, len(photos), name_row)
    return cache


def first_of_each(keys: Sequence[str], items: Sequence[Item]) -> dict[str, Item]:
    """Each key with the first item that has it; items without one are left out."""
    distinct: dict[str, Item] = {}
    for key, item in zip(keys, items, strict=True):
        if key:
            distinct.setdefault(key, item)
    return distinct


def _no_progress(done: int, total: int) -> None:
    pass


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the operating system says about the cache folder into a RunError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        problem = "the disk is full" if full else "the cache cannot be written or read"
        fix = "free some space, or set OUTFOLD_CACHE to a folder on another disk"
        raise RunError(f"{folder}: {problem}", got=error, fix=fix) from error


def cache_key(layout: bytes, prepare_key: str, keys: Iterable[str]) -> str:
    """Names the folder of a cache: BLAKE2b of its layout, of the preparation, and of the contents in order."""
    digest = hashlib.blake2b(layout, digest_size=16)
    for part in (prepare_key, *keys):
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8) + encoded)
    return digest.hexdigest()


def refuse_bad(
    bad: dict[int, str], total: int, name_row: Callable[[int], str], limit: int = 10, *, media: str = "photos"
) -> None:
    """Raise MediaError with the first rows whose media cannot be used, and why; nothing where there are none."""
    if not bad:
        return
    lines = [f"{name_row(row)}: {reason.replace(chr(10), ';')}" for row, reason in list(bad.items())[:limit]]
    more = [f".. and {len(bad) - limit} more"] if len(bad) > limit else []
    raise MediaError(
        f"{len(bad)} of {total} {media} cannot be used",
        got="\n            ".join([*lines, *more]),
        fix=f"mend or remove them, or set data.on_bad_media: drop to go on without these {media}",
    )


@dataclass
class _Index:
    """What index.npz holds."""

    keys: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    """By position in `keys`."""
    nbytes: int = 0

    def add(self, key: str, height: int, width: int) -> None:
        self.keys.append(key)
        self.offsets.append(self.nbytes)
        self.heights.append(height)
        self.widths.append(width)
        self.nbytes += height * width * 3


def _write_cache(
    place: Path, photos: dict[str, Shown], prepare: Prepare[Shown], workers: int, progress: Progress
) -> None:
    """Prepare the photos in threads, write them in order, and rename the result into place."""
    with appearing(place) as unfinished:
        results = in_order(partial(_pixels_or_reason, prepare), photos.values(), workers)
        with (unfinished / ARENA).open("wb") as arena, closing(results):
            index = _write_arena(arena, list(photos), results, progress)
        _write_index(unfinished, index)


@contextmanager
def appearing(place: Path) -> Iterator[Path]:
    """A folder to write into that becomes `place` when all went well and is gone otherwise; for a lock's holder."""
    unfinished = place.with_suffix(".partial")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed
    unfinished.mkdir()
    try:
        yield unfinished
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_arena(
    arena: BinaryIO, keys: Sequence[str], results: Iterable[np.ndarray | str], progress: Progress
) -> _Index:
    index = _Index()
    progress(0, len(keys))
    for done, (key, result) in enumerate(zip(keys, results, strict=True), 1):
        if isinstance(result, str):
            index.reasons[done - 1] = result
            index.add(key, 0, 0)
        else:
            arena.write(result.data)
            index.add(key, *result.shape[:2])
        progress(done, len(keys))
    return index


def _pixels_or_reason(prepare: Prepare[Shown], photo: Shown) -> np.ndarray | str:
    try:
        pixels = prepare(photo)
    except MediaError as error:
        if may_pass(error, was_read=True):
            raise  # nothing to remember in a cache
        return str(error)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise OutfoldError(
            f"{file_of(photo)}: the preparation returned {pixels.dtype} {pixels.shape}",
            expected="uint8 (height, width, 3)",
        )
    return np.ascontiguousarray(pixels)


def _write_index(folder: Path, index: _Index) -> None:
    np.savez(
        folder / INDEX,
        keys=np.array(index.keys, dtype="S40"),
        places=np.array([index.offsets, index.heights, index.widths], dtype=np.int64),
        bad=np.array(list(index.reasons), dtype=np.int64),
        reasons=np.array(list(index.reasons.values()), dtype=np.str_),
        nbytes=np.int64(index.nbytes),
    )


def _read_index(folder: Path) -> _Index:
    """The index of a cache whose arena is as long as it says; RunError where either is damaged."""
    try:
        with np.load(folder / INDEX, allow_pickle=False) as stored:
            offsets, heights, widths = stored["places"].tolist()
            reasons = dict(zip(stored["bad"].tolist(), stored["reasons"].tolist(), strict=True))
            keys, nbytes = stored["keys"].astype("U40").tolist(), int(stored["nbytes"])
        intact = (folder / ARENA).stat().st_size == nbytes
    except (FileNotFoundError, ValueError, KeyError, BadZipFile):
        intact = False
    if not intact:
        raise RunError(f"{folder}: this cache is damaged", fix="delete the folder; it is built anew")
    return _Index(keys, offsets, heights, widths, reasons, nbytes)
