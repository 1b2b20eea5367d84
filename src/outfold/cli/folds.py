"""`outfold folds`: a table's most even folds that keep groups together, searched among any number of seeds."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from outfold.cli.options import names_in, weights_in
from outfold.cli.printing import say

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from rich.console import Console
    from rich.text import Text

    from outfold.data.folds.from_table import Units
    from outfold.data.folds.objective import Imbalance
    from outfold.data.folds.search import FoldSearch
    from outfold.settings.folds import Cut

    Stratum = tuple[str, str]

NAMED = 5
"""Torn groups spelled out."""
SHOWN = 20
"""Strata listed, the least even first, unless all are asked for."""


def folds(
    table: Annotated[Path, typer.Argument(help="A CSV or parquet table with a row for each sample, or several.")],
    *,
    group: Annotated[
        list[str] | None, typer.Option(metavar="COL[,COL..]", help="Columns whose equal values share a fold.")
    ] = None,
    stratify: Annotated[
        list[str] | None,
        typer.Option(metavar="COL[,COL..]", help="Columns to spread evenly, each for itself; quantities are binned."),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=2, help="Folds.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds to try at most.")] = 10_000_000,
    method: Annotated[
        Literal["balanced", "greedy"],
        typer.Option(help="balanced: moves and swaps of groups, until nothing is gained. greedy: scikit-learn's rule."),
    ] = "balanced",
    seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    group_size: Annotated[bool, typer.Option("--group-size", help="Spread large and small groups evenly too.")] = False,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=W", help="Weight of a column, of rows (fold sizes) or of group_size; 1 if not given."
        ),
    ] = None,
    cut: Annotated[
        list[str] | None,
        typer.Option(metavar="COL=VALUE:PARTS", help="Cut the groups of these rows into virtual ones; needs --order."),
    ] = None,
    order: Annotated[str | None, typer.Option(metavar="COL", help="What rows are put in order by for --cut.")] = None,
    id_column: Annotated[
        str | None,
        typer.Option("--id", metavar="COL", help="Names a sample; its rows share a fold. Guessed if not given."),
    ] = None,
    unknown: Annotated[
        list[str] | None, typer.Option(metavar="VALUE", help="A group's value that means: not known, e.g. -1.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the folds go: id, fold, group, strata.")] = Path("folds.csv"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if there is one.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="One a core when not given.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="List every stratum.")] = False,
) -> None:
    """Search the most even folds that split no group, compare them with scikit-learn's, and write folds.csv.

    Ctrl-C ends the search with the best folds so far. A recipe reads the file: `folds: {file: folds.csv}`.
    """
    from rich.console import Console

    from outfold.data.folds.from_table import read_units
    from outfold.data.folds.search import search
    from outfold.data.folds.table import write_folds
    from outfold.errors import DataError

    if out.exists() and not overwrite:
        raise DataError(f"{out} is there already", fix="choose another --out, or say --overwrite")
    console, weights, cuts = (
        Console(),
        weights_in(weight or [], "--weight", "NAME=W, e.g. rows=0.5"),
        _cuts(cut or [], order),
    )
    if id_column is None:
        id_column = _guess_id(table)
        say(console, f"samples are named by column {id_column!r}; --id chooses another")
    units = read_units(
        table, id_column, names_in(group or []), names_in(stratify or []), unknown=unknown or [], cuts=cuts
    )
    _print_units(units, console)
    with _interruptible(console) as should_stop, _bar(console, seeds if method == "greedy" else None) as progress:
        found = search(
            units.groups,
            units.strata,
            k,
            seeds=seeds,
            first_seed=seed,
            method=method,
            weights=weights,
            group_sizes=group_size,
            threads=threads,
            progress=progress,
            should_stop=should_stop,
        )
    print_found(found, units, console, limit=None if everything else SHOWN)
    write_folds(out, units.table(found))
    say(console, f"wrote {out}; a recipe in the same data folder reads it with  folds: {{file: {out.name}}}")


def print_found(found: "FoldSearch", units: "Units", console: "Console", *, limit: int | None = SHOWN) -> None:
    """Print how the search ended, imbalances beside those of folds without a search, and what is in each fold.

    Args:
        found: what was found.
        units: what was dealt out.
        console: where to print.
        limit: strata listed; None lists all.
    """
    say(console, f"{_ending(found)}\n")
    shown = _least_even(found.imbalance, limit)
    _print_imbalance(found, shown, console)
    hidden = sum(map(len, found.imbalance.strata.values())) - len(shown)
    if hidden:
        say(console, f"and {hidden:,} more strata, none of them less even (--all lists them)")
    console.print()
    _print_folds(found, units, shown, console)
    console.print()


def _ending(found: "FoldSearch") -> str:
    rate = found.seeds_tried / max(found.seconds, 1e-9)
    since = found.seeds_tried - 1 - (found.seed - found.first_seed)
    ending = {
        "all": "all were tried",
        "settled": f"the last {since:,} brought nothing better",
        "stopped": "stopped: the best so far",
    }[found.ending]
    tried = f"{found.seeds_tried:,} seeds in {found.seconds:.1f} s ({rate:,.0f} a second), {ending}"
    return f"{found.method}: {tried}. Best seed: {found.seed}"


def _print_units(units: "Units", console: "Console") -> None:
    """What the table holds, and what a reader must know of its groups."""
    rows = f"{units.n_rows:,} rows of " if units.n_rows > len(units) else ""
    groups = "" if units.groups is None else f" in {len(set(units.groups.tolist())):,} groups"
    say(console, f"{rows}{len(units):,} samples{groups}")
    if units.n_unknown:
        say(console, f"note: the group of {units.n_unknown:,} samples is not known; each is a group of its own")
    if units.torn:
        torn = [f"{name} ({parts} parts)" for name, parts in list(units.torn.items())[:NAMED]]
        more = ", .." if len(units.torn) > NAMED else ""
        say(console, f"note: the cut tears {len(units.torn):,} groups apart, which may leak: {', '.join(torn)}{more}")


def _print_imbalance(found: "FoldSearch", shown: "Collection[Stratum]", console: "Console") -> None:
    from rich.table import Table

    by_way = {"found": found.imbalance, **found.reference}
    table = Table(box=None, pad_edge=False)
    table.add_column("imbalance", overflow="fold")
    for way in by_way:
        table.add_column(f"{way}, seed {found.first_seed}" if way == "scikit-learn" else way, justify="right")

    def add(label: str, values: "Iterable[float]") -> None:
        table.add_row(_text(label), *(f"{value:.4f}" for value in values))

    for name, strata in found.imbalance.strata.items():
        add(name, (imbalance.column(name) for imbalance in by_way.values()))
        for label in strata:
            if (name, label) in shown:
                add(f"  {label}", (imbalance.strata[name][label] for imbalance in by_way.values()))
    add("fold sizes", (imbalance.rows for imbalance in by_way.values()))
    add("total, weighted", (imbalance.total for imbalance in by_way.values()))
    console.print(table)


def _print_folds(found: "FoldSearch", units: "Units", shown: "Collection[Stratum]", console: "Console") -> None:
    """Rows, groups and the strata's shares of each fold, beside those of the table."""
    import numpy as np
    from rich.table import Table

    members = [np.arange(len(units)), *(np.flatnonzero(found.fold == fold) for fold in np.unique(found.fold))]
    table = Table(box=None, pad_edge=False)
    table.add_column("", overflow="fold")
    for heading in ("all", *(f"fold {number}" for number in range(len(members) - 1))):
        table.add_column(heading, justify="right")
    table.add_row("rows", *(f"{len(rows):,}" for rows in members))
    if units.groups is not None:
        table.add_row("groups", *(f"{len(set(units.groups[rows].tolist())):,}" for rows in members))
    for name, labels, codes in zip(found.strata.columns, found.strata.labels, found.strata.codes.T, strict=True):
        for number, label in enumerate(labels):
            if (name, label) in shown:
                shares = [_percent((codes[rows] == number).mean()) for rows in members]
                table.add_row(_text(f"{name} {label}"), *shares)
    console.print(table)


def _least_even(imbalance: "Imbalance", limit: int | None) -> "set[Stratum]":
    """The strata to list."""
    strata = [(name, label) for name, labels in imbalance.strata.items() for label in labels]
    return set(sorted(strata, key=lambda stratum: -imbalance.strata[stratum[0]][stratum[1]])[:limit])


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.1 else f"{share:.2%}"


@contextmanager
def _bar(console: "Console", total: int | None) -> "Iterator[Callable[[int, float], None]]":
    """Seeds done, their rate, the best so far; the time left where it is known."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    left = [TextColumn("left"), TimeRemainingColumn()] if total else []
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), *left, console=console, transient=True
    )
    started = time.perf_counter()
    with bars:
        task = bars.add_task("compiling", total=total)

        def progress(done: int, best: float) -> None:
            rate = done / (time.perf_counter() - started)
            bars.update(task, completed=done, description=f"{done:,} seeds, {rate:,.0f}/s, best {best:.4f}")

        yield progress


@contextmanager
def _interruptible(console: "Console") -> "Iterator[Callable[[], bool]]":
    """The first Ctrl-C asks the search to stop, a second one ends the command."""
    asked = threading.Event()

    def ask(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)
        say(console, "stopping with the best so far; Ctrl-C again ends at once")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


def _guess_id(path: Path) -> str:
    """The column that names a sample, where the table leaves no doubt that one does."""
    from outfold.data.reading import read_rows
    from outfold.errors import DataError
    from outfold.recipe.guess.columns import guess_id

    frame, _ = read_rows(path)
    guess = guess_id(frame, ())
    if not frame[guess.columns[0]].is_unique:
        raise DataError(f"{path}: no column identifies a row", fix="name the column of samples with --id")
    return guess.columns[0]


def _cuts(texts: "Sequence[str]", order: str | None) -> "list[Cut]":
    """`State=WA:7` as a rule."""
    from outfold.settings.folds import Cut

    if bool(texts) != (order is not None):
        raise typer.BadParameter("--cut and --order COL go together", param_hint="--cut")
    rules = []
    for text in texts:
        where, _, parts = text.rpartition(":")
        column, equals, value = where.partition("=")
        if not (column and equals and parts.isdigit() and int(parts) >= 2):
            raise typer.BadParameter(f"{text!r} is not COL=VALUE:PARTS, e.g. State=WA:7", param_hint="--cut")
        rules.append(Cut(where={column.strip(): value.strip()}, parts=int(parts), by=str(order)))
    return rules


def _text(text: str) -> "Text":
    """Brackets in a user's names are no markup."""
    from rich.text import Text

    return Text(text)
