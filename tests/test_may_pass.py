"""Which faults of media files are the system's, and pass."""

import errno

import pytest

from outfold.errors import MediaError, may_pass


def caused_by(cause: Exception | None) -> MediaError:
    error = MediaError("a.wav: the file cannot be read")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "passes", "passes_once_read"),
    [
        (OSError(errno.EMFILE, "too many open files"), True, True),
        (FileNotFoundError(errno.ENOENT, "no such file"), False, True),
        (PermissionError(errno.EACCES, "permission denied"), False, True),
        (ValueError("not a recording"), False, False),
        (None, False, False),
    ],
)
def test_what_may_pass(cause: Exception | None, passes: bool, passes_once_read: bool) -> None:
    error = caused_by(cause)
    assert (may_pass(error), may_pass(error, was_read=True)) == (passes, passes_once_read)
