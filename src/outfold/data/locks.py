"""Locks between processes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for any other holder; a holder that dies lets go of it.

    The file stays behind: removing it would let two processes hold different files of one name.
    """
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
