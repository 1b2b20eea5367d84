"""`outfold review`: pages on which a person looks at photos and decides."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outfold.cli.options import Overrides, Profile, Workers
from outfold.cli.tables import is_recipe, plain_tables, refuse_table_options, root_of
from outfold.errors import DataError, RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outfold.data.crops import Box
    from outfold.report.review.crops import CropReview
    from outfold.report.review.crops_content import Photo
    from outfold.settings.data import Data

SHOWN = 5
"""Faults that are spelled out."""

review_app = typer.Typer(help="Pages on which a person looks at photos and decides.", no_args_is_help=True)


@review_app.callback()
def review() -> None:
    """Pages on which a person looks at photos and decides."""


@review_app.command()
def crops(
    table: Annotated[str, typer.Argument(help="A CSV or parquet table, a recipe file, or a built-in recipe's name.")],
    *,
    id_column: Annotated[str | None, typer.Option("--id", help="Column that identifies a row.")] = None,
    image: Annotated[str | None, typer.Option(help='Path of a photo, e.g. "images/{file}".')] = None,
    test: Annotated[str | None, typer.Option(help="Test table whose photos are shown too.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data root [default: the table's folder].")] = None,
    known: Annotated[
        Path | None, typer.Option("--crops", help="Boxes to begin with; the recipe's own when not given.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("crops.html"),
    most: Annotated[int | None, typer.Option(min=1, help="Photos on the page; 500 when not given.")] = None,
    overrides: Overrides = None,
    profile: Profile = None,
    workers: Workers = None,
) -> None:
    """Write a page on which a person draws the part of each photo that is to be used; it downloads crops.csv.

    Where a photo has a plain border, such as cardboard, its inside is proposed. A recipe reads what was drawn:
    `data: {crops: crops.csv}`.
    """
    root = root_of(table, data)
    described, targets = _described(table, root, id_column, image, test, overrides, profile)

    from rich.console import Console

    from outfold.cli.printing import say
    from outfold.cli.progress import live
    from outfold.report.review.crops import MOST_PHOTOS, write_crop_review
    from outfold.work import default_workers

    console, boxes = Console(), _boxes(known, described, root)
    photos = list(_photos(described, targets, root))
    with live(console) as emit:
        written = write_crop_review(
            out,
            photos,
            boxes=boxes,
            title="Crop boxes",
            most=most or MOST_PHOTOS,
            workers=workers or default_workers(),
            progress=lambda done, total: emit({"event": "photos", "table": "review", "done": done, "total": total}),
        )
    say(console, *_lines(written))


def _described(
    table: str,
    root: Path,
    id_column: str | None,
    image: str | None,
    test: str | None,
    overrides: list[str] | None,
    profile: str | None,
) -> "tuple[Data, tuple[str, ...]]":
    """Tables and roles, from a recipe or from the options; the target columns, which rows of long tables are about."""
    if not is_recipe(table):
        if overrides or profile:
            raise RecipeError("--set and --profile are for recipes", got=table)
        return plain_tables(table, root, id_column=id_column, image=image, test=test), ()
    refuse_table_options(id_column, image, test)

    from outfold.recipe.load import load_recipe

    recipe = load_recipe(table, overrides=overrides or [], profile=profile)
    return recipe.data, recipe.task.target


def _boxes(known: Path | None, described: "Data", root: Path) -> "dict[str, Box]":
    """Boxes to begin with: those of a file, or the recipe's where it has drawn some already."""
    from outfold.data.crops import load_crops, read_crops

    if known is not None:
        return read_crops(known)
    return {} if described.crops is None else dict(load_crops(described.crops, root, optional=True))


def _photos(described: "Data", targets: "Sequence[str]", root: Path) -> "Iterator[Photo]":
    """Table, id and file of every photo."""
    from outfold.data.rows import SOURCE
    from outfold.data.table import Part, load_samples, sources_of

    plain = described.model_copy(update={"crops": None})
    parts: tuple[Part, ...] = ("train", "test", "unlabelled")
    for part in parts:
        if not sources_of(plain, part):
            continue
        samples = load_samples(plain, root, part, targets=targets)
        if samples.media is None:
            raise DataError(f"the rows of the {part} table have no photos", fix="set data.image in the recipe")
        yield from zip(samples.frame[SOURCE].astype(str), samples.ids, samples.media, strict=True)


def _lines(written: "CropReview") -> "Iterator[str]":
    """What was written, and what to do with it."""
    from outfold.data.findings import count

    size = written.path.stat().st_size / 1e6
    yield (
        f"{count(written.shown, 'photo')}: {written.proposed:,} with a plain border, whose inside is proposed; "
        f"{written.preset:,} with a box already"
    )
    if written.left_out:
        yield f"{count(written.left_out, 'more photo')} not on the page: --most shows more at once"
    for fault in written.faults[:SHOWN]:
        yield f"warning: {fault}"
    if len(written.faults) > SHOWN:
        yield f"warning: {count(len(written.faults) - SHOWN, 'more photo')} with a fault"
    yield f"wrote {written.path} ({size:,.1f} MB): open it in a browser, and save crops.csv into the data folder"
