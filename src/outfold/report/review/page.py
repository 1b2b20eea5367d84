"""The review page: what stands on it before its script fills it."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from outfold.files import write_text
from outfold.report.document import asset, document, script_element
from outfold.report.html import Html, tag
from outfold.report.layout import notice
from outfold.report.numbers import count, counted, number
from outfold.report.review.content import Embedded, Photo, data_of, embed, safe_json
from outfold.report.review.pairs import Ids, Review, review_of
from outfold.report.review.widgets import button, facts, item_list, movement, top_bar

SCRIPTS = ("review/shared.js", "review/review.js")

MOST_PAIRS = 1000
"""Pairs on a page: as many as a person looks at in half an hour."""


def write_review(
    path: Path,
    pairs: pd.DataFrame,
    media: Mapping[Photo, Path],
    *,
    threshold: float | None,
    decisions: Mapping[Ids, str] | None = None,
    title: str,
    most: int = MOST_PAIRS,
) -> Path:
    """Write a page that shows pairs of photos side by side and lets a person decide which are copies.

    The page asks nothing of any network. It downloads `decisions.csv`: first, second, decision (same, different or
    unsure), similarity; one row for every pair that is decided.

    Args:
        path: the page's file.
        pairs: first, second (ids), first_table, second_table (names), similarity (float), exact (bool: the files are
            equal), label_first, label_second (may be empty), conflict (bool: the labels differ). In any order.
        media: each photo's file by its table and id; one that is missing or cannot be read leaves a note in its place.
        threshold: the similarity from which on pairs are listed, to be named on the page.
        decisions: taken earlier, by the two ids in either order. They are preset; those about pairs that are not on
            the page go into the download all the same.
        title: the page's heading.
        most: pairs on the page. Where there are more, those not decided yet come before those that are, conflicting
            labels before others, and more similar pairs before less similar ones.

    Returns:
        `path`.

    Raises:
        DataError: a column is missing or of a wrong type, a similarity is not finite, two pairs have the same two ids,
            or a decision is none of the three.
        RunError: the page cannot be written.
    """
    review = review_of(pairs, decisions or {}, most)
    photos = embed(review.shown, media)
    return write_text(path, _page(review, photos, title, threshold))


def _page(review: Review, photos: Sequence[Embedded], title: str, threshold: float | None) -> Html:
    data, script = safe_json(data_of(review, photos)), "".join(map(asset, SCRIPTS))
    key = hashlib.sha256(data.encode()).hexdigest()[:32]
    body = tag(
        "body",
        _header(review, photos, title, threshold),
        tag("main", _bar(), tag("div", _pair(), item_list("All pairs"), class_="desk")),
        tag("script", data, type="application/json", id="data", data_key=key),
        script_element(script),
        class_="review",
    )
    styles = asset("style.css") + asset("review/review.css")
    return document(f"{title}: review of duplicates", body, styles=styles, script=script)


def _header(review: Review, photos: Sequence[Embedded], title: str, threshold: float | None) -> Html:
    faults = [photo.fault for photo in photos if photo.fault is not None]
    return tag(
        "header",
        tag("p", "outfold: review of duplicates", class_="eyebrow"),
        tag("h1", title),
        tag("p", _intro(review, threshold), class_="soft"),
        notice(f"{counted(len(faults), 'photo')} of {count(len(photos))} cannot be shown; the first: {faults[0]}")
        if faults
        else None,
        tag("noscript", notice("This page needs its script, and scripts are switched off in this browser.")),
    )


def _intro(review: Review, threshold: float | None) -> str:
    """What the page shows, and what it does not."""
    shown = review.shown
    above = "" if threshold is None else f" with a similarity of at least {number(threshold)}"
    said = [f"{counted(len(shown), 'pair')} of photos{above} that may be copies of each other."]
    if len(shown) > 1:
        said.append("Those whose labels differ come first, then the most similar.")
    if review.left_out:
        verb = "is" if review.left_out == 1 else "are"
        said.append(f"{counted(review.left_out, 'further pair')} {verb} not shown.")
    if len(review.kept):
        known = counted(len(review.kept), "earlier decision")
        said.append(f"{known} about pairs that are not shown will be in the download too.")
    return " ".join(said)


def _bar() -> Html:
    filters = [("all", "All"), ("undecided", "Undecided"), ("conflicting", "Labels differ")]
    return top_bar(filters, "Pairs to show", button("download", "Download decisions", "W"))


def _pair() -> Html:
    """The pair that is looked at; its photos, words and marks come from the script."""
    turning = button("turn", "Turn", "R"), button("mirror", "Mirror", "X")
    return tag(
        "div",
        tag("p", id="nothing", class_="notice", hidden=True),
        tag(
            "div",
            facts(),
            tag("div", _photo("first"), _photo("second", *turning), class_="photos"),
            _controls(),
            id="pair",
        ),
        class_="stage",
    )


def _photo(name: str, *buttons: Html) -> Html:
    lines = tag("div", tag("p", class_="id"), tag("p", tag("span", class_="table"), " ", tag("span", class_="label")))
    turning = tag("div", buttons, role="group", aria_label=f"Turn the {name} photo") if buttons else None
    return tag("figure", tag("div", class_="frame"), tag("figcaption", lines, turning), id=name)


def _controls() -> Html:
    decide = [button("same", "Same", "S"), button("different", "Different", "D"), button("unsure", "Unsure", "U")]
    return tag(
        "div",
        tag("div", decide, class_="decide", role="group", aria_label="Decision"),
        movement("Pairs"),
        class_="controls",
    )
