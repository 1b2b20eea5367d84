"""Windows of recordings that are answers: those that begin every so many seconds, and whether they are there."""

import numpy as np

from outfold.data.audio.rows import RowClips
from outfold.errors import DataError
from outfold.inference.in_time import OFF_GRID


def beginning_every(start_s: np.ndarray, every_s: float) -> np.ndarray:
    """Bool (n,): the windows that begin at a multiple of so many seconds, given where they begin, (n,) in seconds."""
    places = np.asarray(start_s, dtype=np.float64) / every_s
    return np.abs(places - np.rint(places)) <= OFF_GRID


def refuse_passed_over(windows: RowClips, every_s: float) -> None:
    """Refuse windows among which answers every so many seconds are missing.

    Windows may be missing: what lies between two that do not touch was never cut. Where some are no answers, though,
    some of the table must lie no further from each other than answers do.

    Args:
        windows: of any recordings, in any order.
        every_s: seconds from one answer to the next.

    Raises:
        DataError: a recording has no window at any multiple, all windows lie further apart than answers and not all are
            answers, or no window begins at a multiple across which windows go on.
    """
    _refuse_bare(windows, every_s)
    group = np.unique(windows.recording, return_inverse=True)[1]
    order = np.lexsort((windows.start_s, group))
    follows = np.flatnonzero(group[order[:-1]] == group[order[1:]])
    before, behind = windows.take(order[follows]), windows.take(order[follows + 1])
    if not beginning_every(windows.start_s, every_s).all():
        _refuse_wide(before, behind, every_s)
    _refuse_between(before, behind, every_s)


def _refuse_bare(windows: RowClips, every_s: float) -> None:
    """Refuse a recording without an answer."""
    answered = windows.recording[beginning_every(windows.start_s, every_s)]
    bare = sorted(set(windows.recording.tolist()) - set(answered.tolist()))
    if bare:
        problem = f"no window of a recording begins at a multiple of {every_s:g} s"
        raise DataError(problem, got=f"{len(bare)} recordings, the first is {str(bare[0])!r}")


def _refuse_wide(before: RowClips, behind: RowClips, every_s: float) -> None:
    """Refuse windows that all begin further apart than answers should."""
    hops = behind.start_s - before.start_s
    hops = hops[hops > OFF_GRID * every_s]  # one that is there twice is no hop
    if len(hops) and hops.min() > (1 + OFF_GRID) * every_s:
        raise DataError(
            f"windows begin {hops.min():g} s apart or more, and answers are to lie {every_s:g} s apart",
            expected=f"windows whose hop goes into {every_s:g} s",
        )


def _refuse_between(before: RowClips, behind: RowClips, every_s: float) -> None:
    """Refuse windows that touch or overlap, and have a multiple between their beginnings."""
    first, following = (np.asarray(one.start_s, dtype=np.float64) / every_s for one in (before, behind))
    missing = np.ceil(following - OFF_GRID) - np.floor(first + OFF_GRID) - 1
    missing[before.end_s < behind.start_s - OFF_GRID * every_s] = 0
    passed = np.flatnonzero(missing > 0)
    if len(passed):
        at = passed[0]
        raise DataError(
            f"no window begins at {(np.floor(first[at] + OFF_GRID) + 1) * every_s:g} s of {before.recording[at]!r}",
            got=f"windows at {before.start_s[at]:g} s and {behind.start_s[at]:g} s; "
            f"{missing[passed].sum():g} multiples of {every_s:g} s are passed over so",
            expected=f"windows whose hop goes into {every_s:g} s",
        )
