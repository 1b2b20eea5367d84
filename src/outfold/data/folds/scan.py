"""The best of a range of seeds, on all cores: the same whatever the number of threads."""

import os
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np

Kernel = Callable[[int, np.ndarray, np.ndarray], None]
"""Called with the first seed, float64 (seeds,) to fill with the imbalance of each seed's folds, and int64 (G,) to fill
with the folds of the last seed. Releases the GIL."""

Progress = Callable[[int, float], None]
"""Is told how many seeds are done and the least imbalance so far."""

DECIMALS = 9
"""Imbalances that agree so far are equal: the smaller seed wins, not the rounding of a sum."""
CHUNK_SECONDS = 0.2


@dataclass(frozen=True)
class Scanned:
    """What a range of seeds came to."""

    seed: int
    """The smallest seed with the least imbalance."""
    value: float
    """That imbalance, to DECIMALS; infinity where no seed gives every fold a group."""
    tried: int
    """Seeds that were compared, from the first on without gaps."""
    ending: str
    """`all` seeds were tried, it was `settled` (patience ran out), or it was `stopped`."""


def scan(
    kernel: Kernel,
    n_groups: int,
    first: int,
    count: int,
    *,
    threads: int | None = None,
    patience: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Scanned:
    """Try the seeds from `first` to `first + count - 1`.

    Args:
        kernel: what to try.
        n_groups: groups that it deals out.
        first: the first seed.
        count: how many.
        threads: as many as there are cores when not given.
        patience: settle once so many seeds in a row have brought nothing better.
        progress: called after every chunk of seeds, from the calling thread.
        should_stop: asked after every chunk; what was begun by then is finished, so that a range without gaps is tried.
    """
    best, tried = (np.inf, first), 0
    with closing(_chunks(kernel, n_groups, first, count, threads or cores(), should_stop)) as chunks:
        for values in chunks:
            best, settled_after = _better(best, first + tried, values, patience)
            if settled_after is not None:
                return Scanned(best[1], best[0], tried + settled_after, "settled")
            tried += len(values)
            if progress is not None:
                progress(tried, best[0])
    return Scanned(best[1], best[0], tried, "all" if tried == count else "stopped")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _better(
    best: tuple[float, int], first: int, values: np.ndarray, patience: int | None
) -> tuple[tuple[float, int], int | None]:
    """The best (imbalance, seed) after the next values, and after how many of them patience ran out, if it did."""
    rounded = np.round(values, DECIMALS)
    records = rounded < np.minimum.accumulate(np.append(best[0], rounded))[:-1]
    for position in [*np.flatnonzero(records).tolist(), len(values)]:
        last = best[1] + patience if patience is not None else np.inf
        if first + position > last:
            return best, int(last) - first + 1
        if position < len(values):
            best = (float(rounded[position]), first + position)
    return best, None


def _chunks(
    kernel: Kernel, n_groups: int, first: int, count: int, threads: int, should_stop: Callable[[], bool] | None
) -> Generator[np.ndarray]:
    """Imbalances of chunks of seeds in the order of seeds, computed by threads ahead of being asked for."""

    def run(begin: int, length: int) -> tuple[np.ndarray, float]:
        values, fold_of_group, started = np.empty(length), np.empty(n_groups, dtype=np.int64), time.perf_counter()
        kernel(begin, values, fold_of_group)
        return values, time.perf_counter() - started

    pending: deque[Future[tuple[np.ndarray, float]]] = deque()
    begin, end, length = first, first + count, 1
    pool = ThreadPoolExecutor(threads)
    try:
        while begin < end or pending:
            # One chunk more than threads, so that none waits while the first is looked at.
            while begin < end and len(pending) <= threads:
                size = min(length, end - begin)
                pending.append(pool.submit(run, begin, size))
                begin += size
            values, seconds = pending.popleft().result()
            length = max(1, min(int(len(values) * CHUNK_SECONDS / max(seconds, 1e-9)), 4 * length))
            yield values
            if should_stop is not None and should_stop():
                end = begin
    finally:
        pool.shutdown(cancel_futures=True)
