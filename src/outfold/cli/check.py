"""`outfold check`: what is wrong with a recipe's data, and what the run would cost, before it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outfold.cli.options import DataRoot, Device, Overrides, Profile, RecipeName, Workers

if TYPE_CHECKING:
    from rich.console import Console

    from outfold.data.checks import Checked, Progress
    from outfold.data.findings import Finding

SHOWN = 10
"""Rows listed for each finding, unless all are asked for."""

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def check(
    recipe: RecipeName,
    data: DataRoot = Path(),
    *,
    overrides: Overrides = None,
    profile: Profile = None,
    device: Device = "auto",
    workers: Workers = None,
    estimate: Annotated[bool, typer.Option(help="Take a few training steps to say what the run would cost.")] = True,
    everything: Annotated[bool, typer.Option("--all", help="List every row of every finding.")] = False,
) -> None:
    """Read every row and open every file of a recipe's data, and say what is wrong before a run finds out.

    Exits with 1 when something would stop the run, with 0 otherwise.
    """
    from outfold.recipe.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides or [], profile=profile)

    from rich.console import Console

    from outfold.runs.check import check_recipe
    from outfold.work import default_workers

    console = Console()
    with _bars(console) as progress:
        checked = check_recipe(
            loaded,
            data.resolve(),
            workers=workers or default_workers(),
            progress=progress,
            device=device if estimate else None,
        )
    print_checked(checked, loaded.name, console, limit=None if everything else SHOWN)
    if not checked.ok:
        raise typer.Exit(1)


def print_checked(checked: "Checked", name: str, console: "Console", *, limit: int | None = SHOWN) -> None:
    """Print findings by level, errors first, each with its rows, and a verdict.

    Args:
        checked: what was found.
        name: the recipe's name.
        console: where to print.
        limit: rows shown for each finding; None shows all.
    """
    from rich.text import Text

    for level, title in (("error", "Errors"), ("warning", "Warnings"), ("note", "Notes")):
        findings = [finding for finding in checked.findings if finding.level == level]
        if findings:
            console.print(Text(title, style=STYLES[level]))
        for finding in findings:
            _print_finding(finding, console, limit)
    counts = {level: sum(finding.level == level for finding in checked.findings) for level in STYLES}
    verdict = "the run would stop" if counts["error"] else "ready to run"
    console.print(Text(f"{name}: {verdict}. {counts['error']} errors, {counts['warning']} warnings."), soft_wrap=True)


def _print_finding(finding: "Finding", console: "Console", limit: int | None) -> None:
    from rich.table import Table
    from rich.text import Text

    # Everything goes through Text: brackets in a user's file names are no markup.
    console.print(Text(f"  {finding.what}"), soft_wrap=True)
    shown = finding.places[:limit]
    if shown:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
        columns = [(place.row, place.id, place.file, place.note) for place in shown]
        used = [column for column in range(4) if any(cells[column] for cells in columns)]
        table.add_column(width=4)
        for column in used:
            table.add_column(overflow="fold", no_wrap=column < 2)
        for cells in columns:
            table.add_row("", *(Text(cells[column]) for column in used))
        console.print(table)
    more = len(finding.places) - len(shown)
    if more:
        console.print(Text(f"      and {more:,} more (--all lists them)"))
    if finding.fix:
        console.print(Text(f"      do: {finding.fix}", style="dim"), soft_wrap=True)


@contextmanager
def _bars(console: "Console") -> "Iterator[Progress]":
    """A bar for the files of each table."""
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (*Bars.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks = {}

        def progress(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = bars.add_task(f"files of the {table} table", total=total)
            bars.update(tasks[table], completed=done)

        yield progress
