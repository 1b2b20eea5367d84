"""Conditions on rows, as recipes write them: a column has this value, or one of these."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from outfold.data.columns import require_columns, value_like
from outfold.errors import DataError


def matching_rows(frame: pd.DataFrame, where: Mapping[str, Any], *, role: str, table: str) -> np.ndarray:
    """Bool (n,): the rows that meet every condition.

    Args:
        frame: the table, n rows.
        where: by column, a value or a list of values, compared as the column's own type.
        role: what the conditions are for, in errors.
        table: name of the table, in errors.

    Raises:
        DataError: a column is missing, or no row meets all conditions.
    """
    require_columns(frame, where, role=role, table=table)
    keep = np.ones(len(frame), dtype=bool)
    for name, wanted in where.items():
        values = list(wanted) if isinstance(wanted, list | tuple) else [wanted]
        keep &= frame[name].isin([value_like(value, frame[name]) for value in values]).to_numpy(dtype=bool)
    if not keep.any():
        found = {name: frame[name].dropna().unique().tolist()[:10] for name in where}
        raise DataError(f"{table}: no row meets `where`", got=found, expected=dict(where))
    return keep
