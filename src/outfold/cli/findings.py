"""How findings look in a terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from outfold.cli.printing import say

if TYPE_CHECKING:
    from rich.console import Console

    from outfold.data.findings import Finding

SHOWN = 10
"""Rows listed for each finding, unless all are asked for."""

STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}

Everything = Annotated[bool, typer.Option("--all", help="List every row of every finding.")]


def print_findings(
    findings: "Sequence[Finding]", verdict: str, console: "Console", *, limit: int | None = SHOWN
) -> None:
    """Print findings by level, errors first, each with its rows, and a last line with the verdict and counts.

    Args:
        findings: in any order.
        verdict: what they come to, without a full stop.
        console: where to print.
        limit: rows shown for each finding; None shows all.
    """
    from rich.text import Text

    from outfold.data.findings import count

    for level, title in (("error", "Errors"), ("warning", "Warnings"), ("note", "Notes")):
        chosen = [finding for finding in findings if finding.level == level]
        if chosen:
            console.print(Text(title, style=STYLES[level]))
        for finding in chosen:
            _print_finding(finding, console, limit)
    counts = {level: sum(finding.level == level for finding in findings) for level in STYLES}
    said = ", ".join(count(counts[level], level) for level in ("error", "warning"))
    say(console, f"{verdict}. {said}.")


def _print_finding(finding: "Finding", console: "Console", limit: int | None) -> None:
    from rich.table import Table
    from rich.text import Text

    # Everything goes through Text: brackets in a user's file names are no markup.
    say(console, f"  {finding.what}")
    if finding.impact:
        say(console, f"      how bad: {finding.impact}")
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
        say(console, f"      do: {finding.fix}", style="dim")
