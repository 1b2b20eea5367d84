"""The vectors that a recipe's members read instead of photos: from its files, or made by a frozen backbone."""

from collections.abc import Iterator
from pathlib import Path

from outfold.data.dataset import Rows
from outfold.data.table import Samples, load_samples
from outfold.data.vectors import Vectors, read_vectors
from outfold.duplicates.fingerprint import Progress, kept_vectors
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.settings.view import EmbeddingView
from outfold.stages.base import Compute, Emit
from outfold.stages.embedding import Embedder, keep_backbone, kept_embedder, pretrained_embedder
from outfold.stages.inputs import photo_key, photo_settings, vectors_key


def vectors_of_rows(
    recipe: Recipe, rows: Rows, table: str, root: Path, compute: Compute, run: Path | None = None
) -> dict[str, Vectors]:
    """All vectors that members read of a table, by key; nothing where all read photos.

    Args:
        recipe: the effective recipe.
        rows: the table's rows, with the photos that frozen backbones see.
        table: what errors and progress call the table.
        root: folder that files of vectors and of weights lie in.
        compute: device and threads; is told {"event": "embedding", "table", "done", "total"}.
        run: a run folder whose own frozen backbones are used.

    Raises:
        DataError: a file cannot be used, or lacks a row's vector.
        WeightsError, RunError: a backbone's weights cannot be had.
    """
    found = {}
    for key, view, settings in _vector_members(recipe):
        photos = photo_settings(settings)
        if photos is None:
            found[key] = read_vectors(view.vectors, view.ids, recipe.data.id, root).of(rows.samples, table)
        else:
            embedder = _embedder(photos, recipe, root, run, compute)
            source = rows.photos[photo_key(photos)]
            found[key] = Vectors(kept_vectors(embedder, source, rows.media_keys, _telling(compute.emit, table)))
    return found


def check_vectors(recipe: Recipe, root: Path, train: Samples | None = None) -> None:
    """Look for the vector of every row in the recipe's files, before anything that takes long.

    Args:
        recipe: the effective recipe.
        root: data root, absolute.
        train: the training rows, where they are read already.

    Raises:
        DataError: a file cannot be used, or lacks a row's vector.
    """
    views = [view for _, view, _ in _vector_members(recipe) if view.vectors]
    if not views:
        return
    tables = dict(_tables(recipe, root, train))
    for view in views:
        given = read_vectors(view.vectors, view.ids, recipe.data.id, root)
        for name, samples in tables.items():
            given.places(samples, name)


def keep_backbones(recipe: Recipe, run: Path, root: Path) -> None:
    """Leave the frozen backbones behind a recipe's vectors in its run folder, for rows that come later."""
    for _, _, settings in _vector_members(recipe):
        photos = photo_settings(settings)
        if photos is not None:
            keep_backbone(photos, run, root)


def _vector_members(recipe: Recipe) -> Iterator[tuple[str, EmbeddingView, TrainSettings]]:
    """Each kind of vectors that members read: its key, its view, and the settings of one such member."""
    members = {
        vectors_key(settings.view, settings.precision): (settings.view, settings)
        for _, _, settings in recipe.members()
        if isinstance(settings.view, EmbeddingView)
    }
    return ((key, view, settings) for key, (view, settings) in members.items())


def _tables(recipe: Recipe, root: Path, train: Samples | None) -> Iterator[tuple[str, Samples]]:
    data, targets = recipe.data, recipe.task.target
    yield "train", load_samples(data, root, targets=targets) if train is None else train
    if data.test is not None:
        yield "test", load_samples(data, root, "test", targets=targets)
    if data.unlabelled and recipe.labels_unlabelled():
        yield "unlabelled", load_samples(data, root, "unlabelled", targets=targets)


def _embedder(settings: TrainSettings, recipe: Recipe, root: Path, run: Path | None, compute: Compute) -> Embedder:
    if run is None:
        return pretrained_embedder(settings, recipe.data.prepare, root, compute)
    return kept_embedder(settings, recipe.data.prepare, run, compute)


def _telling(emit: Emit, table: str) -> Progress:
    return lambda done, total: emit({"event": "embedding", "table": table, "done": done, "total": total})
