"""The demo's data: modules rebuilt from the file order, a layout as a user has it, nothing given away."""

from pathlib import Path

import numpy as np
import pandas as pd

from outfold.demo import NEW_MODULES, load_cells, module_of_cell, write_demo_data
from outfold.recipe.load import load_recipe


def test_modules_are_rebuilt_from_the_runs_of_equal_type() -> None:
    module = module_of_cell()
    assert len(module) == 2624
    assert len(np.unique(module)) == 44
    assert (np.diff(module) >= 0).all()
    cells = load_cells()
    assert (cells.groupby("module")["type"].nunique() == 1).all()


def test_the_data_is_laid_out_as_the_recipe_expects(tmp_path: Path) -> None:
    write_demo_data(tmp_path)
    write_demo_data(tmp_path)  # a second time changes nothing
    labelled, new = pd.read_csv(tmp_path / "cells.csv"), pd.read_csv(tmp_path / "new_cells.csv")
    assert list(new.columns) == ["cell"]
    assert not set(labelled["cell"]) & set(new["cell"])
    assert labelled["module"].nunique() == 44 - len(NEW_MODULES)
    assert len(labelled) + len(new) == len(list((tmp_path / "images").iterdir())) == 2624
    recipe = load_recipe("solar-cells")
    assert recipe.data.id in labelled.columns
    assert recipe.folds.group == ("module",)
    assert load_recipe("solar-cells", profile="random").folds.group == ()
