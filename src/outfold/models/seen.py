"""Which rows weights have seen, kept in the header of their own file, so that it goes wherever the weights go.

Weights that were trained on a row must never judge it, nor start a model that judges it. A run knows its own weights;
of weights that come from elsewhere, this header is what there is to know.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from outfold.errors import WeightsError

HEADER = "outfold.seen"


def row_marks(ids: Sequence[str] | np.ndarray, content: Sequence[str]) -> np.ndarray:
    """A number for each row by which it is known again: of what its file holds or, without a file, of its id.

    Args:
        ids: (n,) the rows' ids.
        content: (n,) content keys of their files; empty for all rows, or empty texts, where there are none.

    Returns:
        uint64 (n,); two rows of 33,000 share one by chance with a probability of 3e-11.
    """
    names = [key or f"id {name}" for name, key in zip(ids, content or [""] * len(ids), strict=True)]
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, dtype="<u8")


def seen_header(marks: np.ndarray) -> dict[str, str]:
    """The rows as metadata of a safetensors file."""
    return {HEADER: base64.b64encode(np.unique(marks).astype("<u8").tobytes()).decode("ascii")}


def seen_by(path: Path) -> np.ndarray | None:
    """Marks of the rows that weights, or those they started from, were trained on; None where the file does not say.

    Args:
        path: a weights file; only safetensors files of outfold's runs say.

    Returns:
        uint64 (m,), ascending.

    Raises:
        WeightsError: the header is damaged.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "np") as file:
            text = (file.metadata() or {}).get(HEADER)
        return None if text is None else np.frombuffer(base64.b64decode(text, validate=True), dtype="<u8")
    except (SafetensorError, binascii.Error, ValueError, OSError) as error:
        raise WeightsError(f"{path}: its header cannot be read: {error}") from error
