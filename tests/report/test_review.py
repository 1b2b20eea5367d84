import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outfold.errors import DataError
from outfold.report.review import write_review
from outfold.report.review.content import LONGEST_SIDE, safe_json
from outfold.report.review.pairs import COLUMNS, review_of

EVIL = "</script><img src=x onerror=alert(1)><!--<script>\u2028&amp;"


class Page(HTMLParser):
    """A review page: its words, its elements, and the data that its script gets."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.markup = path.read_text(encoding="utf-8")
        self.tags: list[str] = []
        self.words = ""
        self._inside: list[str] = []
        self._data = ""
        self.feed(self.markup)
        self.close()
        self.data = json.loads(self._data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag != "meta":
            self._inside.append("data" if ("id", "data") in attrs else tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() in (tag, "data")

    def handle_data(self, data: str) -> None:
        if "data" in self._inside:
            self._data += data
        elif not {"style", "script"} & set(self._inside):
            self.words += data

    def ids(self) -> list[tuple[str, str]]:
        photos = self.data["photos"]
        return [tuple(photos[place]["id"] for place in pair["photos"]) for pair in self.data["pairs"]]


def pair(first: str, second: str, similarity: float = 0.95, **more: Any) -> dict[str, Any]:
    known = {"first_table": "train", "second_table": "train", "exact": False, "conflict": False}
    return {"first": first, "second": second, "similarity": similarity, "label_first": "", "label_second": ""} | (
        known | more
    )


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Page]:
    def written(pairs: pd.DataFrame, media: dict[tuple[str, str], Path] | None = None, **settings: Any) -> Page:
        settings = {"threshold": 0.9, "title": "Seeds"} | settings
        path = write_review(tmp_path / "review.html", pairs, media or {}, **settings)
        assert path == tmp_path / "review.html"
        return Page(path)

    return written


def test_conflicts_come_first_then_the_most_similar(write: Callable[..., Page]) -> None:
    rows = [pair("a", "b", 0.93), pair("c", "d", 0.99), pair("e", "f", 0.91, conflict=True), pair("g", "h", 0.99)]
    page = write(table(*rows, pair("i", "j", 0.97, conflict=True)))
    assert page.ids() == [("i", "j"), ("e", "f"), ("c", "d"), ("g", "h"), ("a", "b")]


def test_a_pair_brings_all_that_the_page_shows(write: Callable[..., Page]) -> None:
    row = pair(
        "a", "b", 0.9876, first_table="train", second_table="old survey", label_first="oat", label_second="rye",
        exact=True, conflict=True,
    )  # fmt: skip
    page = write(table(row))
    assert page.data["pairs"] == [
        {
            "photos": [0, 1],
            "labels": ["oat", "rye"],
            "similarity": 0.9876,
            "exact": True,
            "conflict": True,
            "decision": "",
        }
    ]
    assert [(photo["table"], photo["id"]) for photo in page.data["photos"]] == [("train", "a"), ("old survey", "b")]
    assert "1 pair of photos with a similarity of at least 0.9000" in page.words
    assert "Seeds" in page.words


def test_equal_ids_of_two_tables_are_two_photos(write: Callable[..., Page]) -> None:
    page = write(table(pair("a", "a", second_table="test")))
    assert page.data["pairs"][0]["photos"] == [0, 1]


def test_a_photo_is_embedded_once_and_small(write: Callable[..., Page], tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), photo)
    cv2.imwrite(str(tmp_path / "b.png"), photo[:50, :40])
    media = {("train", "a"): tmp_path / "a.png", ("train", "b"): tmp_path / "b.png", ("train", "c"): tmp_path / "b.png"}
    page = write(table(pair("a", "b"), pair("a", "c"), pair("b", "c")), media)
    assert [photo["id"] for photo in page.data["photos"]] == ["a", "b", "c"]
    assert page.markup.count("data:image/jpeg") == 3
    for photo, shape in zip(page.data["photos"], [(240, LONGEST_SIDE), (50, 40), (50, 40)], strict=True):
        encoded = np.frombuffer(base64.b64decode(photo["image"].partition(",")[2]), dtype=np.uint8)
        assert cv2.imdecode(encoded, cv2.IMREAD_COLOR).shape[:2] == shape


def test_a_photo_that_cannot_be_read_says_why(write: Callable[..., Page], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    media = {("train", "a"): tmp_path / "broken.jpg", ("train", "b"): tmp_path / "missing.jpg"}
    page = write(table(pair("a", "b", 0.99), pair("b", "c")), media)
    faults = [photo["fault"] for photo in page.data["photos"]]
    assert all(photo["image"] is None for photo in page.data["photos"])
    assert "not an image" in faults[0]
    assert "does not exist" in faults[1]
    assert faults[2] == "no file is known for c of train"
    assert "3 photos of 3 cannot be shown; the first:" in page.words


def test_hostile_text_stays_text(write: Callable[..., Page]) -> None:
    row = pair(EVIL, EVIL + '"', first_table=EVIL, second_table=EVIL, label_first=EVIL, label_second=EVIL)
    page = write(table(row), title=EVIL, decisions={(EVIL, "x"): "same"})
    assert page.ids() == [(EVIL, EVIL + '"')]
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert page.data["pairs"][0]["labels"] == [EVIL, EVIL]
    assert page.data["kept"][0]["first"] == EVIL


@given(st.text())
def test_json_for_a_script_is_plain_ascii_and_comes_back(words: str) -> None:
    written = safe_json([words])
    assert written.isascii()
    assert not set(written) & set("<>&")
    assert json.loads(written) == [words]


def test_the_page_asks_nothing_of_a_network(write: Callable[..., Page]) -> None:
    page = write(table(pair("a", "b")))
    assert not re.search(r"https?://|@import|url\(", page.markup)
    assert not re.search(r"\beval\b|innerHTML|outerHTML|insertAdjacentHTML|document\.write|fetch\(", page.markup)
    assert "default-src &#x27;none&#x27;" in page.markup


def test_earlier_decisions_are_preset_in_either_order(write: Callable[..., Page]) -> None:
    decisions = {("a", "b"): "same", ("d", "c"): "different"}
    page = write(table(pair("a", "b", 0.99), pair("c", "d", 0.98), pair("e", "f", 0.97)), decisions=decisions)
    assert [row["decision"] for row in page.data["pairs"]] == ["same", "different", ""]
    assert page.data["kept"] == []


def test_where_there_is_no_room_decided_pairs_go_and_stay_in_the_download(write: Callable[..., Page]) -> None:
    rows = [pair(f"a{k}", f"b{k}", 0.99 - k / 100) for k in range(5)]
    decisions = {("b0", "a0"): "same", ("gone", "lost"): "unsure"}
    page = write(table(*rows), decisions=decisions, most=3)
    assert page.ids() == [("a1", "b1"), ("a2", "b2"), ("a3", "b3")]
    assert page.data["kept"] == [
        {"first": "b0", "second": "a0", "decision": "same", "similarity": 0.99},
        {"first": "gone", "second": "lost", "decision": "unsure", "similarity": None},
    ]
    assert "2 further pairs are not shown." in page.words
    assert "2 earlier decisions about pairs that are not shown" in page.words


def test_a_page_about_nothing(write: Callable[..., Page]) -> None:
    page = write(table(), threshold=None)
    assert page.data == {"photos": [], "pairs": [], "kept": []}
    assert "0 pairs of photos that may be copies" in page.words


def test_missing_values_and_numbers_as_ids_become_text() -> None:
    shown = review_of(table(pair(7, 8, label_first=None, label_second=np.nan)), {}, 10).shown  # type: ignore[arg-type]
    assert shown.loc[0, ["first", "second", "label_first", "label_second"]].tolist() == ["7", "8", "", ""]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(DataError, match=f"a column is missing: {column}"):
        review_of(table(pair("a", "b")).drop(columns=column), {}, 10)


@pytest.mark.parametrize(
    ("pairs", "decisions", "says"),
    [
        (table(pair("a", "b", float("nan"))), {}, "similarity of a and b .* not a finite number"),
        (table(pair("a", "b", "high")), {}, "similarity of a and b .* not a finite number"),  # type: ignore[arg-type]
        (table(pair("a", "b", conflict="no")), {}, "column conflict is not boolean"),
        (table(pair("a", "b"), pair("b", "a")), {}, "a and b are listed twice"),
        (table(pair("a", "b"), pair("a", "b", second_table="test")), {}, "ids that differ between the tables"),
        (table(), {("a", "b"): "maybe"}, "same, different, unsure"),
        (table(), {("a", "b"): "same", ("b", "a"): "unsure"}, "decided twice"),
    ],
)
def test_what_cannot_be_shown_is_refused(pairs: pd.DataFrame, decisions: dict[Any, str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        review_of(pairs, decisions, 10)
