"""Photos of the samples that went most wrong."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from outfold.data.crops import Photo
from outfold.data.table import load_samples
from outfold.errors import OutfoldError
from outfold.report.html import Child, Html, tag, void
from outfold.report.layout import Section, notice
from outfold.report.loading import Artefacts, Evaluation
from outfold.report.mistakes import Gallery, Mistake, galleries
from outfold.report.numbers import counted
from outfold.report.thumbnails import thumbnail
from outfold.settings.data import Data

ADVICE = (
    "If the files have moved, ",
    tag("code", "outfold report RUN --data FOLDER"),
    " finds them in their new place.",
)


def samples(run: Artefacts, root: Path) -> Section | None:
    """Galleries with thumbnails; a photo that cannot be read leaves a note in its place."""
    if run.evaluation is None:
        return None
    chosen = galleries(run.evaluation)
    if not chosen:
        return None
    ids = [run.evaluation.ids[mistake.row] for gallery in chosen for mistake in gallery.mistakes]
    media, problem = _media(run.recipe.data, run.recipe.task.target, root, ids)
    photos, faults = _photos(media)
    notes = [notice(f"Photos are not shown: {problem}", tag("p", ADVICE))] if problem else []
    if faults:
        first = next(iter(faults.values()))
        notes.append(
            notice(
                f"{counted(len(faults), 'photo')} of {len(media)} cannot be shown; the first: {first}", tag("p", ADVICE)
            )
        )
    shown = [_gallery(gallery, run.evaluation, photos, pictured=bool(photos)) for gallery in chosen]
    intro = "Mistakes worth a look: wrong labels, doubtful cases, and what the model has not understood."
    return Section("samples", "Samples", intro, [*notes, *shown])


def _media(data: Data, targets: Sequence[str], root: Path, ids: Sequence[str]) -> tuple[dict[str, Photo], str | None]:
    """Photos of these samples by id; empty, with the reason, where the tables cannot be read any more."""
    if data.image is None and not any(source.image for source in data.train):
        return {}, None
    try:
        table = load_samples(data, root, targets=targets)
    except (OutfoldError, OSError) as error:
        return {}, error.problem if isinstance(error, OutfoldError) else str(error)
    if table.photos is None:
        return {}, None
    wanted = set(ids)
    return {name: photo for name, photo in zip(table.ids, table.photos, strict=True) if name in wanted}, None


def _photos(media: Mapping[str, Photo]) -> tuple[dict[str, str], dict[str, str]]:
    """Thumbnails as data URIs, and what is wrong with the files that gave none, both by id."""
    photos, faults = {}, {}
    for name, photo in media.items():
        try:
            photos[name] = thumbnail(photo)
        except OutfoldError as error:
            faults[name] = error.problem
    return photos, faults


def _gallery(gallery: Gallery, evaluation: Evaluation, photos: Mapping[str, str], *, pictured: bool) -> Html:
    items = [_item(mistake, evaluation.ids[mistake.row], photos, pictured=pictured) for mistake in gallery.mistakes]
    explanation = tag("p", gallery.explanation, class_="soft")
    return tag("div", tag("h3", gallery.title), explanation, tag("ul", items, class_="samples"))


def _item(mistake: Mistake, name: str, photos: Mapping[str, str], *, pictured: bool) -> Html:
    lines: list[Child] = [
        tag("div", tag("b", mistake.predicted), class_="wrong"),
        tag("div", "true: ", tag("b", mistake.true)),
        tag("div", name, class_="id"),
    ]
    if pictured:
        inside = (
            void("img", src=photos[name], alt=f"sample {name}") if name in photos else tag("span", "photo not readable")
        )
        lines.insert(0, tag("div", inside, class_="photo"))
    return tag("li", lines)
