"""ROC-AUC and seconds of the demo's recipe on one random split, to compare with other libraries.

    uv run python benchmarks/solar_split.py [--set fit.batch_size=32 ..]

The split is scikit-learn's train_test_split(test_size=0.2, random_state=0, stratify=target) over all 2,624 cells; the
time is that of the whole command `outfold run`, from its start to its report. On the same split and the same weights,
on two cores: AutoGluon MultiModal 1.6 reached 0.926 in 303 s, fastai 0.877 in 358 s.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from outfold.demo import load_cells, write_demo_data


def main() -> None:
    """Write the split as a fold column, run the recipe on its one fold, print score and time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", action="append", default=[], help="an override of the recipe")
    arguments = parser.parse_args()
    cells = load_cells()
    _, held_out = train_test_split(np.arange(len(cells)), test_size=0.2, random_state=0, stratify=cells["defective"])
    cells["fold"] = 1
    cells.loc[held_out, "fold"] = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_demo_data(folder / "data")
        cells[["cell", "defective", "fold"]].to_csv(folder / "data" / "cells.csv", index=False)
        sets = ["data.test=null", "folds={column: fold, only: [0], group: []}", *arguments.set]
        command = [sys.executable, "-m", "outfold", "run", "solar-cells", "--data", str(folder / "data")]
        command += ["--out", str(folder / "run"), *(part for one in sets for part in ("--set", one))]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - started
        scores = json.loads((folder / "run" / "summary.json").read_text())["scores"]["roc_auc"]
    interval = f"95% interval {scores['low']:.3f} to {scores['high']:.3f}"
    print(f"ROC-AUC {scores['value']:.4f} ({interval}) on {len(held_out)} cells in {seconds:.0f} s")


if __name__ == "__main__":
    main()
