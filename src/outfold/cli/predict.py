"""`outfold predict`: new rows by the models of a finished run."""

from pathlib import Path
from typing import Annotated

import typer

from outfold.cli.options import Device, names_in


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    table: Annotated[
        Path,
        typer.Argument(
            help="CSV or parquet with the recipe's id and media columns; or recordings: a folder, a file or a pattern "
            "in quotes, 'new/*.ogg'."
        ),
    ],
    out: Annotated[Path, typer.Option(help="CSV or parquet file to write.")] = Path("predictions.csv"),
    data: Annotated[
        Path | None, typer.Option(help="Folder of the media; that of the table or the recordings when not given.")
    ] = None,
    submission: Annotated[bool, typer.Option("--submission", help="Write what the run's submit stage writes.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    device: Device = "auto",
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the rows on a CPU.")] = 1,
    devices: Annotated[
        list[str] | None, typer.Option(help="Numbers of GPUs that share the rows, one process each: 0,1.")
    ] = None,
) -> None:
    """Predict new rows with the models of a run, exactly as its out-of-fold predictions were made.

    Rows whose process is lost are predicted again by another one, once; where that fails too, nothing is written.
    A file of predictions that is there already is replaced with --force only. With --submission it has the columns of
    the run's submission, under the same names, and of windows of recordings only those that are answered.
    """
    from outfold.errors import OutfoldError

    gpus = [_number(name) for name in names_in(devices or [])]

    if out.suffix not in (".csv", ".parquet"):
        raise OutfoldError(f"cannot write {out}", expected="a name that ends in .csv or .parquet")
    if out.exists() and not force:
        raise OutfoldError(f"{out} is there already", fix="choose another --out, or --force to replace it")

    from outfold.run_folder import read_summary

    read_summary(run)

    from outfold.cli.progress import live
    from outfold.data.findings import count
    from outfold.files import write_atomically
    from outfold.runs.loaded import Run

    with live() as emit:
        answer = Run(run).predict(
            table,
            root=data,
            device=device,
            processes=processes,
            devices=gpus,
            as_submission=submission,
            emit=emit,
        )
    write = answer.to_csv if out.suffix == ".csv" else answer.to_parquet
    write_atomically(out, lambda part: write(part, index=False))
    typer.echo(f"{count(len(answer), 'row')} predicted: {out}")


def _number(name: str) -> int:
    if not name.isdecimal():
        raise typer.BadParameter(f"{name!r} is no number of a GPU, e.g. 0,1", param_hint="--devices")
    return int(name)
