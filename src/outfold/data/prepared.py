"""Photos brought once to stored sizes: one JPEG for each content and size, which data sets, runs and members share.

    FOLDER/square-512-q95-v1/3f/3fa0c4....jpg

A file is named by the key of the photo that it was made from: its content, and its crop box where it has one. So one
more photo, or another box, is one more file, and a photo that moves keeps its own. A file that is damaged or gone is
made anew from its photo, also in the middle of training. Decoding a small JPEG again and again takes longer than
reading pixels from a memory map (`outfold.data.cache`), and a small part of its disk.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from outfold.data.cache import Progress, disk_errors, first_of_each, refuse_bad
from outfold.data.crops import Cropped, Photo, decode_photo, file_of, photo_key
from outfold.data.jpeg import is_whole, link_jpeg, read_jpeg, stored_pixels, write_jpeg
from outfold.data.keys import content_keys
from outfold.data.locks import exclusive
from outfold.data.media import content_key_of, decoding_scale, probe_image
from outfold.data.threads import in_order
from outfold.errors import MediaError, RunError, may_pass
from outfold.settings.data import OnBad, Prepare

FORMAT = 1
"""Raised whenever other pixels are made from the same photo, so that earlier files are not used."""


def store_name(prepare: Prepare, size: int) -> str:
    """Everything but the photo that decides what is stored of it; the name of the folder."""
    return f"{prepare.crop}-{size}-q{prepare.quality}-v{FORMAT}"


def stored_size(sizes: Sequence[int], side: int) -> int:
    """The smallest size that is at least `side`, else the largest; pixels."""
    return min((size for size in sizes if size >= side), default=max(sizes))


@dataclass(frozen=True)
class Original:
    """What a stored photo is made from.

    Attributes:
        photo: a file, or the part of it that is used.
        content: content key of the file.
    """

    photo: Photo
    content: str

    @property
    def key(self) -> str:
        """Names the stored files."""
        return photo_key(self.content, self.photo)


@dataclass(frozen=True)
class Store:
    """Folders of stored photos.

    Attributes:
        folder: holds one folder for each way and size.
        prepare: the recipe's part.
    """

    folder: Path
    prepare: Prepare

    def place(self, key: str, size: int) -> Path:
        """The file of a photo, by the key of its original."""
        return self.folder / store_name(self.prepare, size) / key[:2] / f"{key}.jpg"

    @property
    def lock(self) -> Path:
        """Held while files of this way are written."""
        return self.folder / f"{self.prepare.crop}-q{self.prepare.quality}.lock"

    def missing(self, key: str, sizes: Iterable[int]) -> list[int]:
        """The sizes of a photo that are not there, or not whole."""
        return [size for size in sizes if not is_whole(self.place(key, size))]

    def make(self, original: Original, sizes: Iterable[int]) -> None:
        """Make the missing sizes of one photo; for the holder of the lock.

        Raises:
            MediaError: the photo cannot be used, or has changed.
            DataError: its box does not lie in it.
            OSError: the disk is full, or refuses.
        """
        key = original.key
        wanted = self.missing(key, sizes)
        if not wanted:
            return
        before: tuple[Path, tuple[int, ...]] | None = None  # equal shapes of two sizes: neither is shrunk
        for size, photo in _decoded(original, sorted(wanted)):
            pixels = stored_pixels(photo, self.prepare.crop, size)
            place = self.place(key, size)
            place.parent.mkdir(parents=True, exist_ok=True)
            if before is None or before[1] != pixels.shape or not link_jpeg(before[0], place):
                write_jpeg(place, pixels, self.prepare.quality)
            before = place, pixels.shape

    def mended(self, original: Original, size: int, side: int) -> np.ndarray:
        """A photo whose file could not be read, from its original if no other thread or process mends it meanwhile."""
        place = self.place(original.key, size)
        with disk_errors(self.folder), exclusive(self.lock):
            photo = read_jpeg(place, side)
            if photo is None:
                place.unlink(missing_ok=True)
                self.make(original, [size])
                photo = read_jpeg(place, side)
        if photo is None:
            raise RunError(f"{place}: a stored photo that was just written cannot be read back")
        return photo


@dataclass(frozen=True)
class Prepared:
    """A table's photos in a store.

    Attributes:
        store: where they lie.
        sizes: those that are there.
        originals: of each row; its content key is "" where the file cannot be read.
        bad: rows without a photo and why.
    """

    store: Store
    sizes: tuple[int, ...]
    originals: tuple[Original, ...]
    bad: dict[int, str]

    def photos(self, side: int, shape: Callable[[np.ndarray], np.ndarray] | None = None) -> "PreparedPhotos":
        """The photos for a member that needs a shorter side of `side` pixels, each passed through `shape`."""
        return PreparedPhotos(self, stored_size(self.sizes, side), side, shape)

    def files(self, size: int) -> set[Path]:
        """The files of one size."""
        return {self.store.place(one.key, size) for row, one in enumerate(self.originals) if row not in self.bad}


@dataclass(frozen=True)
class PreparedPhotos:
    """Photos by row, decoded when asked for: `photos[i]` is uint8 RGB (h, w, 3). Reading is safe from several threads.

    Attributes:
        prepared: the table's photos.
        size: the stored size that is read.
        side: pixels that the shorter side needs; files at least twice as large are decoded at a half or less.
        shape: is applied to each photo.
    """

    prepared: Prepared
    size: int
    side: int
    shape: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def content_keys(self) -> tuple[str, ...]:
        """BLAKE2b of each row's original, "" where it cannot be read."""
        return tuple(one.content for one in self.prepared.originals)

    @property
    def bad(self) -> dict[int, str]:
        """Rows without a photo and why."""
        return self.prepared.bad

    def __len__(self) -> int:
        return len(self.prepared.originals)

    def __getitem__(self, row: int) -> np.ndarray:
        row = range(len(self))[row]
        if row in self.bad:
            raise MediaError(f"row {row} has no stored photo", got=self.bad[row])
        store, original = self.prepared.store, self.prepared.originals[row]
        photo = read_jpeg(store.place(original.key, self.size), self.side)
        if photo is None:
            photo = store.mended(original, self.size, self.side)
        return photo if self.shape is None else self.shape(photo)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self)))


def prepare_photos(
    photos: Sequence[Photo],
    store: Store,
    sizes: Iterable[int],
    *,
    memory: Path | None = None,
    workers: int,
    on_bad: OnBad = "stop",
    progress: Progress = lambda done, total: None,
    name_row: Callable[[int], str] = "row {}".format,
) -> Prepared:
    """Make the files that a store lacks.

    Args:
        photos: one for each row, a file or a part of one.
        store: its folder is made when missing; several processes may share it.
        sizes: those that are needed.
        memory: folder where content keys are remembered; the store's own when not given.
        workers: threads.
        on_bad: `stop` raises for bad photos, once all were tried; `drop` lists their rows in `.bad`.
        progress: called as progress(done, total) for each distinct photo, from the calling thread.
        name_row: what errors call a row, given its position from 0.

    Raises:
        MediaError: with `stop`, the first bad photos, their rows and their number.
        RunError: the folder cannot be written, or the disk is full; nothing half-written is left.
    """
    sizes, memory = tuple(sorted(set(sizes))), memory or store.folder
    with disk_errors(store.folder):
        for place in (store.folder, memory):
            place.mkdir(parents=True, exist_ok=True)
        keys, missing = content_keys([file_of(photo) for photo in photos], memory, workers=workers)
        if on_bad == "stop":
            refuse_bad(missing, len(photos), name_row)
        originals = tuple(Original(photo, key) for photo, key in zip(photos, keys, strict=True))
        reasons = _fill(store, originals, sizes, workers, progress)
    bad = missing | {row: reasons[one.key] for row, one in enumerate(originals) if one.key in reasons}
    if on_bad == "stop":
        refuse_bad(bad, len(photos), name_row)
    return Prepared(store, sizes, originals, dict(sorted(bad.items())))


def _fill(
    store: Store, originals: Sequence[Original], sizes: Sequence[int], workers: int, progress: Progress
) -> dict[str, str]:
    """Make what is missing; the reasons of photos that cannot be used, by their keys."""
    photos = first_of_each([one.key for one in originals], originals)
    absent = in_order(partial(store.missing, sizes=sizes), photos, workers)
    todo = [key for key, there in zip(photos, absent, strict=True) if there]
    done = len(photos) - len(todo)
    progress(done, len(photos))
    reasons: dict[str, str] = {}
    if not todo:
        return reasons  # without waiting for a process that makes other files

    def make(key: str) -> str | None:
        try:
            store.make(photos[key], sizes)
        except MediaError as error:
            if may_pass(error, was_read=True):
                raise  # nothing that is wrong with the photo
            return str(error)
        return None

    with exclusive(store.lock):
        for number, (key, reason) in enumerate(zip(todo, in_order(make, todo, workers), strict=True), done + 1):
            if reason is not None:
                reasons[key] = reason
            progress(number, len(photos))
    return reasons


def _bytes_of(path: Path, content: str) -> bytes:
    """The bytes of a file whose content key is known."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path}: the file cannot be read", got=error.strerror) from error
    if content_key_of(data) != content:
        raise MediaError(f"{path}: the file has changed since it was first read", fix="give the same command again")
    return data


def _decoded(original: Original, sizes: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Each of some rising sizes with the photo decoded large enough for it, uint8 (H, W, 3).

    Raises:
        MediaError: the photo cannot be used, or has changed since its content key was taken; its file is named.
        DataError: its box does not lie in it.
    """
    photo, path, scale = original.photo, file_of(original.photo), 0
    data = _bytes_of(path, original.content)
    try:
        info = probe_image(data)
        for size in sizes:
            wanted = 1 if isinstance(photo, Cropped) else decoding_scale(info, size)
            if wanted != scale:
                scale, pixels = wanted, decode_photo(photo, shortest_side=size, data=data)
            yield size, pixels
    except MediaError as error:
        problem = error.problem.partition(": ")[2]  # behind what bytes are called
        raise MediaError(f"{path}: {problem}", got=error.got, expected=error.expected, fix=error.fix) from error
