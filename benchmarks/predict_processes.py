"""Rows predicted in a second by one process and by several, and how far their numbers are apart.

    uv run python benchmarks/predict_processes.py [--rows 512] [--rounds 3] [--processes 2] [--size 224]

A run of two folds is trained for one epoch on made-up photos (EfficientNet-Lite0 from scratch), then its models predict
`--rows` other ones, which lie in the cache by then. One process with a thread a core and `--processes` of them, cores
shared out, take turns; medians over the rounds are printed with their ratios to the first: rows a second of the whole
call, in which several processes are started first, and from the first batch on.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

import outfold
from outfold.settings.recipe import Recipe

TRAINED = 32


def make_photos(root: Path, number: int) -> None:
    """Noise of several scales, and a table with a number for each."""
    generator = np.random.default_rng(0)
    (root / "images").mkdir()
    for row in range(number):
        small = generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        cv2.imwrite(str(root / "images" / f"{row}.jpg"), cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC))
    table = pd.DataFrame({"photo": np.arange(number), "mass": generator.normal(10, 3, number)})
    table[:TRAINED].to_csv(root / "train.csv", index=False)
    table[TRAINED:][["photo"]].to_csv(root / "later.csv", index=False)


def trained_run(root: Path, size: int) -> outfold.Run:
    """Two models whose weights do not matter."""
    recipe = {
        "name": "benchmark",
        "data": {"train": "train.csv", "id": "photo", "image": {"path": "images/{photo}.jpg"}},
        "task": {"kind": "regression", "target": "mass", "metric": "rmse"},
        "folds": {"k": 2},
        "stages": {
            "fit": {
                "kind": "train",
                "backbone": "tf_efficientnet_lite0",
                "weights": "none",
                "view": {"size": size, "resize": "squash"},
                "batch_size": 8,
                "phases": [{"name": "all", "epochs": 1}],
                "predict": {"batch_size": 16},
                "members": {"a": {}},
            }
        },
    }
    return outfold.run(Recipe.model_validate(recipe), root / "run", data=root, device="cpu")


@dataclass
class Watch:
    """Notes when work was done."""

    rows: int
    started: float = field(default_factory=time.perf_counter)
    done: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, event: dict[str, Any]) -> None:
        """Be told of an event of a run."""
        if event["event"] == "work":
            self.done.append((time.perf_counter(), event["megapixels"]))

    @property
    def rates(self) -> tuple[float, float]:
        """Rows a second of the whole call, and from the first batch on."""
        (first, begun), (last, _) = self.done[0], self.done[-1]
        work = sum(work for _, work in self.done)
        return self.rows / (time.perf_counter() - self.started), self.rows * (1 - begun / work) / (last - first)


def main() -> None:
    """Print rates, ratios and differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--size", type=int, default=224)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_photos(root, TRAINED + arguments.rows)
        run = trained_run(root, arguments.size)
        answers = {}
        rates: dict[int, list[tuple[float, float]]] = {1: [], arguments.processes: []}
        run.predict(root / "later.csv", device="cpu")  # fills the cache
        for _ in range(arguments.rounds):
            for processes, seen in rates.items():
                watch = Watch(arguments.rows)
                answers[processes] = run.predict(root / "later.csv", device="cpu", processes=processes, emit=watch)
                seen.append(watch.rates)
    medians = {processes: np.median(seen, axis=0) for processes, seen in rates.items()}
    for processes, (whole, going) in medians.items():
        ratios = f"({whole / medians[1][0]:.2f} x), once started {going:7.1f} ({going / medians[1][1]:.2f} x)"
        print(f"{processes} processes  {whole:7.1f} rows/s {ratios}")
    one, several = (answers[processes]["mass"].to_numpy() for processes in rates)
    print(f"largest difference {np.abs(one - several).max():.3g}, of values around {np.abs(one).mean():.3g}")


if __name__ == "__main__":
    main()
