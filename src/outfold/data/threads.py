"""Work in threads, a bounded number of pieces ahead of whoever takes the results."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")

AHEAD = 4
"""Pieces in work or waiting to be taken, for each thread."""


def in_order(work: Callable[[Item], Done], items: Iterable[Item], workers: int) -> Generator[Done]:
    """Results in the order of the items; what was not begun is left undone where the reader stops or work raises.

    Args:
        work: called in several threads.
        items: one for each call.
        workers: threads.
    """
    pending: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > workers * AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
