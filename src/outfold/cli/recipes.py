"""`outfold recipes`: the recipes that come with outfold, and the schema of a recipe."""

import json
from typing import Annotated

import typer

recipes_app = typer.Typer(help="List the built-in recipes, print one, or print the JSON Schema.", no_args_is_help=False)


@recipes_app.callback(invoke_without_command=True)
def list_recipes(context: typer.Context) -> None:
    """List the built-in recipes with their profiles."""
    if context.invoked_subcommand is not None:
        return
    from outfold.recipe.load import builtin_names, load_recipe

    for name in builtin_names():
        recipe = load_recipe(name)
        typer.echo(f"{name}\n    {recipe.description}")
        if recipe.profiles:
            typer.echo(f"    profiles: {', '.join(recipe.profiles)}")
    typer.echo("\n`outfold recipes show NAME` prints one: a good start for a recipe of your own.")
    typer.echo("`outfold recipes variants` lists what `outfold ablate --vary NAME` knows.")


@recipes_app.command()
def show(name: Annotated[str, typer.Argument(help="Name of a built-in recipe.")]) -> None:
    """Print a built-in recipe with its comments."""
    from outfold.recipe.load import builtin_text

    typer.echo(builtin_text(name), nl=False)


@recipes_app.command()
def variants(name: Annotated[str | None, typer.Argument(help="Print this one, with its comments.")] = None) -> None:
    """List the files of variants that come with outfold, or print one."""
    from outfold.recipe.study import variants_names, variants_of, variants_text

    if name is not None:
        typer.echo(variants_text(name), nl=False)
        return
    for known in variants_names():
        content = variants_of(known)
        typer.echo(f"{known}\n    {content.description}\n    {', '.join(content.variants)}")


@recipes_app.command()
def schema() -> None:
    """Print the JSON Schema of a recipe, for editors that complete and check YAML."""
    from outfold.recipe.load import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
