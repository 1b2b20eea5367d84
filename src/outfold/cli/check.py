"""`outfold check`: what is wrong with a recipe's data, and what the run would cost, before it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outfold.cli.findings import SHOWN, Everything, print_findings
from outfold.cli.options import DataRoot, Device, Overrides, Profile, RecipeName, Workers

if TYPE_CHECKING:
    from rich.console import Console

    from outfold.data.checks import Checked, Progress


def check(
    recipe: RecipeName,
    data: DataRoot = Path(),
    *,
    overrides: Overrides = None,
    profile: Profile = None,
    device: Device = "auto",
    workers: Workers = None,
    estimate: Annotated[bool, typer.Option(help="Take a few training steps to say what the run would cost.")] = True,
    everything: Everything = False,
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
    """Print findings by level, and a verdict.

    Args:
        checked: what was found.
        name: the recipe's name.
        console: where to print.
        limit: rows shown for each finding; None shows all.
    """
    verdict = "the run would stop" if not checked.ok else "ready to run"
    print_findings(checked.findings, f"{name}: {verdict}", console, limit=limit)


@contextmanager
def _bars(console: "Console") -> "Iterator[Progress]":
    """A bar for the files of each table, and one for each pattern of backgrounds."""
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (*Bars.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks = {}

        def progress(table: str, done: int, total: int) -> None:
            if table not in tasks:
                tasks[table] = bars.add_task(f"files: {table}", total=total)
            bars.update(tasks[table], completed=done)

        yield progress
