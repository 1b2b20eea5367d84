"""Photos of samples as thumbnails."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from outfold.data.crops import Photo
from outfold.data.table import load_samples
from outfold.errors import OutfoldError
from outfold.report.html import Html, tag, void
from outfold.report.layout import notice
from outfold.report.loading import Evaluation
from outfold.report.shown import ADVICE, Shown, faults_notice
from outfold.report.thumbnails import thumbnail
from outfold.settings.data import Data
from outfold.settings.recipe import Recipe


def photos_of(evaluation: Evaluation, rows: Sequence[int], recipe: Recipe, root: Path) -> Shown:
    """Thumbnails of these rows, read below `root`; a photo that cannot be read leaves a note in its place."""
    ids = {str(evaluation.ids[row]): row for row in rows}
    media, problem = _media(recipe.data, recipe.task.target, root, ids)
    photos, faults = _thumbnails(media)
    notes = faults_notice(list(faults.values()), len(media), "photo")
    if problem:
        notes = (notice(f"Photos are not shown: {problem}", tag("p", ADVICE)), *notes)
    figures = {ids[name]: _boxed(void("img", src=uri, alt=f"sample {name}")) for name, uri in photos.items()}
    return Shown(figures, _boxed(tag("span", "photo not readable")) if figures else None, notes)


def _boxed(inside: Html) -> Html:
    return tag("div", inside, class_="photo")


def _media(
    data: Data, targets: Sequence[str], root: Path, ids: Mapping[str, int]
) -> tuple[dict[str, Photo], str | None]:
    """Photos of these samples by id; empty, with the reason, where the tables cannot be read any more."""
    if data.image is None and not any(source.image for source in data.train):
        return {}, None
    try:
        table = load_samples(data, root, targets=targets)
    except (OutfoldError, OSError) as error:
        return {}, error.problem if isinstance(error, OutfoldError) else str(error)
    if table.photos is None:
        return {}, None
    return {name: photo for name, photo in zip(table.ids, table.photos, strict=True) if name in ids}, None


def _thumbnails(media: Mapping[str, Photo]) -> tuple[dict[str, str], dict[str, str]]:
    """Thumbnails as data URIs, and what is wrong with the files that gave none, both by id."""
    photos, faults = {}, {}
    for name, photo in media.items():
        try:
            photos[name] = thumbnail(photo)
        except OutfoldError as error:
            faults[name] = error.problem
    return photos, faults
