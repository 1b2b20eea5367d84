"""The training and the test table side by side: what they share, and how they differ."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from outfold.audit.crossings import shared_with_test
from outfold.audit.drift import embedding_drift, table_drift
from outfold.audit.features import Feature, table_features
from outfold.audit.known import Known, linking
from outfold.audit.unnamed import is_identifier
from outfold.data.columns import cell_texts
from outfold.data.dataset import Dataset
from outfold.data.findings import Finding
from outfold.data.folds import link_groups
from outfold.data.folds.grouping import group_column
from outfold.data.rows import SOURCE, SOURCE_ROW
from outfold.data.table import Samples
from outfold.settings.recipe import Recipe


def against_test(
    recipe: Recipe, dataset: Dataset, own: Known, other: Known, groups: Sequence[str], seed: int
) -> Iterator[Finding]:
    """What the test table shares with the training table, and how it differs; nothing without a test table.

    Args:
        recipe: the effective recipe.
        dataset: loaded data.
        own: what else is known of the training rows.
        other: what else is known of the test rows.
        groups: columns that name people, sites, things with several rows each.
        seed: decides folds and draws.
    """
    if dataset.test is None:
        return
    train, test = dataset.train.samples, dataset.test.samples
    shared = {"id": (list(train.ids), list(test.ids))}
    for name in groups:
        if name in test.frame.columns:
            shared[f"`{name}`"] = (_group_texts(recipe, train, name), _group_texts(recipe, test, name))
    yield from shared_with_test(train, test, {**shared, **_shared_copies(dataset, own, other)})
    is_test = np.arange(len(train) + len(test)) >= len(train)
    units = _units(recipe, dataset, groups)
    yield from table_drift(_common_features(recipe, dataset, own, other, groups), is_test, units, seed)
    if own.embeddings is not None and other.embeddings is not None:
        yield from embedding_drift(own.embeddings, other.embeddings, units, seed)


def _shared_copies(
    dataset: Dataset, own: Known, other: Known
) -> Mapping[str, tuple[Sequence[object], Sequence[object]]]:
    """Files of the test table that are copies of training files; exact ones are near ones too."""
    assert dataset.test is not None  # the caller looked
    if own.copies is not None and other.copies is not None:
        return {"near-copy": (linking(own.copies), linking(other.copies))}
    if dataset.train.content and dataset.test.content:
        return {"file": ([key or None for key in dataset.train.content], [key or None for key in dataset.test.content])}
    return {}


def _units(recipe: Recipe, dataset: Dataset, names: Sequence[str]) -> np.ndarray:
    """int64 (n + m,): groups over both tables, by the columns that both have; each row by itself otherwise."""
    assert dataset.test is not None  # the caller looked
    train, test = dataset.train.samples, dataset.test.samples
    columns: list[Sequence[object]] = [
        _group_texts(recipe, train, name) + _group_texts(recipe, test, name)
        for name in names
        if name in test.frame.columns
    ]
    if dataset.folds.groups is not None:
        columns.append([*map(str, dataset.folds.groups), *[None] * len(test)])
    return link_groups(*columns) if columns else np.arange(len(train) + len(test))


def _group_texts(recipe: Recipe, samples: Samples, name: str) -> list[str | None]:
    """The groups of a column as text; None where the group is not known."""
    unknown = recipe.folds.unknown_group if name in recipe.folds.group else ()
    return cell_texts(group_column(samples.frame[name], unknown))


def _common_features(
    recipe: Recipe, dataset: Dataset, own: Known, other: Known, groups: Sequence[str]
) -> list[Feature]:
    """Columns that both tables have, and file facts, of the training rows and then the test rows.

    Identifiers of rows and groups, orders and the names of sources differ between any two tables and say nothing, and
    so do files where the rows of one table are files and those of the other windows of them.
    """
    assert dataset.test is not None  # the caller looked
    train, test = dataset.train.samples, dataset.test.samples
    apart = {train.id_column, SOURCE, SOURCE_ROW, *recipe.task.label_columns, *groups, *_filters(recipe)}
    common = [name for name in map(str, train.frame.columns) if name in test.frame.columns and name not in apart]
    frame = pd.concat([train.frame[common], test.frame[common]], ignore_index=True)
    frame = frame[[name for name in common if not is_identifier(frame[name])]]
    both = Samples(frame, np.concatenate([train.ids, test.ids]), None, train.id_column)
    features = [one for one in table_features(both, ignore=[train.id_column]) if one.origin != "name"]
    if own.facts is not None and other.facts is not None and _are_whole_files(train) == _are_whole_files(test):
        features += own.facts.joined(other.facts).features()
    return features


def _are_whole_files(samples: Samples) -> bool:
    """Whether rows are whole files, whose size is a fact of the row; windows of recordings are not."""
    return samples.clips is None or bool(np.isinf(samples.clips.end_s).all())


def _filters(recipe: Recipe) -> set[str]:
    """Columns by which rows were put into the training or the test table."""
    sources = (*recipe.data.train, *([recipe.data.test] if recipe.data.test else []))
    return {name for source in sources for name in source.where}
