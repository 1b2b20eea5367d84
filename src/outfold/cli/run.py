"""`outfold run`: a recipe from start to end, or on from where it stopped."""

from pathlib import Path
from typing import Annotated

import typer

from outfold.cli.options import DataRoot, Device, Overrides, Profile, RecipeName, Workers


def run(
    recipe: RecipeName,
    out: Annotated[Path | None, typer.Option(help="The run folder; runs/NAME when not given.")] = None,
    data: DataRoot = Path(),
    overrides: Overrides = None,
    profile: Profile = None,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Run a recipe: train, score out of fold, predict the test table, write submission and report.

    The same command goes on where a stopped run left off; a changed recipe does only what it must.
    """
    from outfold.recipe.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides or [], profile=profile)
    folder = out or Path("runs") / loaded.name

    from outfold.recipe.files import require_files

    require_files(loaded, data.resolve())

    from outfold.cli.progress import live
    from outfold.runs.execute import execute

    with live() as emit:
        summary = execute(loaded, folder, root=data.resolve(), device=device, workers=workers, emit=emit)

    from outfold.cli.outcome import print_outcome

    print_outcome(folder, summary)
