"""Waveforms on disk: decoded and resampled once, shared by folds, members, epochs and processes.

A cache is a folder as that of photos is (`outfold.data.cache`), named by the rate, the storage and the distinct parts
of recordings in order:

    arena.bin    the samples of all distinct parts, one after the other
    index.npz    keys, offsets and lengths in samples, scales, and the reasons for parts that cannot be used

Of a long recording only the seconds that training can ask for need to be there: a part for its head, one for its tail.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple
from zipfile import BadZipFile

import numpy as np

from outfold.data.audio.decode import QUALITY, Missing
from outfold.data.audio.parts import Part, decode_parts, part_key, stretches
from outfold.data.cache import ARENA, INDEX, Progress, appearing, cache_key, disk_errors, first_of_each, refuse_bad
from outfold.data.keys import content_keys
from outfold.data.locks import exclusive
from outfold.data.threads import in_order
from outfold.errors import MediaError, RunError
from outfold.settings.data import OnBad

_LAYOUT = b"outfold audio cache 1"

Storage = Literal["int16", "float16", "float32"]
"""How a sample is kept.

`int16`: each part is scaled so that its peak is 32767; the error is at most 1/65534 of that peak, 96 dB below it, also
in quiet recordings. `float16`: no scale; the error is at most 1/2048 of each sample, or 3e-8 of full scale where that
is more. `float32`: exact, and twice the disk.
"""


class AudioCache:
    """Waveforms by row: `cache[i]` is float32 (n,); `cache.read(i, start, stop)` reads only these samples.

    Samples are read from the file, not through a memory map, whose pages would count as the process's memory: hours of
    recordings cost no more of it than minutes.

    Reading is safe from several threads. Pickling sends the path, not the sound. Rows of equal content share samples.
    """

    def __init__(
        self, folder: Path, content_keys: Sequence[str], part_keys: Sequence[str], missing: dict[int, str]
    ) -> None:
        """Open the cache in `folder` for rows with these keys; `missing` has the rows without a file."""
        self.folder = folder
        self.content_keys = tuple(content_keys)
        """BLAKE2b of each row's file, "" where it cannot be read."""
        self.part_keys = tuple(part_keys)
        """The same of what is used of it: another key for other seconds."""
        index, self._arena = _read_index(folder), folder / ARENA
        self.sample_rate = index.sample_rate
        """Hz."""
        self.nbytes = index.nbytes
        """Bytes of sound on disk."""
        self._dtype = np.dtype(index.storage)
        position = {key: place for place, key in enumerate(index.keys)}
        self._places = [position[key] if key else -1 for key in self.part_keys]
        self._offsets, self._lengths, self._scales = index.offsets, index.lengths, index.scales
        unusable = {row: index.reasons[place] for row, place in enumerate(self._places) if place in index.reasons}
        self._missing = dict(missing)
        self.bad: dict[int, str] = dict(sorted((missing | unusable).items()))
        """Rows without sound and why."""

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.read(row)

    def length(self, row: int) -> int:
        """Samples of a row; 0 for a bad one."""
        return 0 if row in self.bad else self._lengths[self._places[row]]

    @property
    def lengths(self) -> np.ndarray:
        """int64 (rows,): samples of each row; 0 for bad ones."""
        return np.array([self.length(row) for row in range(len(self))], dtype=np.int64)

    def read(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples start..stop of a row, clipped to what it has as a slice is: float32 (n,), writeable.

        Raises:
            MediaError: the row is a bad one.
        """
        row = range(len(self))[row]
        if row in self.bad:
            raise MediaError(f"row {row} has no sound in the cache", got=self.bad[row])
        place = self._places[row]
        first, last, _ = slice(start, stop).indices(self._lengths[place])
        offset = (self._offsets[place] + first) * self._dtype.itemsize
        stored = np.fromfile(self._arena, self._dtype, max(last - first, 0), offset=offset)
        return Stored(stored, self._scales[place]).waveform()

    def __reduce__(
        self,
    ) -> tuple[type["AudioCache"], tuple[Path, tuple[str, ...], tuple[str, ...], dict[int, str]]]:
        return AudioCache, (self.folder, self.content_keys, self.part_keys, self._missing)


def build_audio_cache(
    parts: Sequence[Part],
    sample_rate: int,
    folder: Path,
    *,
    storage: Storage = "int16",
    missing: Missing = "refuse",
    workers: int,
    on_bad: OnBad = "stop",
    progress: Progress = lambda done, total: None,
    name_row: Callable[[int], str] = "row {}".format,
) -> AudioCache:
    """Open the cache of these parts, decoding them first where it is not there yet.

    Of several processes that want the same cache one builds it and the others wait. Parts of one recording that follow
    each other are decoded in one pass, so neither memory nor the time for a window grows with the length of a recording
    that is cut into windows; a part that is a whole recording is held whole, several by each thread.

    Args:
        parts: one for each row.
        sample_rate: Hz.
        folder: where caches are kept; made when missing.
        storage: how samples are kept, and with what error.
        missing: for parts that end behind their recording's end, see `outfold.data.audio.decode.decode_audio`.
        workers: threads that decode.
        on_bad: `stop` raises for bad recordings, once all were tried; `drop` lists their rows in `.bad`.
        progress: called as progress(done, total) for each distinct part, from the calling thread.
        name_row: what errors call a row, given its position from 0.

    Raises:
        MediaError: with `stop`, the first bad recordings, their rows and their number.
        DataError: a part is none.
        RunError: the folder cannot be written, or the disk is full; nothing half-written is left.
    """
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        keys, unreadable = content_keys([part.path for part in parts], folder, workers=workers)
        if on_bad == "stop":
            refuse_bad(unreadable, len(parts), name_row, media="recordings")
        own = [part_key(key, part) for key, part in zip(keys, parts, strict=True)]
        distinct = first_of_each(own, parts)
        place = folder / cache_key(_LAYOUT, f"{sample_rate} Hz {QUALITY} {storage} {missing}", distinct)
        with exclusive(folder / f"{place.name}.lock"):
            if not (place / INDEX).is_file():
                prepare = partial(stored_parts, sample_rate=sample_rate, storage=storage, missing=missing)
                _write_cache(place, distinct, prepare, _Index(sample_rate, storage), workers, progress)
            else:
                progress(len(distinct), len(distinct))
        cache = AudioCache(place, keys, own, unreadable)
    if on_bad == "stop":
        refuse_bad(cache.bad, len(parts), name_row, media="recordings")
    return cache


class Stored(NamedTuple):
    """A waveform as the arena keeps it: the sound is samples * scale."""

    samples: np.ndarray
    scale: float

    def waveform(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples start..stop, clipped to what there is as a slice is: float32 (n,), a new array."""
        return self.samples[start:stop].astype(np.float32) * np.float32(self.scale)


def store(waveform: np.ndarray, storage: Storage) -> Stored:
    """A waveform float32 (n,) in a storage's type, and the scale that brings it back."""
    if storage != "int16":
        return Stored(waveform.astype(storage), 1.0)
    peak = float(np.abs(waveform).max(initial=0.0))
    if not peak:
        return Stored(np.zeros(len(waveform), np.int16), 1.0)
    # In float64, as 32767 / peak of a barely audible recording is more than float32 holds.
    return Stored(np.rint(waveform.astype(np.float64) * (32767 / peak)).astype(np.int16), peak / 32767)


@dataclass
class _Index:
    """What index.npz holds."""

    sample_rate: int
    storage: str
    keys: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    """By position in `keys`."""

    @property
    def nbytes(self) -> int:
        return sum(self.lengths) * np.dtype(self.storage).itemsize

    def add(self, key: str, length: int, scale: float) -> None:
        self.offsets.append(self.offsets[-1] + self.lengths[-1] if self.keys else 0)
        self.keys.append(key)
        self.lengths.append(length)
        self.scales.append(scale)


def stored_parts(
    parts: Sequence[Part], *, sample_rate: int, storage: Storage, missing: Missing
) -> Iterable[Stored | str]:
    """Each part of one recording as the arena keeps it, or why there is none; many of them only as they are taken."""

    def kept(one: np.ndarray | str) -> Stored | str:
        return one if isinstance(one, str) else store(one, storage)

    found = decode_parts(parts, sample_rate, missing=missing)
    return list(map(kept, found)) if isinstance(found, list) else map(kept, found)


def _write_cache(
    place: Path,
    parts: dict[str, Part],
    prepare: Callable[[Sequence[Part]], Iterable[Stored | str]],
    index: _Index,
    workers: int,
    progress: Progress,
) -> None:
    """Decode the parts in threads, write them in order, and rename the result into place."""
    with appearing(place) as unfinished:
        results = in_order(prepare, stretches(list(parts.values())), workers)
        with (unfinished / ARENA).open("wb") as arena, closing(results):
            _write_arena(arena, list(parts), chain.from_iterable(results), index, progress)
        _write_index(unfinished, index)


def _write_arena(
    arena: BinaryIO, keys: Sequence[str], results: Iterable[Stored | str], index: _Index, progress: Progress
) -> None:
    progress(0, len(keys))
    for done, (key, result) in enumerate(zip(keys, results, strict=True), 1):
        if isinstance(result, str):
            index.reasons[done - 1] = result
            index.add(key, 0, 1.0)
        else:
            arena.write(result.samples.data)
            index.add(key, len(result.samples), result.scale)
        progress(done, len(keys))


def _write_index(folder: Path, index: _Index) -> None:
    np.savez(
        folder / INDEX,
        sample_rate=np.int64(index.sample_rate),
        storage=np.str_(index.storage),
        keys=np.array(index.keys, dtype="S40"),
        places=np.array([index.offsets, index.lengths], dtype=np.int64),
        scales=np.array(index.scales, dtype=np.float64),
        bad=np.array(list(index.reasons), dtype=np.int64),
        reasons=np.array(list(index.reasons.values()), dtype=np.str_),
    )


def _read_index(folder: Path) -> _Index:
    """The index of a cache whose arena is as long as it says; RunError where either is damaged."""
    try:
        with np.load(folder / INDEX, allow_pickle=False) as stored:
            offsets, lengths = stored["places"].tolist()
            index = _Index(
                int(stored["sample_rate"]),
                str(stored["storage"]),
                stored["keys"].astype("U40").tolist(),
                offsets,
                lengths,
                stored["scales"].tolist(),
                dict(zip(stored["bad"].tolist(), stored["reasons"].tolist(), strict=True)),
            )
        intact = (folder / ARENA).stat().st_size == index.nbytes
    except (FileNotFoundError, ValueError, KeyError, BadZipFile):
        intact = False
    if not intact:
        raise RunError(f"{folder}: this cache is damaged", fix="delete the folder; it is built anew")
    return index
