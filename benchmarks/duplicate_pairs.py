"""Seconds to find all pairs above a cosine, against blocked float32 matrix products in the same run.

    uv run python benchmarks/duplicate_pairs.py [--rows 50000] [--width 1280] [--threshold 0.9] [--rounds 3]

The reference multiplies the same upper triangle in float32, in blocks of 4,096 rows, and looks each block through with
torch. Three sets of vectors, each with 1,000 copies planted at cosines from 0.85 to 1: `spread`, independent
directions; `clustered`, 500 groups in a space of 64 dimensions; and `collapsed`, as a network's raw features often are,
with a mean cosine near 0.8. `certain` is the search with `miss=0`. All must find the same pairs.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from outfold.duplicates.pairs import Pairs, pairs_over


def spread(rows: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Independent directions."""
    return rng.standard_normal((rows, width), dtype=np.float32)


def clustered(rows: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Groups of rows whose cosine is about 0.6, in a space of 64 dimensions with a little noise in all others."""
    centres = rng.standard_normal((500, 64), dtype=np.float32)
    low = centres[rng.integers(0, 500, rows)] + 0.8 * rng.standard_normal((rows, 64), dtype=np.float32)
    return low @ rng.standard_normal((64, width), dtype=np.float32) + rng.standard_normal(
        (rows, width), dtype=np.float32
    )


def collapsed(rows: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Rows that share most of their direction."""
    return 2 * rng.standard_normal(width, dtype=np.float32) + rng.standard_normal((rows, width), dtype=np.float32)


def planted(vectors: np.ndarray, rng: np.random.Generator, copies: int = 1000) -> np.ndarray:
    """The last rows replaced by copies of the first, at cosines from 0.85 to 1."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    originals, cosine = unit[:copies], np.linspace(0.85, 1, copies, dtype=np.float32)[:, None]
    noise = rng.standard_normal(originals.shape, dtype=np.float32)
    noise -= (noise * originals).sum(1, keepdims=True) * originals
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    unit[-copies:] = cosine * originals + np.sqrt(1 - cosine**2) * noise
    return unit


def reference(vectors: np.ndarray, threshold: float, block: int = 4096) -> Pairs:
    """Blocked float32 matrix products over the upper triangle."""
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors), dim=1)
    found = []
    for top in range(0, len(unit), block):
        for left in range(top, len(unit), block):
            products = unit[top : top + block] @ unit[left : left + block].T
            if top == left:
                products = products.triu(1)
            pairs = (products >= threshold).nonzero()
            found.append((pairs + torch.tensor([top, left]), products[pairs[:, 0], pairs[:, 1]]))
    pairs, similarity = (torch.cat(part).numpy() for part in zip(*found, strict=True))
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Pairs(pairs[order, 0], pairs[order, 1], similarity[order])


def equal(found: Pairs, expected: Pairs, threshold: float, width: int) -> bool:
    """The same pairs, but for those that float32 cannot tell from the threshold."""
    numbered = [pairs.first * 10**9 + pairs.second for pairs in (found, expected)]
    sure = [np.abs(pairs.similarity - threshold) > 1e-6 for pairs in (found, expected)]
    return not len(np.setxor1d(*numbered)) or all(
        np.isin(numbers[certain], other).all()
        for numbers, certain, other in zip(numbered, sure, numbered[::-1], strict=True)
    )


def timed(run: object, *arguments: object, **options: object) -> tuple[float, Pairs]:
    """How long a call takes, and its answer."""
    started = time.perf_counter()
    answer = run(*arguments, **options)
    return time.perf_counter() - started, answer


def main() -> None:
    """Print a row for each set of vectors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    pairs_over(np.eye(4, 600, dtype=np.float32), 0.5)  # compiles the loops
    print(f"{arguments.rows:,} x {arguments.width:,}, cosine {arguments.threshold}, {torch.get_num_threads()} threads")
    print(f"{'vectors':10}  {'float32':>8}  {'outfold':>8}  {'times':>6}  {'certain':>8}  {'times':>6}  pairs")
    for make in (spread, clustered, collapsed):
        rng = np.random.default_rng(0)
        vectors = planted(make(arguments.rows, arguments.width, rng), rng)
        slow, expected = timed(reference, vectors, arguments.threshold)
        runs = [timed(pairs_over, vectors, arguments.threshold) for _ in range(arguments.rounds)]
        certain, sure = timed(pairs_over, vectors, arguments.threshold, miss=0)
        same = all(equal(found, expected, arguments.threshold, arguments.width) for found in (runs[0][1], sure))
        fast = statistics.median(seconds for seconds, _ in runs)
        took = f"{slow:7.1f}s  {fast:7.2f}s  {slow / fast:6.1f}  {certain:7.2f}s  {slow / certain:6.1f}"
        print(f"{make.__name__:10}  {took}  {len(expected):,}{'' if same else '  NOT THE SAME PAIRS'}", flush=True)


if __name__ == "__main__":
    main()
