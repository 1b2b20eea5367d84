"""What the review's script works with: photos and pairs as JSON that no HTML parser can misread."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from outfold.data.media import decode_image
from outfold.errors import MediaError
from outfold.report.html import Html
from outfold.report.review.pairs import Review
from outfold.report.thumbnails import data_uri, shrunk

LONGEST_SIDE = 320
"""Pixels of an embedded photo: enough to compare two, and a thousand of them are some 20 MB."""

Photo = tuple[str, str]
"""A photo's table and id."""
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@dataclass(frozen=True)
class Embedded:
    """A photo of the page.

    Attributes:
        table: it comes from.
        id: in that table.
        image: the photo as a data URI; None where it cannot be read.
        fault: why there is no image.
    """

    table: str
    id: str
    image: str | None = None
    fault: str | None = None


def embed(shown: pd.DataFrame, media: Mapping[Photo, Path]) -> list[Embedded]:
    """Every photo of these pairs once, in the order of first appearance."""
    with ThreadPoolExecutor() as pool:  # decoding and encoding release the GIL
        return list(pool.map(lambda photo: _embedded(photo, media.get(photo)), dict.fromkeys(_photos(shown))))


def data_of(review: Review, photos: Iterable[Embedded]) -> dict[str, Any]:
    """The page's data; a pair names its photos by their places in the list of photos."""
    photos = list(photos)
    places = {(photo.table, photo.id): place for place, photo in enumerate(photos)}
    return {
        "photos": [vars(photo) for photo in photos],
        "pairs": [_pair(row, places) for row in review.shown.to_dict("records")],
        "kept": [_kept(row) for row in review.kept.to_dict("records")],
    }


def safe_json(value: Any) -> Html:
    """JSON for a script element: no character in it can end the element or start a comment or an entity."""
    return Html(json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(_ESCAPES))


def _photos(shown: pd.DataFrame) -> Iterable[Photo]:
    for row in shown.to_dict("records"):
        yield row["first_table"], row["first"]
        yield row["second_table"], row["second"]


def _embedded(photo: Photo, path: Path | None) -> Embedded:
    if path is None:
        return Embedded(*photo, fault=f"no file is known for {photo[1]} of {photo[0]}")
    try:
        pixels = decode_image(path, shortest_side=LONGEST_SIDE)
    except MediaError as error:
        return Embedded(*photo, fault=error.problem)
    return Embedded(*photo, image=data_uri(shrunk(pixels, LONGEST_SIDE)))


def _pair(row: Mapping[Any, Any], places: Mapping[Photo, int]) -> dict[str, Any]:
    return {
        "photos": [places[row["first_table"], row["first"]], places[row["second_table"], row["second"]]],
        "labels": [row["label_first"], row["label_second"]],
        "similarity": row["similarity"],
        "exact": row["exact"],
        "conflict": row["conflict"],
        "decision": row["decision"],
    }


def _kept(row: Mapping[Any, Any]) -> dict[str, Any]:
    known = not pd.isna(row["similarity"])
    return {**row, "similarity": row["similarity"] if known else None}
