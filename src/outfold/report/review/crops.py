"""The page on which a person draws crop boxes: what stands on it before its script fills it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from outfold.data.crops import Box
from outfold.files import write_text
from outfold.report.document import asset, document, script_element
from outfold.report.html import Html, tag, void
from outfold.report.layout import notice
from outfold.report.numbers import count, counted
from outfold.report.review.content import safe_json
from outfold.report.review.crops_content import Chosen, Framed, Photo, Progress, choose, data_of, framed
from outfold.report.review.widgets import button, facts, item_list, movement, top_bar

SCRIPTS = ("review/shared.js", "review/crops.js")
STYLES = ("style.css", "review/review.css", "review/crops.css")
MOST_PHOTOS = 500
"""Photos on a page: some 30 MB."""
EDGES = ("nw", "n", "ne", "e", "se", "s", "sw", "w")
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class CropReview:
    """What was written.

    Attributes:
        path: the page.
        shown: photos on it.
        proposed: those with a plain border.
        preset: those with a known box.
        left_out: photos that it has no room for.
        faults: what is wrong with photos that cannot be shown and with boxes that are not preset.
    """

    path: Path
    shown: int
    proposed: int
    preset: int
    left_out: int
    faults: tuple[str, ...]


def write_crop_review(
    path: Path,
    photos: Iterable[Photo],
    *,
    boxes: Mapping[str, Box] | None = None,
    title: str,
    most: int = MOST_PHOTOS,
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> CropReview:
    """Write a page that shows photos and lets a person draw the part of each that is to be used.

    Where a border is plain (`outfold.data.borders`) its inside is proposed; nothing counts before a person accepts it.
    The page asks nothing of any network. It downloads `crops.csv`, which `data.crops` reads: id, left, top, right,
    bottom in the photo's own pixels; one row for every photo with a box.

    Args:
        path: the page's file.
        photos: table, id and file of each; ids that come again are shown once.
        boxes: known ones by id. They are preset; those of photos that are not on the page go into the download too.
        title: the page's heading.
        most: photos on the page; where there are more, those without a box come first.
        workers: threads that read photos.
        progress: is told (photos read, photos in all).

    Raises:
        RunError: the page cannot be written.
    """
    chosen = choose(photos, boxes or {}, most)
    read = framed(chosen.photos, boxes or {}, workers=workers, progress=progress)
    seen = [one for one in read if one.image is not None]
    write_text(path, _page(chosen, read, title))
    return CropReview(
        path,
        len(seen),
        sum(one.proposal is not None for one in seen),
        sum(one.box is not None for one in seen),
        chosen.left_out,
        tuple(one.fault for one in read if one.fault is not None),
    )


def _page(chosen: Chosen, photos: Sequence[Framed], title: str) -> Html:
    data, script = safe_json(data_of(photos, chosen.kept)), "".join(map(asset, SCRIPTS))
    key = hashlib.sha256(data.encode()).hexdigest()[:32]
    filters = [("all", "All"), ("undecided", "To look at"), ("boxed", "Boxes")]
    bar = top_bar(filters, "Photos to show", button("download", "Download crops.csv", "D"))
    body = tag(
        "body",
        _header(chosen, photos, title),
        tag("main", bar, tag("div", _stage(), item_list("All photos"), class_="desk")),
        tag("script", data, type="application/json", id="data", data_key=key),
        script_element(script),
        class_="review",
    )
    return document(f"{title}: crop boxes", body, styles="".join(map(asset, STYLES)), script=script)


def _header(chosen: Chosen, photos: Sequence[Framed], title: str) -> Html:
    faults = [photo.fault for photo in photos if photo.fault is not None]
    return tag(
        "header",
        tag("p", "outfold: review of crop boxes", class_="eyebrow"),
        tag("h1", title),
        tag("p", _intro(chosen, photos), class_="soft"),
        notice(f"{counted(len(faults), 'photo')} of {count(len(photos))} with a fault; the first: {faults[0]}.")
        if faults
        else None,
        tag("noscript", notice("This page needs its script, and scripts are switched off in this browser.")),
    )


def _intro(chosen: Chosen, photos: Sequence[Framed]) -> str:
    """What the page shows, and what it does not."""
    seen = [photo for photo in photos if photo.image is not None]
    proposed = sum(photo.proposal is not None for photo in seen)
    said = [f"Draw the part of each photo that is to be used. {counted(len(seen), 'photo')}"]
    said[0] += f", {count(proposed)} of them with a plain border whose inside is proposed." if proposed else "."
    if chosen.left_out:
        verb = "is" if chosen.left_out == 1 else "are"
        said.append(f"{counted(chosen.left_out, 'further photo')} {verb} not shown.")
    if chosen.kept:
        known = counted(len(chosen.kept), "earlier box", "earlier boxes")
        said.append(f"{known} of photos that are not shown will be in the download too.")
    if chosen.shared:
        verb = "is" if chosen.shared == 1 else "are"
        said.append(f"{counted(chosen.shared, 'id')} that {verb} in several tables {verb} shown once.")
    return " ".join(said)


def _stage() -> Html:
    """The photo that is looked at; its picture, box and words come from the script."""
    return tag(
        "div",
        tag("p", id="nothing", class_="notice", hidden=True),
        tag("div", facts(), _canvas(), _words(), _controls(), id="photo"),
        class_="stage",
    )


def _canvas() -> Html:
    handles = [tag("i", data_edge=edge) for edge in EDGES]
    box = tag("div", handles, id="box", tabindex="0", role="group", aria_roledescription="crop box")
    picture = void("img", id="picture", draggable="false", alt="")
    return tag("div", tag("div", picture, tag("div", id="shade"), box, id="canvas"), class_="easel")


def _words() -> Html:
    """Which photo it is, and its box in numbers."""
    numbers = [
        tag("label", side.capitalize(), void("input", type="number", id=side, step="1", inputmode="numeric"))
        for side in SIDES
    ]
    names = tag("p", tag("span", class_="id"), " ", tag("span", class_="table"))
    inputs = tag("div", numbers, class_="numbers", role="group", aria_label="Box in pixels")
    return tag("div", names, inputs, _help(), class_="about")


def _help() -> Html:
    said = (
        "Drag to draw, drag the box or its handles to change it; Shift and drag draws a new one. "
        "With the box in focus, arrow keys move it, with Shift they move its right and bottom side."
    )
    return tag("p", said, class_="soft help")


def _controls() -> Html:
    decide = [
        button("accept", "Accept", "A"),
        button("whole", "Whole", "W"),
        button("edit", "Edit", "E"),
        button("clear", "Clear", "C"),
    ]
    return tag(
        "div",
        tag("div", decide, class_="decide", role="group", aria_label="Decision"),
        movement("Photos"),
        class_="controls",
    )
