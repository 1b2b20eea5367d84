"""`outfold prepare`: a recipe's photos at the sizes that its members read, made ahead of a run."""

from pathlib import Path

from outfold.cli.options import DataRoot, Overrides, Profile, RecipeName, Workers
from outfold.cli.printing import say


def prepare(
    recipe: RecipeName,
    data: DataRoot = Path(),
    *,
    overrides: Overrides = None,
    profile: Profile = None,
    workers: Workers = None,
) -> None:
    """Store a recipe's photos at the sizes that its members read (`data.prepare`), and say where and how large.

    A run does the same when it starts; files that are there are not made again.
    """
    from outfold.recipe.load import load_recipe

    loaded = load_recipe(recipe, overrides=overrides or [], profile=profile)

    from rich.console import Console

    from outfold.cli.progress import live
    from outfold.inference.predict import CPU
    from outfold.runs.prepared import prepare_recipe
    from outfold.stages.base import Compute
    from outfold.work import default_workers

    console = Console()
    with live(console) as emit:
        stored = prepare_recipe(loaded, data.resolve(), Compute(CPU, workers or default_workers(), emit))
    for one in stored:
        say(console, f"{one.size} px: {one.files:,} photos, {one.bytes / 1e6:,.1f} MB in {one.folder}")
