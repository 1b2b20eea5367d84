"""Seeds per second of the fold search against scikit-learn's own loop, and how even the folds become.

    python benchmarks/fold_search.py [--data ../shared/data/csiro] [--seeds 10000000] [--identity 400]

Two tables: the photos of the CSIRO biomass competition (groups are dates, strata are states) where they are present,
and a made one of 33,000 rows in 2,000 groups with 1.76% positives, which cluster in groups as lesions do in patients.
The reference is scikit-learn's StratifiedGroupKFold(5, shuffle=True, random_state=seed), one seed after the other, on
integer labels. Its time is that of one core's work, divided by the cores in use: as if it ran on all of them without
loss. The search is timed by the clock, and by processor time, which other work on the machine disturbs less. Every
seed that scikit-learn does is compared: the folds must be the same to the row.
"""

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn.model_selection import StratifiedGroupKFold

from outfold.data.folds.greedy import greedy_kernel
from outfold.data.folds.objective import Imbalance, imbalance
from outfold.data.folds.scan import cores, scan
from outfold.data.folds.search import FoldSearch, search
from outfold.data.folds.strata import read_strata
from outfold.data.folds.tally import Tally, tally_rows

K = 5
CSIRO = Path(os.environ.get("OUTFOLD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "csiro"


@dataclass(frozen=True)
class Case:
    """One table."""

    name: str
    groups: np.ndarray
    """int64 (n,)."""
    label: np.ndarray
    """(n,), what to stratify by."""
    column: str
    published: np.ndarray | None = None
    """int64 (n,)."""

    @property
    def strata(self) -> pd.DataFrame:
        """The label as a table."""
        return pd.DataFrame({self.column: self.label})

    def tally(self) -> Tally:
        """The table as kernels read it."""
        return tally_rows(self.groups, read_strata(self.label, len(self.label), k=K), K)


def real_table(folder: Path) -> Case:
    """The photos of the competition with the folds that were published."""
    table = pd.read_csv(folder / "train_with_published_folds.csv")
    groups = np.unique(table["Sampling_Date"], return_inverse=True)[1]
    label, fold = table["State"].to_numpy(object), table["fold"].to_numpy(np.int64)
    return Case("CSIRO", groups, label, "State", fold)


def made_table(rows: int = 33_000, groups: int = 2000, positives: float = 0.0176) -> Case:
    """Groups of log-normal size, few positives, which cluster."""
    rng = np.random.default_rng(0)
    size, risk = rng.lognormal(size=groups), rng.gamma(0.3, size=groups)
    group = np.append(np.arange(groups), rng.choice(groups, rows - groups, p=size / size.sum()))
    positive = np.zeros(rows, dtype=np.int64)
    chance = risk[group] / risk[group].sum()
    positive[rng.choice(rows, round(rows * positives), replace=False, p=chance)] = 1
    return Case("made", group, positive, "positive")


def by_scikit_learn(case: Case, seeds: int) -> Iterator[tuple[np.ndarray, float]]:
    """The folds of each seed, and the processor seconds they took."""
    label = np.unique(case.label, return_inverse=True)[1]
    nothing = np.zeros(len(label))
    for seed in range(seeds):
        started, fold = time.process_time(), np.empty(len(label), dtype=np.int64)
        splitter = StratifiedGroupKFold(K, shuffle=True, random_state=seed)
        parts = [rows for _, rows in splitter.split(nothing, label, case.groups)]
        seconds = time.process_time() - started
        for number, rows in enumerate(parts):
            fold[rows] = number
        yield fold, seconds


def race(case: Case, reference_seeds: int, seconds: float) -> None:
    """Print seeds per second of both, their ratio, and for how many seeds the folds are the same."""
    tally = case.tally()
    kernel, fold_of_group = greedy_kernel(tally), np.empty(tally.n_groups, dtype=np.int64)
    kernel(0, np.empty(8), fold_of_group)  # compiled before it is timed
    same, times = 0, []
    for seed, (fold, duration) in enumerate(by_scikit_learn(case, reference_seeds)):
        kernel(seed, np.empty(1), fold_of_group)
        same += bool((fold_of_group[tally.group_of_row] == fold).all())
        times.append(duration)
    started, worked = time.perf_counter(), time.process_time()
    scanned = scan(kernel, tally.n_groups, 0, 2**32, should_stop=lambda: time.perf_counter() - started > seconds)
    by_clock = scanned.tried / (time.perf_counter() - started)
    by_work = scanned.tried / (time.process_time() - worked) * cores()
    reference = cores() / statistics.median(times)
    size = f"{len(case.label):,} rows, {tally.n_groups:,} groups, {len(np.unique(case.label))} classes"
    print(f"{case.name}: {size}; seeds per second on {cores()} cores")
    print(f"  scikit-learn {sklearn.__version__:27}{reference:12,.1f}   ({len(times)} seeds, median)")
    print(f"  outfold, the same rule, by the clock    {by_clock:12,.0f}   {by_clock / reference:,.0f} times")
    print(f"  outfold, by processor time              {by_work:12,.0f}   {by_work / reference:,.0f} times")
    print(f"  the same folds, row by row: {same} of {reference_seeds} seeds\n", flush=True)


def evenness(case: Case, seeds: int, *, group_sizes: bool) -> None:
    """Print the imbalance of every way to fold one table, and what it cost."""
    greedy = search(case.groups, case.strata, K, seeds=seeds, method="greedy", group_sizes=group_sizes)
    balanced = search(case.groups, case.strata, K, group_sizes=group_sizes)
    by_way: dict[str, Imbalance] = {}
    groups = case.groups if group_sizes else None
    if case.published is not None:
        by_way["published folds"] = imbalance(case.published, case.strata, groups=groups)
    by_way |= {name: greedy.reference[name] for name in sorted(greedy.reference, reverse=True)}
    by_way[f"best of {greedy.seeds_tried:,} greedy seeds"] = greedy.imbalance
    by_way["balanced search"] = balanced.imbalance
    costs = {name: cost(found) for name, found in zip(list(by_way)[-2:], (greedy, balanced), strict=True)}
    print(f"{case.name}, imbalance of {K} folds" + (", group sizes spread too" if group_sizes else ""))
    print_imbalances(by_way, costs)


def cost(found: FoldSearch) -> str:
    """What a search took, compiling included."""
    return f"{found.seeds_tried:,} seeds, {found.seconds:.1f} s ({found.seeds_tried / found.seconds:,.0f}/s)"


def print_imbalances(by_way: Mapping[str, Imbalance], costs: Mapping[str, str]) -> None:
    """One way a line."""
    columns = list(next(iter(by_way.values())).strata)
    print(f"  {'':36}" + "".join(f"{name:>12}" for name in (*columns, "rows", "total")))
    for way, found in by_way.items():
        values = (*(found.column(name) for name in columns), found.rows, found.total)
        print(f"  {way:36}" + "".join(f"{value:12.6f}" for value in values) + f"   {costs.get(way, '')}")
    print(flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=CSIRO, help="folder with train_with_published_folds.csv")
    parser.add_argument("--seeds", type=int, default=10_000_000, help="greedy seeds on the real table")
    parser.add_argument("--made-seeds", type=int, default=100_000, help="greedy seeds on the made table")
    parser.add_argument("--identity", type=int, default=400, help="scikit-learn's seeds on the real table")
    parser.add_argument("--made-identity", type=int, default=40, help="scikit-learn's seeds on the made table")
    parser.add_argument("--seconds", type=float, default=8, help="length of a race")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    made = made_table()
    if (arguments.data / "train_with_published_folds.csv").is_file():
        real = real_table(arguments.data)
        race(real, arguments.identity, arguments.seconds)
        race(made, arguments.made_identity, arguments.seconds)
        evenness(real, arguments.seeds, group_sizes=False)
    else:
        print(f"{arguments.data}: no real table here, the made one alone is measured\n")
        race(made, arguments.made_identity, arguments.seconds)
    for group_sizes in (False, True):
        evenness(made, arguments.made_seeds, group_sizes=group_sizes)


if __name__ == "__main__":
    main()
