"""Photos that are brought once to stored sizes (`data.prepare`), for the members of a recipe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from outfold.data.cache import default_cache_folder
from outfold.data.findings import Finding, count, listed
from outfold.data.prepared import Prepared, PreparedPhotos, Store, prepare_photos, store_name, stored_size
from outfold.data.rows import name_rows
from outfold.data.table import Part, Samples, load_samples, sources_of
from outfold.errors import RecipeError
from outfold.settings.data import Prepare
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.stages.base import Compute
from outfold.stages.inputs import frame_side, image_view, photo_members, photo_side
from outfold.views.image import in_shape

BYTES_OF_A_PIXEL = 0.4
"""Room that a pixel of a photo rich in detail takes in a JPEG of quality 95."""


@dataclass(frozen=True)
class Stored:
    """The files of one stored size that a recipe's tables need."""

    folder: Path
    size: int
    files: int
    bytes: int


def sizes_needed(recipe: Recipe) -> dict[int, list[str]]:
    """The stored sizes that members read, each with `stage/member`; none where the recipe stores no photos."""
    prepare = recipe.data.prepare
    if prepare is None:
        return {}
    needed: dict[int, list[str]] = {}
    for stage, member, settings in photo_members(recipe):
        needed.setdefault(stored_size(prepare.sizes, frame_side(settings)), []).append(f"{stage}/{member}")
    return dict(sorted(needed.items()))


def prepared_photos(
    recipe: Recipe, members: Mapping[str, TrainSettings], samples: Samples, table: str, compute: Compute
) -> dict[str, PreparedPhotos]:
    """The photos of these rows for each of the members, with the files that the store lacked.

    Args:
        recipe: the effective recipe.
        members: settings by any key.
        samples: rows with media.
        table: how progress calls them.
        compute: threads, and who is told {"event": "photos", "table", "done", "total"}.
    """
    stored = _store(recipe, samples, table, compute)
    return {
        key: stored.photos(
            frame_side(settings), partial(in_shape, view=image_view(settings), side=photo_side(settings))
        )
        for key, settings in members.items()
    }


def prepare_recipe(recipe: Recipe, root: Path, compute: Compute) -> list[Stored]:
    """Make the stored photos of all of a recipe's tables ahead of a run.

    Args:
        recipe: the effective recipe.
        root: data root, absolute.
        compute: threads, and who is told {"event": "photos", ...} and {"event": "dropped", ...}.

    Returns:
        What the run will read, by size.

    Raises:
        RecipeError: the recipe stores no photos.
        DataError, MediaError: a table or photo is not usable.
    """
    prepare, places = _prepare_of(recipe), dict[int, set[Path]]()
    parts: tuple[Part, ...] = ("train", "test", *(("unlabelled",) if recipe.labels_unlabelled() else ()))
    for part in parts:
        if not sources_of(recipe.data, part):
            continue
        samples = load_samples(recipe.data, root, part, targets=recipe.task.target)
        stored = _store(recipe, samples, part, compute)
        if stored.bad:
            why = "their media cannot be used"
            first = [(str(samples.ids[row]), reason) for row, reason in list(stored.bad.items())[:10]]
            compute.emit({"event": "dropped", "table": part, "rows": len(stored.bad), "why": why, "first": first})
        for size in stored.sizes:
            places.setdefault(size, set()).update(stored.files(size))
    return [
        Stored(store_folder() / store_name(prepare, size), size, len(files), sum(file.stat().st_size for file in files))
        for size, files in places.items()
    ]


def store_folder() -> Path:
    """Where stored photos lie."""
    return default_cache_folder() / "prepared"


def size_findings(recipe: Recipe, shorter_sides: Iterable[int] = ()) -> list[Finding]:
    """Which stored sizes members read, and who trains at more pixels than are stored.

    Args:
        recipe: the effective recipe.
        shorter_sides: of the training table's photos, as far as they are known.
    """
    prepare, needed = recipe.data.prepare, sizes_needed(recipe)
    if prepare is None or not needed:
        return []
    read = "; ".join(f"{size} px for {listed(members)}" for size, members in needed.items())
    findings = [Finding("note", f"photos are stored once at {read}")]
    large = {
        f"{stage}/{member} ({frame_side(settings)} px)": None
        for stage, member, settings in photo_members(recipe)
        if frame_side(settings) > max(prepare.sizes)
    }
    if large:
        what = f"{count(len(large), 'member')} at sizes above the {max(prepare.sizes)} px that are stored"
        findings.append(Finding("note", f"{what}, for which photos are enlarged: {listed(large)}"))
    small = int((np.fromiter(shorter_sides, np.int64) < min(needed)).sum())
    if small:
        what = f"{count(small, 'photo')} smaller than {min(needed)} px"
        findings.append(Finding("note", f"{what}: stored at their own size, and enlarged by each member"))
    return findings


def stored_bytes(recipe: Recipe, rows: int, aspect: float) -> int:
    """About how much disk the stored photos of so many rows take, an upper bound where photos are small.

    Args:
        recipe: the effective recipe.
        rows: of all tables.
        aspect: longer side of a typical photo over its shorter one.
    """
    prepare = recipe.data.prepare
    shape = aspect if prepare is not None and prepare.crop == "none" else 1.0
    return sum(round(rows * size * size * shape * BYTES_OF_A_PIXEL) for size in sizes_needed(recipe))


def _prepare_of(recipe: Recipe) -> Prepare:
    if recipe.data.prepare is None:
        fix = "set data.prepare, e.g. --set 'data.prepare={sizes: [512]}'"
        raise RecipeError("the recipe stores no photos: data.prepare is not set", fix=fix)
    return recipe.data.prepare


def _store(recipe: Recipe, samples: Samples, table: str, compute: Compute) -> Prepared:
    """These rows' photos at every size that members read."""
    if samples.photos is None:
        raise RecipeError("the stages need photos, but the recipe does not say where they are", fix="set data.image")
    return prepare_photos(
        samples.photos,
        Store(store_folder(), _prepare_of(recipe)),
        sizes_needed(recipe),
        memory=default_cache_folder() / "photos",
        workers=compute.workers,
        on_bad=recipe.data.on_bad_media,
        name_row=lambda row: name_rows(samples.frame, [row]),
        progress=lambda done, total: compute.emit({"event": "photos", "table": table, "done": done, "total": total}),
    )
