"""Rows with the photos that a recipe's members see."""

from collections.abc import Mapping, Sequence

import numpy as np

from outfold.data.cache import ImageCache, build_cache, default_cache_folder, disk_errors, refuse_bad
from outfold.data.dataset import Photos, Rows
from outfold.data.keys import content_keys
from outfold.data.prepared import PreparedPhotos
from outfold.data.rows import name_rows
from outfold.data.table import Samples
from outfold.errors import RecipeError
from outfold.runs.prepared import prepared_photos
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.stages.base import Compute
from outfold.stages.inputs import image_view, photo_key, photo_members, photo_side
from outfold.views.image import prepare


def with_photos(recipe: Recipe, samples: Samples, table: str, compute: Compute) -> tuple[Rows, dict[int, str]]:
    """The rows whose photos can be used, with those that members read, and why the others, by place, cannot."""
    members = {photo_key(settings): settings for _, _, settings in photo_members(recipe)}
    if members and (samples.media is None or samples.clips is not None):
        raise _no_photos(table)
    if samples.media is None:
        return Rows(samples), {}
    if members and recipe.data.crops is not None:
        boxes = sum(box is not None for box in samples.crops)
        compute.emit({"event": "crops", "table": table, "boxes": boxes, "whole": len(samples) - boxes})
    caches = _photos(recipe, members, samples, table, compute) if members else {}
    keys, bad = _contents(recipe, samples, compute) if not caches else (next(iter(caches.values())).content_keys, {})
    for cache in caches.values():
        bad |= cache.bad
    kept = np.array([row for row in range(len(samples)) if row not in bad], dtype=np.int64)
    photos = {key: Photos(cache, kept) for key, cache in caches.items()}
    return Rows(samples.take(kept), photos, tuple(keys[row] for row in kept)), bad


def _contents(recipe: Recipe, samples: Samples, compute: Compute) -> tuple[Sequence[str], dict[int, str]]:
    """Content keys of files that no member reads yet, so that equal ones are known, and why others have none."""
    assert samples.media is not None  # checked by the caller
    folder = default_cache_folder() / "photos"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        keys, bad = content_keys(samples.media, folder, workers=compute.workers)
    if recipe.data.on_bad_media == "stop":
        media = f"{recipe.data.noun.file}s"
        refuse_bad(bad, len(samples), lambda row: name_rows(samples.frame, [row]), media=media)
    return keys, bad


def _no_photos(table: str) -> RecipeError:
    if table != "new":
        return RecipeError("the stages need photos, but the recipe does not say where they are", fix="set data.image")
    return RecipeError(
        "the run's recipe says where the photos of each of its tables are, but not where those of other rows are",
        fix="set data.image in the recipe and give the run's command again: what is trained stays as it is",
    )


def _photos(
    recipe: Recipe, members: Mapping[str, TrainSettings], samples: Samples, table: str, compute: Compute
) -> Mapping[str, ImageCache | PreparedPhotos]:
    """By preparation key, the photos of all rows: from the store where the recipe has one, else from caches."""
    if recipe.data.prepare is not None:
        return prepared_photos(recipe, members, samples, table, compute)
    return {key: _cache(settings, samples, table, recipe, compute) for key, settings in members.items()}


def _cache(settings: TrainSettings, samples: Samples, table: str, recipe: Recipe, compute: Compute) -> ImageCache:
    side = photo_side(settings)
    photos = samples.photos
    assert photos is not None  # checked by the caller
    return build_cache(
        photos,
        photo_key(settings),
        lambda photo: prepare(photo, image_view(settings), side),
        default_cache_folder() / "photos",
        workers=compute.workers,
        on_bad=recipe.data.on_bad_media,
        name_row=lambda row: name_rows(samples.frame, [row]),
        progress=lambda done, total: compute.emit({"event": "photos", "table": table, "done": done, "total": total}),
    )
