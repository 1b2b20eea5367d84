"""`outfold report`: the page about a run, written anew."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="A run folder, complete or not.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the media, when they have moved since the run.")] = None,
) -> None:
    """Write RUN/report.html: scores, learning curves, mistakes, data warnings, time; one file without a network."""
    from outfold.report import write_report

    typer.echo(f"report: {write_report(run, root=data)}")
