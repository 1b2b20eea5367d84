"""Patterns that name files below a folder; no table is needed, nor anything heavy."""

import re
from collections.abc import Iterator
from pathlib import Path

_ENDINGS = re.compile(r"\.\{([^{},/]+(?:,[^{},/]+)+)\}$")
"""What a pattern of files ends in where it is of several kinds: `.{ogg,wav}`."""


def files_fitting(root: Path, pattern: str) -> Iterator[Path]:
    """The files below a root that fit a pattern; one that ends in `.{ogg,wav}` fits either ending."""
    endings = _ENDINGS.search(pattern)
    start = pattern[: endings.start()] if endings else pattern
    for ending in [f".{one}" for one in dict.fromkeys(endings[1].split(","))] if endings else [""]:
        yield from (path for path in root.glob(start + ending) if path.is_file())
