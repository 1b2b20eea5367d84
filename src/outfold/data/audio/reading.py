"""Open recordings and their samples in blocks, with what libsndfile 1.2 does not do by itself seen to.

Ogg Vorbis, MP3      a seek may land beside its place: unless told otherwise, a place is reached by decoding
MP3 without a tag    the length is guessed from the first frame, and reading would stop there: such a file is read
that says its length    as a pipe, which has no length
FLAC that does not   refused, for its last samples would be lost
say its length
"""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import numpy as np
import soundfile

from outfold.errors import MediaError

SUFFIXES = frozenset({".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"})
"""How the names of recordings end, where a folder is searched for them; of formats that libsndfile reads."""
BLOCK = 1 << 16
"""Frames that are decoded at once."""
RUN_UP = 8192
"""Frames decoded before a place that was sought in a format without exact seeks: what follows a seek is not whole."""
UNKNOWN = 2**62
"""The number of frames is larger where libsndfile does not know it."""
_SEEKABLE = ("FLOAT", "DOUBLE", "ULAW", "ALAW")
"""Subtypes beside PCM_* of which every frame stands for itself; FLAC's subtypes are PCM_* too, and it seeks exactly."""


@contextmanager
def open_audio(path: Path | str) -> Iterator[soundfile.SoundFile]:
    """The open recording at its beginning; what libsndfile says against it, now or later, becomes a MediaError.

    Raises:
        MediaError: the file is missing, empty, not a recording, damaged, or a FLAC that does not say its length.
    """
    file = open_header(path)
    if lacks_length(file, path):
        file.close()
        file = _opened(path, _piped(path))
    elif file.frames > UNKNOWN:
        file.close()
        raise MediaError(f"{path}: the header does not say how long the recording is", fix="write the file anew")
    with file:
        try:
            yield file
        except soundfile.SoundFileError as error:
            raise _refused(path, "the recording is damaged or cut short", error) from error


def open_header(path: Path | str) -> soundfile.SoundFile:
    """The open file as libsndfile sees it.

    Raises:
        MediaError: the file is missing, empty, or not a recording.
    """
    return _opened(path, str(path))


def _opened(path: Path | str, source: str | int) -> soundfile.SoundFile:
    """The file by its name, or by the pipe that its bytes come through."""
    try:
        return soundfile.SoundFile(source)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a headerless .raw, by its name
        _refuse_unreadable(path)
        raise _refused(path, "not a recording that can be read", error) from error


def raw_blocks(file: soundfile.SoundFile, frames: int | None = None) -> Iterator[np.ndarray]:
    """Up to `frames` frames (None: all) from where the file stands, float32 (b, channels), b at most BLOCK."""
    left = math.inf if frames is None else frames
    while left > 0:
        block = file.read(int(min(BLOCK, left)), dtype="float32", always_2d=True)
        if not len(block):
            return
        left -= len(block)
        yield block


def mono_blocks(file: soundfile.SoundFile, frames: int | None = None) -> Iterator[np.ndarray]:
    """The same as the mean of the channels, float32 (b,)."""
    for block in raw_blocks(file, frames):
        yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def skip_to(file: soundfile.SoundFile, frame: int, *, exact: bool = True) -> None:
    """Bring a file that stands at its beginning to a frame, or to its end where there are fewer.

    Args:
        file: as `open_audio` gives it.
        frame: the frame to stand at.
        exact: False: seek also where that may miss the place, with a run-up.
    """
    place = 0
    if file.seekable() and (seeks_exactly(file.subtype) or not exact):
        run_up = 0 if seeks_exactly(file.subtype) else RUN_UP
        place = file.seek(max(0, min(frame, file.frames) - run_up))
    for _ in raw_blocks(file, frame - place):
        pass


def seeks_exactly(subtype: str) -> bool:
    """Whether a seek in this subtype, by libsndfile's name, lands on its place with whole samples behind it."""
    return subtype.startswith("PCM_") or subtype in _SEEKABLE


def lacks_length(file: soundfile.SoundFile, path: Path | str) -> bool:
    """Whether an MP3's first frame has no tag (Xing, Info or VBRI) that says how many frames follow."""
    if file.format != "MP3":
        return False
    with Path(path).open("rb") as data:
        head = data.read(10)
        data.seek(10 + _syncsafe(head[6:]) if head.startswith(b"ID3") else 0)
        begin = data.read(4096)
    frame = begin[max(0, begin.find(b"\xff")) :][:200]
    return not any(tag in frame for tag in (b"Xing", b"Info", b"VBRI"))


def _syncsafe(size: bytes) -> int:
    """Four bytes of seven bits each: how ID3v2 writes the size of its tags (ID3v2.4, section 6.2)."""
    return sum((byte & 127) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))


def _piped(path: Path | str) -> int:
    """The reading end of a pipe that a thread fills with a file's bytes; whoever opens it closes it."""
    reading, writing = os.pipe()

    def fill() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe, Path(path).open("rb") as source:
            while data := source.read(BLOCK):
                pipe.write(data)

    Thread(target=fill, daemon=True).start()
    return reading


def _refused(path: Path | str, problem: str, error: Exception) -> MediaError:
    return MediaError(f"{path}: {problem}", got=getattr(error, "error_string", None) or error)


def _refuse_unreadable(path: Path | str) -> None:
    """MediaError for what libsndfile only calls a system error, or no known format."""
    try:
        with Path(path).open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError as error:
        raise MediaError(f"{path}: the file does not exist") from error
    except OSError as error:
        raise MediaError(f"{path}: the file cannot be read", got=error.strerror) from error
    if empty:
        raise MediaError(f"{path}: the file is empty (0 bytes)")
