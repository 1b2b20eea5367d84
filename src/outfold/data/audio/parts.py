"""Parts of recordings, by which caches know sound; those of one recording are decoded together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outfold.data.audio.decode import Missing, decode_audio
from outfold.data.audio.stream import Held, stream_audio
from outfold.data.media import content_key_of
from outfold.errors import MediaError

MOST = 48
"""Parts that are decoded at once; of more, the recording is read as a stream."""
GAP_S = 10.0
"""Seconds between two parts that are decoded along with them; parts further from each other are sought one by one."""


@dataclass(frozen=True)
class Part:
    """Seconds of a recording; all of it when only the path is given."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None
    """None: to the end."""


def part_key(content: str, part: Part) -> str:
    """What tells a part's sound from all others, 40 hexadecimal digits.

    Args:
        content: content key of its file; "" where that cannot be read.
        part: the part.

    Returns:
        The content key itself for a whole recording, else the BLAKE2b of it and the seconds.
    """
    if not content or (part.start_s == 0 and part.end_s is None):
        return content
    end = "end" if part.end_s is None else f"{float(part.end_s)!r}"
    return content_key_of(f"{content} {float(part.start_s)!r} {end}".encode())


def stretches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Parts in their order, in runs that one pass decodes: neighbours in one recording, each with an end."""
    run: list[Part] = []
    for part in parts:
        if run and not _follows(run[-1], part):
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def decode_parts(parts: Sequence[Part], sample_rate: int, *, missing: Missing = "refuse") -> Iterable[np.ndarray | str]:
    """The sound of each part, float32 (n,), or the reason why there is none.

    A few parts are decoded at once, here. Many are decoded as they are asked for, in one pass through the recording
    that holds no more of it than a part needs.

    Args:
        parts: a run of `stretches`.
        sample_rate: Hz.
        missing: for parts that end behind their recording's end; see `outfold.data.audio.decode.decode_audio`.

    Raises:
        MediaError: a file could not be read just now, which may pass.
    """
    if len(parts) == 1:
        return [_decoded(parts[0], sample_rate, missing)]
    if len(parts) > MOST:
        return _one_by_one(parts, sample_rate, missing)
    first, last = parts[0], parts[-1]
    sound = _decoded(Part(first.path, first.start_s, last.end_s), sample_rate, "refuse")
    if isinstance(sound, str):  # then each part is asked for by itself: it may be only the last that is not there
        return [_decoded(part, sample_rate, missing) for part in parts]
    begin = round(first.start_s * sample_rate)
    return [sound[round(part.start_s * sample_rate) - begin :][: _samples(part, sample_rate)] for part in parts]


def _one_by_one(parts: Sequence[Part], sample_rate: int, missing: Missing) -> Iterator[np.ndarray | str]:
    """Parts from a stream; those that it ends before, or breaks off before, are asked for by themselves."""
    held, done = Held(), 0
    starts = [round(part.start_s * sample_rate) for part in parts]
    try:
        for piece in stream_audio(parts[0].path, sample_rate):
            held.add(piece)
            while done < len(parts):
                sound = held.cut(starts[done], starts[done] + _samples(parts[done], sample_rate))
                if sound is None:
                    break
                done += 1
                yield sound
    except MediaError as error:
        if getattr(error.__cause__, "errno", None) is not None:
            raise
    for part in parts[done:]:
        yield _decoded(part, sample_rate, missing)


def _follows(before: Part, part: Part) -> bool:
    """Whether a part begins soon after the one before it did, and ends later."""
    if part.path != before.path or before.end_s is None or part.end_s is None:
        return False
    return before.start_s <= part.start_s <= before.end_s + GAP_S and before.end_s <= part.end_s


def _samples(part: Part, sample_rate: int) -> int:
    assert part.end_s is not None  # parts of a run have ends
    return round((part.end_s - part.start_s) * sample_rate)


def _decoded(part: Part, sample_rate: int, missing: Missing) -> np.ndarray | str:
    try:
        return decode_audio(part.path, sample_rate, part.start_s, part.end_s, missing=missing)
    except MediaError as error:
        if getattr(error.__cause__, "errno", None) is not None:
            raise  # the file could be read a moment ago, so this may pass: nothing to remember in a cache
        return str(error)
