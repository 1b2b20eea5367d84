"""The demo: photos of solar cells laid out as a user's own folder, and a run of the recipe `solar-cells` on it.

The photos were cut from 44 solar modules and are numbered in the modules' order, so cells of one module are alike in
more than their defects: brightness, wiring, camera. A model can learn the module instead of the defect. Folds that keep
a module together show what is left on a new module; random folds show the flattery.
"""

import os
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from outfold.errors import OutfoldError
from outfold.files import read_json, write_atomically
from outfold.metrics import score
from outfold.recipe.load import load_recipe
from outfold.run_folder import PREDICTIONS, SUMMARY
from outfold.runs.execute import execute
from outfold.stages.base import Emit

MODULE_RUNS = ((60, 1), (300, 5), (180, 3), (360, 6), (714, 12), (530, 9), (72, 1), (180, 3), (48, 1), (180, 3))
"""Runs of cells of one type in file order: (cells, modules); a run is cut into equal parts."""

NEW_MODULES = (3, 14, 27, 41)
"""Modules kept out of training, as the table of new cells: two of mono- and two of polycrystalline cells."""


def module_of_cell() -> np.ndarray:
    """The module, int64 (2624,) from 0, that each cell in file order was cut from.

    Rebuilt from the runs of equal cell type; inside the two longest runs the borders are good to some ten cells.
    """
    sizes = [len(part) for cells, modules in MODULE_RUNS for part in np.array_split(np.arange(cells), modules)]
    return np.repeat(np.arange(len(sizes)), sizes)


def load_cells() -> pd.DataFrame:
    """All cells in file order: cell, file (path of the photo in the package), module, type, probability.

    Raises:
        OutfoldError: the package with the photos is not installed.
    """
    try:
        folder = Path(str(resources.files("elpv_dataset"))) / "data"
    except ModuleNotFoundError as error:
        raise OutfoldError(
            "the demo's photos are not installed",
            fix="install outfold with its demo extra: pip install 'outfold[demo]'",
        ) from error
    cells = pd.read_csv(folder / "labels.csv", sep=r"\s+", names=["file", "probability", "type"])
    cells["file"] = [folder / name for name in cells["file"]]
    cells["cell"] = [path.stem for path in cells["file"]]
    cells["module"] = [f"module{module:02d}" for module in module_of_cell()]
    cells["defective"] = (cells["probability"] >= 0.5).astype(int)
    return cells


def write_demo_data(folder: Path) -> None:
    """Lay the photos and two tables out as a user would: images/, cells.csv with labels, new_cells.csv without."""
    cells = load_cells()
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for path in cells["file"]:
        _link(path, images / path.name)
    new = np.isin(module_of_cell(), NEW_MODULES)
    labelled = cells.loc[~new, ["cell", "module", "type", "defective"]]
    write_atomically(folder / "cells.csv", lambda part: labelled.to_csv(part, index=False))
    write_atomically(folder / "new_cells.csv", lambda part: cells.loc[new, ["cell"]].to_csv(part, index=False))


def run_demo(folder: Path, *, grouped: bool, emit: Emit) -> dict[str, Any]:
    """Run the recipe `solar-cells` on the demo's data in `folder`/data; returns the run's summary."""
    write_demo_data(folder / "data")
    recipe = load_recipe("solar-cells", profile=None if grouped else "random")
    return execute(recipe, folder / ("grouped" if grouped else "random"), root=folder / "data", emit=emit)


def explain(folder: Path) -> str:
    """What the finished runs in the demo's folder say, compared with the truth about the new cells."""
    lines = []
    scores = {}
    for name in ("grouped", "random"):
        run = folder / name
        summary = read_json(run / SUMMARY) if (run / SUMMARY).exists() else {}
        if summary.get("status") == "complete":
            scores[name] = summary["score"]
            lines.append(
                f"  {name:8s} folds: {summary['score']:.3f} out of fold, {new_cells_auc(run):.3f} on new modules"
            )
    lines.insert(0, "ROC-AUC, and on the cells of 4 modules that no model ever saw:")
    if len(scores) == 2:
        lines.append(
            f"  random folds flatter by {scores['random'] - scores['grouped']:.3f}: they share modules with training"
        )
    else:
        other = "random" if "grouped" in scores else "grouped"
        lines.append(f"  outfold demo --folds {other}    to see what {other} folds would have said")
    return "\n".join(lines)


def new_cells_auc(run: Path) -> float:
    """ROC-AUC of a run's predictions for the new cells, against the labels that were kept back."""
    predictions = pd.read_parquet(run / PREDICTIONS)
    truth = load_cells().set_index("cell").loc[predictions["id"], "defective"].to_numpy(np.float32)
    return score("roc_auc", "binary", truth[:, None], predictions["prob_1"].to_numpy()[:, None])


def _link(source: Path, place: Path) -> None:
    """Hard-link a file, or copy it where the file system has no links across these folders."""
    if place.exists():
        return
    try:
        os.link(source, place)
    except OSError:
        shutil.copyfile(source, place)
