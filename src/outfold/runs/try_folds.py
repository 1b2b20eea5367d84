"""Whether the folds that a recipe asks for can be made at all, before anything slow looks at the data."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from outfold.data.folds import FoldTable, make_folds
from outfold.data.table import Samples
from outfold.errors import RecipeError
from outfold.settings.folds import Folds


def try_folds(
    wanted: Mapping[str, Folds],
    samples: Samples,
    root: Path,
    *,
    own: FoldTable | None = None,
    content_keys: Sequence[str] | None = None,
    dropped: Collection[str] | None = None,
) -> None:
    """Make folds without the search that makes them even, which decides nothing about whether they can be made.

    Args:
        wanted: the fold variants in use, by name.
        samples: the training rows, n.
        root: folder that relative paths start from.
        own: the recipe's own folds, where they are made already; variants must predict the same rows.
        content_keys: (n,) one text per row's file, where files were looked at.
        dropped: ids that were left out of the samples; None where that is not known yet, so that files of folds, which
            may be for the rows that are left, are not looked at.

    Raises:
        DataError: folds cannot be made.
        RecipeError: a variant predicts other rows than the recipe's own folds.
    """
    made = {
        name: make_folds(quick(folds), samples, content_keys=content_keys, root=root, dropped=dropped or ())
        for name, folds in wanted.items()
        if folds.file is None or dropped is not None
    }
    if own is not None:
        refuse_other_rows(own, made)


def quick(folds: Folds) -> Folds:
    """Folds of the same groups without a search, to see whether they can be made at all."""
    if folds.search is None:
        return folds
    return folds.model_copy(update={"search": None, "stratify": (), "group_size": False, "weights": {}})


def refuse_other_rows(folds: FoldTable, variants: Mapping[str, FoldTable]) -> None:
    """All assignments must predict the same rows, or members could not be compared or blended."""
    judged = folds.judged(folds.numbers)
    for name, table in variants.items():
        if not np.array_equal(table.judged(table.numbers), judged):
            raise RecipeError(
                f"folds.variants.{name} predicts other rows out of fold than the recipe's folds",
                got=f"{len(table.judged(table.numbers))} and {len(judged)} rows",
                fix="let variants differ in seed, strata or search alone",
            )
