"""Crop boxes: the part of a photo that is used, read from a table and cut right after decoding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.media import content_key_of, decode_image
from outfold.data.paths import Confinement
from outfold.data.reading import read_rows
from outfold.errors import DataError

ID = "id"
SIDES = ("left", "top", "right", "bottom")
COLUMNS = (ID, *SIDES)
"""Columns of a table of crop boxes."""


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of an upright photo; `right` and `bottom` are the first column and row outside of it."""

    left: int
    top: int
    right: int
    bottom: int
    place: str = field(default="", compare=False)
    """Where it was read, as in `crops.csv:17`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.right - self.left, self.bottom - self.top

    def fault(self, width: int, height: int) -> str | None:
        """Why the box does not lie in a photo of this size in pixels; None where it does."""
        for name, end, length, word in (("right", self.right, width, "wide"), ("bottom", self.bottom, height, "high")):
            if end > length:
                return f"{name} is {end}, but the photo is {length} pixels {word}"
        return None


@dataclass(frozen=True)
class Cropped:
    """A photo of which only the part in a box is used."""

    path: Path
    box: Box


Photo = Path | Cropped
"""A photo as a row uses it: all of a file, or a part of it."""


def file_of(photo: Photo) -> Path:
    """The file that a photo is in."""
    return photo.path if isinstance(photo, Cropped) else photo


def photo_key(content: str, photo: Photo) -> str:
    """What tells a photo's pixels from all others, 40 hexadecimal digits.

    Args:
        content: content key of its file; "" where that cannot be read.
        photo: the photo.

    Returns:
        The content key itself where all of the file is used, else the BLAKE2b of it and the box.
    """
    if not isinstance(photo, Cropped) or not content:
        return content
    box = photo.box
    return content_key_of(f"{content} {box.left} {box.top} {box.right} {box.bottom}".encode())


def decode_photo(photo: Photo, *, shortest_side: int, data: bytes | None = None) -> np.ndarray:
    """Decode what a row uses of a photo; see `outfold.data.media.decode_image`.

    A box is in whole pixels of the photo itself, so a photo with one is decoded at its full size: at a half or less
    the box would lie between pixels.

    Args:
        photo: all of a file, or a part.
        shortest_side: pixels that the shorter side needs.
        data: the file's bytes, where they are known.

    Returns:
        uint8 (h, w, 3), contiguous.

    Raises:
        MediaError: the file is not usable.
        DataError: the box does not lie in the photo.
    """
    source = file_of(photo) if data is None else data
    if not isinstance(photo, Cropped):
        return decode_image(source, shortest_side=shortest_side)
    return cut(decode_image(source), photo.box, photo.path)


def cut(pixels: np.ndarray, box: Box, path: Path) -> np.ndarray:
    """The pixels in a box, uint8 (h, w, 3), contiguous.

    Args:
        pixels: uint8 (H, W, 3), upright.
        box: the part to keep.
        path: the photo's file, for the error.

    Raises:
        DataError: the box does not lie in the photo.
    """
    height, width = pixels.shape[:2]
    fault = box.fault(width, height)
    if fault is not None:
        raise DataError(
            f"{box.place or 'a crop box'}: the box leaves its photo {path}",
            got=fault,
            expected="pixels of the photo as it is shown, right and bottom not included",
            fix="`outfold check` lists all such boxes; draw them again with `outfold review crops`",
        )
    return np.ascontiguousarray(pixels[box.top : box.bottom, box.left : box.right])


def read_crops(path: Path) -> dict[str, Box]:
    """Read a table of crop boxes: id, left, top, right, bottom; further columns are left alone.

    Args:
        path: CSV or parquet.

    Returns:
        The boxes by id, in the order of the table.

    Raises:
        DataError: the table cannot be read, lacks a column, has a cell that is no whole number, an id twice, or a box
            without pixels. The file's name, the row and the column are named.
    """
    frame, lines = read_rows(path, exact=set(COLUMNS))
    require_columns(frame, COLUMNS, role="part of a crop box", table=path.name)
    places = [f"{path.name}:{line}" for line in lines]
    ids = _ids(frame[ID], places)
    left, top, right, bottom = (_whole_numbers(frame[name], places) for name in SIDES)
    boxes = [Box(*one) for one in zip(left, top, right, bottom, places, strict=True)]
    for box in boxes:
        _refuse_impossible(box)
    return dict(zip(ids, boxes, strict=True))


def crops_of(
    file: str | None, root: Path, ids: Sequence[str] | np.ndarray, *, optional: bool = False
) -> tuple[Box | None, ...]:
    """The box of each row; empty where no row has one.

    Args:
        file: table of boxes, relative to `root`; None where there is none.
        root: folder that relative paths start from; nothing outside it is read.
        ids: (n,) of the rows.
        optional: a file that does not exist holds no box, instead of being an error.

    Raises:
        DataError: the table is not usable.
    """
    return () if file is None else boxes_of_rows(load_crops(file, root, optional=optional), ids)


def boxes_of_rows(boxes: Mapping[str, Box], ids: Sequence[str] | np.ndarray) -> tuple[Box | None, ...]:
    """The box of each of some ids (n,); empty where none of them has one."""
    found = tuple(boxes.get(str(name)) for name in ids)
    return found if any(box is not None for box in found) else ()


def load_crops(file: str, root: Path, *, optional: bool = False) -> Mapping[str, Box]:
    """The boxes of a table inside the data root; see `crops_of`."""
    path = Confinement(root).resolve(file)
    if path is None:
        raise DataError(f"data.crops: {file!r} lies outside the data root", expected=f"a path inside {root}")
    return {} if optional and not Path(path).exists() else read_crops(Path(path))


def _ids(column: pd.Series, places: Sequence[str]) -> list[str]:
    """The ids, none missing, none twice."""
    seen: dict[str, str] = {}
    for text, place in zip(cell_texts(column), places, strict=True):
        if text is None:
            raise DataError(f"{place}: no value in column {ID!r}", expected="the id of a photo")
        if text in seen:
            raise DataError(f"{place}: a second box for {ID} {text!r}; the first is in {seen[text]}", fix="keep one")
        seen[text] = place
    return list(seen)


def _whole_numbers(column: pd.Series, places: Sequence[str]) -> list[int]:
    numbers = []
    for text, place in zip(cell_texts(column), places, strict=True):
        try:
            numbers.append(int(text or ""))
        except ValueError:
            got = "an empty cell" if text is None else repr(text)
            raise DataError(
                f"{place}: column {column.name!r} of a crop box is no whole number",
                got=got,
                expected="pixels, e.g. 120",
            ) from None
    return numbers


def _refuse_impossible(box: Box) -> None:
    """Boxes that lie in no photo, however large."""
    for start, end in (("left", "right"), ("top", "bottom")):
        first, last = getattr(box, start), getattr(box, end)
        if first < 0:
            raise DataError(f"{box.place}: column {start!r} of a crop box is negative", got=first, expected="0 or more")
        if last <= first:
            raise DataError(
                f"{box.place}: a crop box without pixels: column {end!r} is not larger than {start!r}",
                got=f"{start} {first}, {end} {last}",
                expected=f"{end} is the first pixel outside of the box",
            )
