"""`outfold duplicates`: photos that show the same picture, across all tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from outfold.cli.options import Device, Overrides, Profile, Workers
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
    action: Annotated[Action, typer.Option(help="What becomes of linked rows.")] = "group",
    threshold: Annotated[str, typer.Option(help="Similarity from which photos are one picture, or auto.")] = "auto",
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
    root = _root(table, data)
    described, targets = _data(table, root, id_column, image, test, label, overrides, profile)
    settings = _settings(
        action=action,
        threshold=threshold,
        backbone=backbone,
        weights=weights,
        prefer=prefer,
        test=described.test is not None,
    )

    from rich.console import Console

    console = Console()
    with _bars(console) as emit:
        found = _find(described, targets, settings, root, decisions, device, workers, emit)
    for path in _write(found, settings, out):
        console.print(f"wrote {path}", markup=False, soft_wrap=True)


def _is_recipe(table: str) -> bool:
    return Path(table).suffix.lower() not in (".csv", ".parquet", ".pq")


def _root(table: str, data: Path | None) -> Path:
    if data is not None:
        return data.resolve()
    return Path.cwd() if _is_recipe(table) else Path(table).resolve().parent


def _data(
    table: str,
    root: Path,
    id_column: str | None,
    image: str | None,
    test: str | None,
    label: list[str] | None,
    overrides: list[str] | None,
    profile: str | None,
) -> tuple["Data", tuple[str, ...]]:
    """Tables and roles, from a recipe or from the options; and the columns that make up a label."""
    if _is_recipe(table):
        if id_column or image or test:
            raise RecipeError("a recipe says where its rows and photos are", fix="leave out --id, --image and --test")
        from outfold.recipe.load import load_recipe

        recipe = load_recipe(table, overrides=overrides or [], profile=profile)
        return recipe.data, tuple(label or recipe.task.target)
    if overrides or profile:
        raise RecipeError("--set and --profile are for recipes", got=table)
    if id_column is None or image is None:
        raise DataError("a table needs --id and --image", fix='e.g. --id file --image "images/{file}"')

    from outfold.settings.data import Data

    tables = {"train": _inside(Path(table), root), "test": None if test is None else _inside(Path(test), root)}
    return Data.model_validate({**tables, "id": id_column, "image": {"path": image}}), tuple(label or ())


def _inside(table: Path, root: Path) -> str:
    """A table's path relative to the data root, where it must lie."""
    path = table.resolve() if table.exists() else root / table
    if not path.is_relative_to(root):
        raise DataError(f"{table} lies outside the data root {root}", fix="give --data a folder that holds it")
    return str(path.relative_to(root))


def _settings(*, threshold: str, **values: Any) -> "Settings":
    from pydantic import ValidationError

    from outfold.settings.duplicates import Duplicates

    try:
        return Duplicates.model_validate(
            {**values, "threshold": threshold if threshold == "auto" else float(threshold)}
        )
    except ValueError as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        name = "--threshold" if first is None else ".".join(map(str, first["loc"]))
        raise RecipeError(f"{name} is not valid", got=threshold if first is None else first["msg"]) from error


def _find(
    described: "Data",
    targets: tuple[str, ...],
    settings: "Settings",
    root: Path,
    decisions: Path | None,
    device: str,
    workers: int | None,
    emit: "Emit",
) -> "Duplicates":
    from outfold.data.columns import require_columns
    from outfold.data.table import load_samples
    from outfold.duplicates.decisions import read_decisions
    from outfold.duplicates.find import find_duplicates, items_of
    from outfold.duplicates.fingerprint import photo_fingerprint
    from outfold.training.device import choose_device
    from outfold.work import default_workers

    train = load_samples(described, root)
    if train.media is None:
        raise DataError("the rows have no photos", fix="set data.image in the recipe")
    require_columns(train.frame, targets, role="the label", table="training table")
    test = load_samples(described, root, test=True) if described.test is not None else None
    items = items_of(train, test, targets)
    decided = None if decisions is None else read_decisions(decisions, items.ids.tolist())
    fingerprint = photo_fingerprint(
        settings.backbone, settings.weights, settings.size, root=root, device=choose_device(device)
    )
    return find_duplicates(
        items, settings, fingerprint, decisions=decided, workers=workers or default_workers(), emit=emit
    )


def _write(found: "Duplicates", settings: "Settings", out: Path) -> Iterator[Path]:
    """Print what was found, and write the files that the action asks for."""
    from outfold.duplicates.outcome import DROPPED, GROUPS, PAIRS, rows_to_drop, summary, write_dropped, write_groups
    from outfold.duplicates.outcome import write_pairs as write

    for line in summary(found):
        typer.echo(line)
    yield write(out / PAIRS, found)
    yield write_groups(out / GROUPS, found)
    if settings.action == "drop":
        dropped = rows_to_drop(found, settings.prefer)
        _tell_dropped(found, dropped)
        yield write_dropped(out / DROPPED, found, dropped)
    if settings.action == "review":
        yield _review(found, out)


def _tell_dropped(found: "Duplicates", dropped: "list[Dropped]") -> None:
    lost = sum(one.conflict for one in dropped)
    typer.echo(f"{len(dropped):,} training rows can go, one of each group stays; {lost:,} have another label than it")
    for one in dropped[:5]:
        typer.echo(f"  {found.items.ids[one.row]} goes for {found.items.ids[one.kept]}")


def _review(found: "Duplicates", out: Path) -> Path:
    from outfold.duplicates.outcome import PAIR_COLUMNS, REVIEW
    from outfold.report.review import write_review

    items, pairs = found.items, found.pairs
    media = {
        (str(table), str(name)): path for table, name, path in zip(items.table, items.ids, items.paths, strict=True)
    }
    decided = pairs[pairs["decision"] != ""]
    decisions = dict(zip(zip(decided["first"], decided["second"], strict=True), decided["decision"], strict=True))
    return write_review(
        out / REVIEW,
        pairs[PAIR_COLUMNS],
        media,
        threshold=found.proposal.threshold,
        decisions=decisions,
        title="Near-duplicates",
    )


@contextmanager
def _bars(console: Any) -> "Iterator[Emit]":
    """A bar for each step."""
    from rich.progress import MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (*Bars.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        tasks = {}

        def emit(event: dict[str, Any]) -> None:
            what = event["what"]
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=event["total"])
            bars.update(tasks[what], completed=event["done"])

        yield emit
