"""`outfold predict`: new rows by the models of a finished run."""

from pathlib import Path
from typing import Annotated

import typer

from outfold.cli.options import Device


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    table: Annotated[Path, typer.Argument(help="CSV or parquet with the recipe's id and media columns.")],
    out: Annotated[Path, typer.Option(help="CSV or parquet file to write.")] = Path("predictions.csv"),
    data: Annotated[Path | None, typer.Option(help="Folder of the media; the table's own when not given.")] = None,
    device: Device = "auto",
) -> None:
    """Predict new rows with the models of a run, exactly as its out-of-fold predictions were made."""
    from outfold.errors import OutfoldError

    if out.suffix not in (".csv", ".parquet"):
        raise OutfoldError(f"cannot write {out}", expected="a name that ends in .csv or .parquet")

    from outfold.run_folder import read_summary

    read_summary(run)

    from outfold.cli.progress import live
    from outfold.files import write_atomically
    from outfold.runs.loaded import Run

    with live() as emit:
        answer = Run(run).predict(table, root=data, device=device, emit=emit)
    write = answer.to_csv if out.suffix == ".csv" else answer.to_parquet
    write_atomically(out, lambda part: write(part, index=False))
    typer.echo(f"{len(answer)} rows predicted: {out}")
