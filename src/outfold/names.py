"""The nearest known name to one that is not known, for errors that help."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like this one, or None where nothing is alike."""
    lower = {name.lower(): name for name in sorted(known, reverse=True)}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    return lower[close[0]] if close else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or all of them."""
    known = list(known)
    near = nearest(word, known)
    return f"did you mean `{near}`?" if near else f"use one of: {', '.join(known)}"
