"""Lines in a terminal, as they are: brackets in a user's names are no markup, and long lines are the terminal's."""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def say(console: "Console", *lines: str, style: str = "") -> None:
    """Print lines."""
    from rich.text import Text

    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)


def print_table(
    console: "Console",
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Collection[str] = ("",),
    folded: Collection[str] = (),
) -> None:
    """Print a table under its title; numbers stand on the right.

    Args:
        console: where to.
        title: in bold.
        columns: their headings.
        rows: a text a column.
        words: columns that hold words, which stand on the left.
        folded: columns that may go on in a second line where the terminal is narrow.
    """
    from rich.table import Table
    from rich.text import Text

    say(console, title, style="bold")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="left" if column in words else "right", no_wrap=column not in folded, overflow="fold"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
