"""`outfold duplicates`: photos that show the same picture, across all tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from outfold.cli.options import Device, Overrides, Profile, Workers
from outfold.cli.tables import is_recipe, plain_tables, refuse_table_options, root_of
from outfold.errors import DataError, RecipeError

if TYPE_CHECKING:
    from outfold.duplicates.find import Duplicates, Emit
    from outfold.duplicates.link import Dropped
    from outfold.settings.data import Data
    from outfold.settings.duplicates import Duplicates as Settings

Action = Literal["group", "drop", "review"]


def duplicates(
    table: Annotated[str, typer.Argument(help="A CSV or parquet table, a recipe file, or a built-in recipe's name.")],
    *,
    id_column: Annotated[str | None, typer.Option("--id", help="Column that identifies a row.")] = None,
    image: Annotated[str | None, typer.Option(help='Path of a photo, e.g. "images/{file}".')] = None,
    test: Annotated[str | None, typer.Option(help="Test table to look across.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Label column, to tell conflicts; repeatable.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data root [default: the table's folder].")] = None,
    action: Annotated[Action | None, typer.Option(help="What becomes of linked rows; group when not given.")] = None,
    threshold: Annotated[
        str | None, typer.Option(help="Similarity from which photos are one picture; auto when not given.")
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="timm model that finds look-alikes.")] = None,
    weights: Annotated[str | None, typer.Option(help="hub, file:PATH or package:NAME/PATH.")] = None,
    prefer: Annotated[str | None, typer.Option(help="drop: the source whose photo stays.")] = None,
    decisions: Annotated[Path | None, typer.Option(help="CSV of decisions, as the review page writes it.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for pairs.csv, groups.csv and the rest.")] = Path("duplicates"),
    overrides: Overrides = None,
    profile: Profile = None,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Find photos that show the same picture: exact copies, and rescaled, recompressed, turned, cropped or relit ones.

    Proposes a threshold from copies of your own photos and says what it finds. Nothing in your tables changes.
    """
    root = root_of(table, data)
    described, targets, own = _data(table, root, id_column, image, test, label, overrides, profile)
    settings = _settings(
        own,
        action=action,
        threshold=threshold,
        backbone=backbone,
        weights=weights,
        prefer=prefer,
        decisions=None if decisions is None else str(decisions.resolve()),
    )

    from rich.console import Console

    from outfold.cli.progress import live

    console = Console()
    with live(console) as emit:
        found = _find(described, targets, settings, root, device, workers, emit)
    _print(found, settings)

    from outfold.runs.duplicates import write_found

    for path in write_found(out, found, settings):
        console.print(f"wrote {path}", markup=False, soft_wrap=True)


def _data(
    table: str,
    root: Path,
    id_column: str | None,
    image: str | None,
    test: str | None,
    label: list[str] | None,
    overrides: list[str] | None,
    profile: str | None,
) -> tuple["Data", tuple[str, ...], "Settings | None"]:
    """Tables and roles, from a recipe or from the options; the columns that make up a label; the recipe's settings."""
    if is_recipe(table):
        refuse_table_options(id_column, image, test)
        from outfold.recipe.load import load_recipe

        recipe = load_recipe(table, overrides=overrides or [], profile=profile)
        return recipe.data, tuple(label or recipe.task.target), recipe.duplicates
    if overrides or profile:
        raise RecipeError("--set and --profile are for recipes", got=table)
    return plain_tables(table, root, id_column=id_column, image=image, test=test), tuple(label or ()), None


def _settings(own: "Settings | None", **options: Any) -> "Settings":
    """The recipe's settings, or the defaults, with the options that were given laid over them."""
    from pydantic import ValidationError

    from outfold.settings.duplicates import Duplicates

    values = {} if own is None else own.model_dump(exclude_unset=True)
    try:
        return Duplicates.model_validate(values | {name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        option = f"--{first['loc'][0]}"
        raise RecipeError(f"{option} is not valid: {first['msg']}", got=first["input"]) from error


def _find(
    described: "Data",
    targets: tuple[str, ...],
    settings: "Settings",
    root: Path,
    device: str,
    workers: int | None,
    emit: "Emit",
) -> "Duplicates":
    from outfold.data.columns import require_columns
    from outfold.data.table import load_samples
    from outfold.runs.duplicates import search
    from outfold.stages.base import Compute
    from outfold.training.device import choose_device
    from outfold.work import default_workers

    train = load_samples(described, root, targets=targets)
    if train.media is None:
        raise DataError("the rows have no photos", fix="set data.image in the recipe")
    require_columns(train.frame, targets, role="the label", table="training table")
    test = load_samples(described, root, "test", targets=targets) if described.test is not None else None
    compute = Compute(choose_device(device), workers or default_workers(), emit)
    others = {"test": test} if test is not None and settings.test else {}
    return search(settings, train, others, targets, root, compute)


def _print(found: "Duplicates", settings: "Settings") -> None:
    from outfold.duplicates.outcome import summary
    from outfold.runs.duplicates import dropped_rows

    for line in summary(found):
        typer.echo(line)
    if settings.action == "drop":
        _print_dropped(found, dropped_rows(found, settings))


def _print_dropped(found: "Duplicates", dropped: "list[Dropped]") -> None:
    lost = sum(one.conflict for one in dropped)
    typer.echo(f"{len(dropped):,} training rows can go, one of each group stays; {lost:,} have another label than it")
    for one in dropped[:5]:
        typer.echo(f"  {found.items.ids[one.row]} goes for {found.items.ids[one.kept]}")
