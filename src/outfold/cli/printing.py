"""Lines in a terminal, as they are: brackets in a user's names are no markup, and long lines are the terminal's."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def say(console: "Console", *lines: str, style: str = "") -> None:
    """Print lines."""
    from rich.text import Text

    for line in lines:
        console.print(Text(line, style=style), soft_wrap=True)
