"""Recordings that were cut short and decode all the same: what they say of their own end.

libsndfile takes a file of fewer samples than its header promises for a shorter recording.
"""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from outfold.data.audio.decode import AudioInfo

_UNTOLD = 0x7FFF0000
"""Writers into pipes, which never learn the length, leave 0 or a size from here on in a WAV's header."""
_LARGEST_PAGE = 65307
"""Bytes of an Ogg page (RFC 3533, section 6)."""
_END_OF_STREAM = 4
"""The flag of a logical stream's last page."""


def what_is_missing(path: Path, info: AudioInfo) -> str:
    """What a file promises of itself and does not hold, in words; empty where nothing is known to be missing.

    Args:
        path: of a recording that can be opened.
        info: what libsndfile makes of its header.
    """
    if info.format == "OGG":
        return "" if _ogg_ends(path) else "the stream does not end"
    promised = _PROMISED.get(info.format)
    with path.open("rb") as file:
        seconds = promised(file, info) if promised is not None else None
    if seconds is None or seconds <= info.duration_s:
        return ""
    return f"the header promises {seconds:.1f} s"


def _ogg_ends(path: Path) -> bool:
    """Whether a file's last page is whole and closes its stream."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _LARGEST_PAGE))
        tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or not page[5] & _END_OF_STREAM:
        return False
    segments = page[27 : 27 + page[26]]
    return len(segments) == page[26] and len(page) >= 27 + page[26] + sum(segments)


def _wav_seconds(file: BinaryIO, info: AudioInfo) -> float | None:
    """What the chunks `fmt ` and `data` say, or `ds64` for a size above 4 GB; None where they say nothing.

    Bytes behind the last whole frame, as of a writer that counts the byte of padding, are no sound.
    """
    order = ">" if file.read(4) == b"RIFX" else "<"
    frame_bytes = long_size = 0
    for name, size, head in _chunks(file, 12, order):
        if name == b"ds64":
            long_size = int(struct.unpack("<Q", head[8:16])[0])
        elif name == b"fmt ":
            frame_bytes = int(struct.unpack(f"{order}H", head[12:14])[0])
        elif name == b"data":
            promised = long_size or (size if size < _UNTOLD else 0)
            return promised // frame_bytes / info.sample_rate if promised and frame_bytes and _plain(info) else None
    return None


def _plain(info: AudioInfo) -> bool:
    """Whether each frame has bytes of its own; packed formats have blocks of several."""
    return info.subtype.startswith("PCM_") or info.subtype in ("FLOAT", "DOUBLE", "ULAW", "ALAW")


def _aiff_seconds(file: BinaryIO, info: AudioInfo) -> float | None:
    """What the chunk `COMM` says."""
    frames = (struct.unpack(">I", head[2:6])[0] for name, _, head in _chunks(file, 12, ">") if name == b"COMM")
    found = next(frames, None)
    return None if found is None or not _plain(info) else found / info.sample_rate


def _chunks(file: BinaryIO, start: int, order: str) -> Iterator[tuple[bytes, int, bytes]]:
    """Name, size and first bytes of each chunk of a RIFF or IFF file."""
    file.seek(start)
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int(struct.unpack(f"{order}I", head[4:])[0])
        place = file.tell()
        first = file.read(min(size, 28))
        yield name, size, first.ljust(28, b"\0")
        file.seek(place + size + size % 2)


_PROMISED: dict[str, Callable[[BinaryIO, AudioInfo], float | None]] = {
    "WAV": _wav_seconds,
    "WAVEX": _wav_seconds,
    "RF64": _wav_seconds,
    "AIFF": _aiff_seconds,
}
"""Seconds that a header promises, by libsndfile's name of the format."""
