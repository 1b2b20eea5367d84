"""Arguments and options that several commands share."""

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
