"""Work in threads, a bounded number of pieces ahead of whoever takes the results."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")

AHEAD = 4
"""Pieces in work or waiting to be taken, for each thread."""


def in_order(
    work: Callable[[Item], Done], items: Iterable[Item], workers: int, *, ahead: int = AHEAD
) -> Generator[Done]:
    """Results in the order of the items; what was not begun is left undone where the reader stops or work raises.

    Args:
        work: called in several threads.
        items: one for each call.
        workers: threads.
        ahead: pieces in work or waiting to be taken, for each thread.
    """
    pending: deque[Future[Done]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > workers * ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def one_ahead(items: Iterator[Item]) -> Generator[Item]:
    """The items; each is made by a thread while whoever takes them looks at the one before it."""
    done = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, done)
        while (item := coming.result()) is not done:
            coming = pool.submit(next, items, done)
            yield item  # type: ignore[misc]
