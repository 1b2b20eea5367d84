"""Numbers as a reader wants to see them."""

import math
from collections.abc import Mapping

from outfold.run_folder import WHOLE

MISSING, MINUS = "\u2013", "\u2212"
TITLES = {
    "roc_auc": "ROC-AUC",
    "macro_roc_auc": "Macro ROC-AUC",
    "padded_cmap": "Padded cMAP",
    "f1": "F1",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "weighted_f1": "Weighted F1",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "weighted_r2": "Weighted R²",
}


def metric_title(name: str) -> str:
    """A metric's name as it is written in prose: macro_f1 -> Macro F1."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def number(value: float | None) -> str:
    """About four significant digits: 0.8571, 12.35, 1,234; a dash for what is not a finite number."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if size >= 1e7 or 0 < size < 1e-3:
        written = f"{value:.3g}"
    else:
        decimals = 4 if size < 10 else 2 if size < 100 else 1 if size < 1000 else 0
        written = f"{value:,.{decimals}f}"
    return written.replace("-", MINUS)


def fold_name(fold: int) -> str:
    """The fold that a model held out, or none."""
    return "none" if fold == WHOLE else str(fold)


def spread(estimate: Mapping[str, float | None]) -> str:
    """The interval of an estimate: 0.81 to 0.86; a dash where it is not known."""
    if estimate["low"] is None:
        return MISSING
    return f"{number(estimate['low'])} to {number(estimate['high'])}"


def count(value: int) -> str:
    """A number of things: 12,345."""
    return f"{value:,}"


def counted(value: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: 1 row, 2,000 rows, 3 classes."""
    return f"{count(value)} {noun if value == 1 else plural or noun + 's'}"


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal, without one from 10% on."""
    if share is None or not math.isfinite(share):
        return MISSING
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{share:.0%}" if share >= 0.0995 or share == 0 else f"{share:.1%}"


def duration(seconds: float | None) -> str:
    """A time: 3.2 s, 4 min 05 s, 2 h 13 min."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
