"""Heads on vectors: how fast batches are had when rows lie in memory, against reading row by row.

    uv run python benchmarks/vector_batches.py [--rows 400] [--width 768] [--epochs 20]

Reading alone, and whole epochs of training a linear head (AdamW, batches of 32). Both ways give the same numbers; the
ratio is what reading whole batches is worth.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from outfold.models.network import VECTORS, build_network
from outfold.runs.execute import prepare_process
from outfold.settings.train import TrainSettings
from outfold.training.device import make_fabric
from outfold.training.guards import LossGuard
from outfold.training.learner import Learner, build_learner
from outfold.training.loop import train_epoch
from outfold.views.batches import InMemory, Loader, Reader, training_batches
from outfold.views.inputs import VectorInput

BATCH, OUTPUTS = 32, 5
SETTINGS = {
    "view": {"kind": "embedding", "vectors": ["vectors.parquet"]},
    "phases": [{"name": "head", "epochs": 1000, "lr": 1e-3, "schedule": "constant"}],
}


def row_by_row(vectors: np.ndarray) -> Reader:
    """A reader as any input has it, one row at a time."""
    return lambda row, generator: vectors[row]


def epochs_of(reader: Reader, rows: int, epochs: int, work: Callable[[Loader, int], Any]) -> float:
    """Samples a second over some epochs."""
    started, seen = time.perf_counter(), 0
    for epoch in range(epochs):
        batches = training_batches(np.arange(rows), BATCH, (0, epoch))
        work(Loader({VECTORS: reader}, batches, seed=(0, epoch)), epoch)
        seen += sum(map(len, batches))
    return seen / (time.perf_counter() - started)


def smooth_l1(logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """A loss that costs next to nothing."""
    return F.smooth_l1_loss(logits, target)


def learner_of(vectors: np.ndarray) -> Learner:
    """A linear head that learns noise."""
    settings = TrainSettings.model_validate(SETTINGS)
    network, _ = build_network(settings, OUTPUTS, vector_inputs=vectors.shape[1])
    fabric = make_fabric(torch.device("cpu"), "fp32")
    return build_learner(
        network,
        settings.phases[0],
        settings,
        model=fabric.setup_module(network),
        inputs={VECTORS: VectorInput(vectors)},
        target=torch.randn(len(vectors), OUTPUTS),
        weight=None,
        objective=smooth_l1,
        fabric=fabric,
        batches=len(vectors) // BATCH,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--epochs", type=int, default=20)
    given = parser.parse_args()
    prepare_process()
    vectors = np.random.default_rng(0).normal(size=(given.rows, given.width)).astype(np.float32)
    ids = np.arange(given.rows).astype(str).astype(object)
    learner = learner_of(vectors)

    def train(loader: Loader, epoch: int) -> None:
        train_epoch(learner, loader, LossGuard(ids, f"epoch {epoch}", every=1))

    for title, work in (("reading", lambda loader, epoch: list(loader)), ("training", train)):
        slow, fast = (
            epochs_of(one, given.rows, given.epochs, work) for one in (row_by_row(vectors), InMemory(vectors))
        )
        print(f"{title:<9} row by row {slow:10,.0f}/s   in memory {fast:10,.0f}/s   ratio {fast / slow:.1f}")


if __name__ == "__main__":
    main()
