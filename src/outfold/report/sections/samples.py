"""The samples that went most wrong: their photos, or what there is to hear."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from outfold.report.html import Child, Html, tag
from outfold.report.layout import Section
from outfold.report.loading import Artefacts, Evaluation
from outfold.report.mistakes import Gallery, Mistake, galleries
from outfold.report.photos import photos_of
from outfold.report.recordings import recordings_of
from outfold.report.shown import Shown


def samples(run: Artefacts, root: Path) -> Section | None:
    """Galleries with thumbnails or players; a file that cannot be read leaves a note in its place."""
    if run.evaluation is None:
        return None
    chosen = galleries(run.evaluation)
    if not chosen:
        return None
    show = photos_of if run.evaluation.clips is None else recordings_of
    shown = show(run.evaluation, _worst_first(chosen), run.recipe, root)
    intro = "Mistakes worth a look: wrong labels, doubtful cases, and what the model has not understood."
    about = [] if shown.about is None else [shown.about]
    lists = [_gallery(gallery, run.evaluation, shown) for gallery in chosen]
    return Section("samples", "Samples", intro, [*shown.notes, *about, *lists])


def _worst_first(chosen: Sequence[Gallery]) -> list[int]:
    """The rows of all galleries: the first of each, then the second of each, and so on."""
    ranks = zip_longest(*(gallery.mistakes for gallery in chosen))
    return [mistake.row for rank in ranks for mistake in rank if mistake is not None]


def _gallery(gallery: Gallery, evaluation: Evaluation, shown: Shown) -> Html:
    items = [_item(mistake, str(evaluation.ids[mistake.row]), shown) for mistake in gallery.mistakes]
    explanation = tag("p", gallery.explanation, class_="soft")
    return tag("div", tag("h3", gallery.title), explanation, tag("ul", items, class_=shown.class_))


def _item(mistake: Mistake, name: str, shown: Shown) -> Html:
    caption = shown.captions.get(mistake.row)
    lines: list[Child] = [
        shown.figures.get(mistake.row, shown.missing),
        tag("div", tag("b", mistake.predicted), class_="wrong"),
        tag("div", "true: ", tag("b", mistake.true)),
        tag("div", name, class_="id"),
        None if caption is None else tag("div", caption, class_="id"),
    ]
    return tag("li", lines)
