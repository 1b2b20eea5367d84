"""Columns that a network reads beside the photo: what it cannot learn from them, and what it never learned."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from outfold.data.findings import Finding, count, listed
from outfold.data.rows import SOURCE
from outfold.data.table_columns import names
from outfold.settings.chains import columns_from
from outfold.settings.recipe import Recipe
from outfold.settings.serve import ServeStage
from outfold.settings.table_inputs import Categorical, TableInputs

OFTEN = 0.05
"""Share of the test rows from which on unseen names are worth a warning."""

ROWS_A_NAME = 10
"""Fewer training rows than this for each name, on average, are too few to learn what the names mean."""


def table_input_findings(
    settings: Sequence[TableInputs], train: pd.DataFrame, test: pd.DataFrame | None
) -> Iterator[Finding]:
    """Inputs that say nothing, names that are too rare or without a code, and names that only the test table has.

    Args:
        settings: the table inputs of all members.
        train: the training table.
        test: the test table, or None.
    """
    for name in declared(settings):
        if name in train.columns:
            yield from _without_values(name, train)
    named = {one.column: one for given in settings for one in given.categorical if one.column in train.columns}
    for one in named.values():
        yield from _names_without_a_code(one, train)
        yield from _too_many_names(one, train)
        if test is not None and one.column in test.columns and not one.codes:
            yield from _unseen_names(one.column, train, test)


def declared(settings: Sequence[TableInputs]) -> list[str]:
    """The columns that are inputs themselves, each once; that of a group is only counted."""
    numeric = [one.column for given in settings for one in given.numeric]
    return list(dict.fromkeys([*numeric, *(one.column for given in settings for one in given.categorical)]))


def served_inputs(recipe: Recipe) -> tuple[list[str], list[str]]:
    """How inputs come when the recipe's models serve, each column once.

    Returns:
        Those that a table to predict must have, and those that training reads as given and serving as predictions of
        another stage. Inputs that another stage predicts in training too are neither.
    """
    needed: list[str] = []
    predicted: list[str] = []
    for name, _, settings in recipe.members():
        table = settings.table
        if table is None:
            continue
        if not table.training_only:
            learned = recipe.predicted_columns(settings)
            needed += [column for column in declared([table]) if column not in learned]
            continue
        for stage in recipe.stages.values():
            if isinstance(stage, ServeStage) and stage.source == name:
                replaced = columns_from(table, stage.inputs, recipe.stages)
                predicted += replaced
                needed += [column for column in declared([table]) if column not in replaced]
    return list(dict.fromkeys(needed)), list(dict.fromkeys(predicted))


def _without_values(name: str, train: pd.DataFrame) -> Iterator[Finding]:
    """An input that says nothing, or nothing of the rows of some tables."""
    if train[name].nunique(dropna=False) == 1:
        what = f"the input `{name}` is the same in all training rows"
        yield Finding("warning", what, (), "take it out of the inputs", "input-never-varies")
    elif SOURCE in train.columns:
        known = train[name].notna().groupby(train[SOURCE].astype(str), sort=False).any()
        empty = known.index[~known.to_numpy(dtype=bool)]
        if len(empty):
            what = f"the input `{name}` is empty in all rows of {listed(empty)}"
            impact = "a network can tell these rows by the gap, and their labels as far as tables differ in them"
            fix = "if the table has it under another name, say so (`rename` of the source)"
            yield Finding("warning", what, (), fix, "input-empty-in-source", impact)


def _too_many_names(one: Categorical, train: pd.DataFrame) -> Iterator[Finding]:
    """A column that names rows or groups, not kinds of them."""
    rows, distinct = int(train[one.column].notna().sum()), int(train[one.column].nunique())
    if not one.codes and distinct > 1 and rows < ROWS_A_NAME * distinct:
        what = f"the input `{one.column}` has {distinct:,} names in {rows:,} training rows"
        fix = "take it out of the inputs; a group's number of rows is `derived: [log_group_rows]`"
        yield Finding("warning", what, (), fix, "input-of-many-names", "most of them are too rare to learn from")


def _names_without_a_code(one: Categorical, train: pd.DataFrame) -> Iterator[Finding]:
    cells = [cell for cell in names(train, one.column) if cell is not None and cell not in one.codes]
    if not one.codes or not cells:
        return
    what = f"{count(len(cells), 'training row')} with a name of `{one.column}` that `codes` gives no number: "
    yield Finding(
        "note",
        what + _by_rows(cells),
        (),
        "give these names a number too, unless they mean that it is not known",
        "input-without-code",
        f"they count as missing ({one.missing:g})",
    )


def _unseen_names(column: str, train: pd.DataFrame, test: pd.DataFrame) -> Iterator[Finding]:
    known = {*names(train, column), None}
    cells = [cell for cell in names(test, column) if cell not in known]
    if cells:
        share = len(cells) / len(test)
        yield Finding(
            "warning" if share >= OFTEN else "note",
            f"names of the input `{column}` that no training row has: {_by_rows(cells)}",
            (),
            "write them as the training table does (`map` of the source), or expect them to be read as missing",
            "input-unseen-names",
            f"{share:.1%} of the test rows",
        )


def _by_rows(cells: Sequence[str]) -> str:
    """`moon (12 rows), sun (1 row)`, the most frequent first."""
    found, rows = np.unique(np.array(cells, dtype=str), return_counts=True)
    order = np.argsort(-rows, kind="stable")
    return listed(f"{found[place]!s} ({count(int(rows[place]), 'row')})" for place in order)
