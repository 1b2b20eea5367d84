"""Tables and runs that the audit looks at, made without training anything."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from outfold.data.dataset import Dataset, Rows
from outfold.data.folds import make_folds
from outfold.data.table import Samples
from outfold.data.targets import TargetCodec
from outfold.settings.recipe import Recipe

STAGE = {"kind": "train", "backbone": "b", "members": {"a": {}}, "phases": [{"name": "all", "epochs": 1}]}


def _samples(columns: Mapping[str, Any] | pd.DataFrame, source: str = "train.csv") -> Samples:
    frame = pd.DataFrame(columns).reset_index(drop=True)
    if "id" not in frame.columns:
        frame.insert(0, "id", [f"{source[:2]}{row:05d}" for row in range(len(frame))])
    if "source" not in frame.columns:
        frame["source"] = source
    frame["source_row"] = np.arange(len(frame)) + 2
    return Samples(frame, np.array(list(map(str, frame["id"])), dtype=object), None, "id")


@pytest.fixture(scope="session")
def samples() -> Callable[..., Samples]:
    """Columns as the rows of a table; ids are made where there are none."""
    return _samples


@pytest.fixture(scope="session")
def dataset() -> Callable[..., tuple[Recipe, Dataset]]:
    """A recipe and its loaded data, from columns, without photos."""

    def make(
        columns: Mapping[str, Any] | pd.DataFrame,
        kind: str,
        target: str | list[str],
        *,
        folds: Mapping[str, Any] | None = None,
        test: Mapping[str, Any] | pd.DataFrame | None = None,
        stage: Mapping[str, Any] | None = None,
        content: tuple[str, ...] = (),
    ) -> tuple[Recipe, Dataset]:
        train = _samples(columns)
        data = {"train": "train.csv", "id": "id"} | ({} if test is None else {"test": "test.csv"})
        recipe = Recipe.model_validate(
            {
                "name": "trial",
                "data": data,
                "task": {"kind": kind, "target": target, "metric": "any"},
                "folds": {"k": 5, **(folds or {})},
                "stages": {"fit": {**STAGE, **(stage or {})}},
            }
        )
        codec = TargetCodec.fit(recipe.task, train.frame)
        rows = None if test is None else Rows(_samples(test, "test.csv"))
        own = recipe.folds.model_copy(update={"group": (), "duplicates": "ignore"}) if recipe.folds.column else None
        table = make_folds(own or recipe.folds, train, content_keys=content or None)
        target_values = codec.encode(train.frame)
        loaded = Rows(train, content=content)
        return recipe, Dataset(Path(), loaded, rows, codec, target_values, None, table, table.numbers)

    return make


@pytest.fixture(scope="session")
def only() -> Callable[..., Any]:
    """The only finding of a rule; fails with the list of what was found instead."""

    def find(findings: list[Any], rule: str) -> Any:
        hits = [finding for finding in findings if finding.rule == rule]
        assert len(hits) == 1, [(finding.level, finding.rule, finding.what) for finding in findings]
        return hits[0]

    return find
