"""From rows to batches: the order of an epoch, and threads that read ahead while the model computes."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from outfold.data.balance import weighted_order

Reader = Callable[[int, np.random.Generator], np.ndarray]
"""Reads one row of one input as an array; randomness comes from the generator alone."""


@dataclass(frozen=True)
class InMemory:
    """A reader of rows that lie ready in memory: nothing is drawn, and a batch is had at once.

    Attributes:
        rows: (n, ...), one row a sample.
    """

    rows: np.ndarray

    def __call__(self, row: int, generator: np.random.Generator) -> np.ndarray:
        """One row."""
        return self.rows[row]

    def batch(self, rows: np.ndarray) -> np.ndarray:
        """Some rows, int64 (b,), as a new array (b, ...)."""
        return self.rows[rows]


ORDER, MIXING, SAMPLES, PSEUDO, BOUNDS = 1, 2, 3, 4, 5
"""What a pass draws random numbers for; part of each generator's seed, so that no two of them draw the same."""


@dataclass(frozen=True)
class Batch:
    """What a training or prediction step sees.

    Attributes:
        inputs: by input name a tensor (b, ...) as its reader made it; photos are uint8 (b, h, w, 3).
        rows: int64 (b,), the rows' places in the table.
    """

    inputs: dict[str, Tensor]
    rows: np.ndarray


@dataclass
class Waiting:
    """Seconds a consumer of batches spent waiting for them, and in all."""

    waited: float = 0.0
    elapsed: float = 0.0

    @property
    def share(self) -> float:
        """Share of the time spent waiting, 0 to 1."""
        return self.waited / self.elapsed if self.elapsed else 0.0

    def add(self, other: "Waiting") -> None:
        """Add another stretch of time to this one."""
        self.waited += other.waited
        self.elapsed += other.elapsed


@dataclass
class Loader:
    """Iterates once over batches of rows, read ahead by threads (the readers release the GIL in OpenCV and NumPy).

    The generator of a sample depends on `seed` and the sample's position alone, so the numbers do not depend on the
    number of workers. Where all inputs lie in memory there is nothing to read ahead, and no thread is started.

    Args:
        readers: by input name, how one row is read.
        batches: int64 arrays of rows.
        seed: integers that identify this pass, e.g. (run seed, epoch).
        workers: threads that read.
    """

    readers: Mapping[str, Reader]
    batches: Sequence[np.ndarray]
    seed: tuple[int, ...]
    workers: int = 2
    waiting: Waiting = field(default_factory=Waiting)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        ready = all(isinstance(reader, InMemory) for reader in self.readers.values())
        return self._gathered() if ready else self._read_ahead()

    def _gathered(self) -> Iterator[Batch]:
        """Batches of rows that lie in memory, each gathered when it is asked for."""
        started = time.perf_counter()
        try:
            for rows in self.batches:
                asked = time.perf_counter()
                batch = self._read(rows, 0)
                self.waiting.waited += time.perf_counter() - asked
                yield batch
        finally:
            self.waiting.elapsed += time.perf_counter() - started

    def _read_ahead(self) -> Iterator[Batch]:
        """Batches read by threads, a few ahead of the one that is asked for."""
        starts = np.cumsum([0, *map(len, self.batches)])
        started = time.perf_counter()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="outfold-reader")
        try:
            ahead: deque[Future[Batch]] = deque()
            todo = iter(zip(self.batches, starts, strict=False))
            for rows, start in todo:
                ahead.append(pool.submit(self._read, rows, int(start)))
                if len(ahead) > self.workers + 1:
                    yield self._next(ahead)
            while ahead:
                yield self._next(ahead)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            self.waiting.elapsed += time.perf_counter() - started

    def _next(self, ahead: deque[Future[Batch]]) -> Batch:
        started = time.perf_counter()
        batch = ahead.popleft().result()
        self.waiting.waited += time.perf_counter() - started
        return batch

    def _read(self, rows: np.ndarray, start: int) -> Batch:
        return Batch({name: torch.from_numpy(self._rows(one, rows, start)) for name, one in self.readers.items()}, rows)

    def _rows(self, reader: Reader, rows: np.ndarray, start: int) -> np.ndarray:
        """What one reader makes of a batch whose first sample has this position in the pass."""
        if isinstance(reader, InMemory):
            return reader.batch(rows)
        return np.stack([reader(int(row), self._generator(start + i)) for i, row in enumerate(rows)])

    def _generator(self, position: int) -> np.random.Generator:
        return np.random.default_rng([*self.seed, SAMPLES, position])


def training_batches(
    rows: np.ndarray, batch_size: int, seed: tuple[int, ...], weights: np.ndarray | None = None
) -> list[np.ndarray]:
    """The shuffled batches of one epoch, all of one size.

    The rows left over after the last whole batch sit this epoch out (others will in the next): batches of equal size
    keep memory flat and batch norms steady. Fewer rows than `batch_size` make one smaller batch.

    Args:
        rows: int64 (n,), the training rows.
        batch_size: rows in a batch.
        seed: integers that identify this epoch.
        weights: float64 (n,), chances of being drawn, with replacement; every row once when not given.
    """
    generator = np.random.default_rng([*seed, ORDER])
    order = rows[generator.permutation(len(rows)) if weights is None else weighted_order(weights, len(rows), generator)]
    whole = max(len(order) // batch_size, 1) * batch_size
    return [order[start : start + batch_size] for start in range(0, min(whole, len(order)), batch_size)]


def prediction_batches(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """All rows in their order, in batches; the last may be smaller."""
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
