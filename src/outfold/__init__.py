"""outfold: from a table of labelled images or recordings to predictions that win.

    run = outfold.run("recipe.yaml", "runs/first", data="path/to/data")
    run.score, run.oof, run.predict(new_rows)

Every part works alone: `outfold.folds`, `outfold.metrics`, `outfold.losses`, `outfold.augment`, `outfold.mix`, ...
"""

from importlib import import_module
from typing import Any

PARTS = {
    "audio": "outfold.views.audio",
    "audit": "outfold.audit",
    "augment": "outfold.views.augment",
    "duplicates": "outfold.duplicates",
    "ensemble": "outfold.ensemble",
    "errors": "outfold.errors",
    "folds": "outfold.data.folds",
    "losses": "outfold.training.losses",
    "media": "outfold.data.media",
    "metrics": "outfold.metrics",
    "mix": "outfold.views.mix",
    "optim": "outfold.training.optim",
    "predictions": "outfold.data.predictions",
    "tta": "outfold.inference.tta",
}
"""Short names of parts -> their modules; loaded when first used, so that importing outfold costs nothing."""

FUNCTIONS = {
    "Run": "outfold.api",
    "ablate": "outfold.api",
    "load_recipe": "outfold.recipe.load",
    "load_run": "outfold.api",
    "run": "outfold.api",
}
"""Functions and classes of the package itself -> their modules."""


def __dir__() -> list[str]:
    return sorted([*PARTS, *FUNCTIONS])


def __getattr__(name: str) -> Any:
    if name in PARTS:
        return import_module(PARTS[name])
    if name in FUNCTIONS:
        return getattr(import_module(FUNCTIONS[name]), name)
    raise AttributeError(f"module 'outfold' has no attribute {name!r}; it has {', '.join(__dir__())}")
