"""The training rows of a finished run, for what learns from them again."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from outfold.data.dataset import Dataset
from outfold.data.folds import FoldTable, read_folds
from outfold.data.reading import read_rows
from outfold.data.row_weights import row_weights
from outfold.data.table import load_samples
from outfold.errors import DataError, RunError
from outfold.run_folder import FOLDS, variant_file
from outfold.runs.prepare import chosen_folds, load_rows
from outfold.runs.summary import read_codecs
from outfold.runs.weak_labels import with_secondary_labels
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute


def training_dataset(folder: Path, recipe: Recipe, root: Path, compute: Compute) -> Dataset:
    """The labelled rows that a run trained on, with its folds; no other table.

    Args:
        folder: the run folder, whose folds.csv says which rows there were.
        recipe: of the run.
        root: data root, absolute.
        compute: its threads decode photos that are not in the cache.

    Raises:
        RunError: the training table is not there any more.
        DataError, MediaError: it has lost rows, or a cell or a photo is not usable.
    """
    try:
        samples = load_samples(recipe.data, root, targets=recipe.task.target)
    except DataError as error:
        raise RunError(
            f"this run trains again for rows that come later, but its training data cannot be read: {error.problem}",
            got=error.got,
            fix=f"put the data back where the run found it, in {root}",
        ) from error
    kept = read_rows(folder / FOLDS, exact={"id"})[0]["id"].astype(str)
    samples = samples.take(np.isin(samples.ids, kept.to_numpy(object)))
    train, _ = load_rows(recipe, samples, "train", compute, root, run=folder)

    def folds_in(name: str, settings_time: str | None) -> FoldTable:
        return replace(read_folds(folder / name, train.samples.ids), ordered=settings_time is not None)

    folds = folds_in(FOLDS, recipe.folds.time)
    codec, _ = read_codecs(folder)
    frame = train.samples.frame
    dataset = Dataset(
        root,
        train,
        None,
        codec,
        codec.encode(frame),
        row_weights(recipe.data, frame),
        folds,
        chosen_folds(recipe.folds, folds),
        score_class=recipe.task.score_class,
        variants={
            name: folds_in(variant_file(name), recipe.folds.variant(name).time) for name in recipe.fold_variants()
        },
    )
    return with_secondary_labels(dataset, recipe.task)
