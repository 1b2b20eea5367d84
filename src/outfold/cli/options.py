"""Arguments and options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

RecipeName = Annotated[str, typer.Argument(help="A recipe file, or the name of a built-in recipe.", metavar="RECIPE")]
DataRoot = Annotated[Path, typer.Option("--data", help="Folder that the recipe's relative paths start from.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override one setting, e.g. fit.batch_size=16.", metavar="KEY=VALUE")
]
Profile = Annotated[str | None, typer.Option(help="A named set of overrides inside the recipe, e.g. small.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Threads that read samples; one a core when not given.")]


def names_in(texts: Sequence[str]) -> list[str]:
    """Names given one by one, or several in a text, separated by commas."""
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def weights_in(texts: Sequence[str], option: str, form: str) -> dict[str, float]:
    """`rows=0.5` as a mapping.

    Args:
        texts: one weight each.
        option: for the error, e.g. `--weight`.
        form: what one looks like, for the error, e.g. `NAME=W, e.g. rows=0.5`.
    """
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            weights[name.strip()] = float(number)
        except ValueError:
            name = ""
        if not name.strip():
            raise typer.BadParameter(f"{text!r} is not {form}", param_hint=option)
    return weights
