"""`outfold init`: a first recipe for a user's own table or folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from outfold.errors import DataError, OutfoldError, RecipeError

if TYPE_CHECKING:
    from outfold.recipe.guess import Draft, Roles


def init(
    table: Annotated[Path, typer.Argument(help="A CSV or parquet table, or a folder of class folders.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write the recipe [default: recipe.yaml; for a folder FOLDER.yaml beside it]."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Root of the recipe's relative paths [default: the table's folder].")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="Target column, if the guess is wrong; repeatable.")] = None,
    id_column: Annotated[str | None, typer.Option("--id", help="Id column, if the guess is wrong.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Look at a table or a folder of class folders, guess what its columns are, and write a commented recipe.

    For a folder it also writes the table it made, as a CSV beside the recipe; nothing is written into the folder.
    """
    if not table.exists():
        raise DataError(f"there is no {table}", expected="a CSV or parquet table, or a folder of class folders")
    folder = table.is_dir()
    if data is not None and not data.is_dir():
        raise DataError(f"--data {data} is not a folder")
    if folder and (data is not None or id_column is not None):
        raise RecipeError(
            "a folder of class folders takes neither --data nor --id", fix="give a table, or leave them out"
        )
    out = out or (table.resolve().parent / f"{table.resolve().name}.yaml" if folder else Path("recipe.yaml"))
    _refuse_to_replace([out, *([out.with_suffix(".csv")] if folder else [])], force)

    from outfold.recipe.guess import draft_from_folder, draft_from_table

    if folder:
        draft = draft_from_folder(table, out, target=tuple(target or ()))
    else:
        draft = draft_from_table(table, out, root=data, target=tuple(target or ()), id_column=id_column)
    for line in report(draft.roles):
        typer.echo(line)
    _write(draft, out)
    typer.echo("\nNext:")
    for command in draft.next_commands:
        typer.echo(f"  {command}")


def report(roles: "Roles") -> Iterator[str]:
    """The guesses as lines of text: role, columns, reason; then the warnings."""
    yield f"{roles.rows} training rows"
    rows = list(_report_rows(roles))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for role, columns, why in rows:
        yield f"  {role:<{widths[0]}}  {columns:<{min(widths[1], 40)}}  {why}".rstrip()
    if roles.warnings:
        yield "Beware:"
    for warning in roles.warnings:
        yield f"  ! {warning}"


def _report_rows(roles: "Roles") -> Iterator[tuple[str, str, str]]:
    yield "id", ", ".join(roles.id.columns), roles.id.why
    if roles.media is not None:
        yield roles.media.kind, roles.media.template, roles.media.why
    else:
        yield "image", "(none)", "no column leads to media files"
    if roles.long is not None:
        yield "long", ", ".join(roles.long.columns), "a row a sample and target; the other roles are those of a sample"
    if roles.sound is not None:
        yield "window", f"{roles.sound.window_s:g} s", roles.sound.why
    yield "target", ", ".join(roles.target.columns), f"{roles.target.kind}: {roles.target.why}"
    for name, why in roles.target.others[:6]:
        yield "", "", f"or {name} ({why})"
    if roles.secondary is not None:
        yield "secondary", roles.secondary.columns[0], roles.secondary.why
    if roles.rating is not None:
        yield "rating", roles.rating.column, f"weighs rows; {roles.rating.best:g} is the best"
    for group in roles.groups:
        yield "group", group.columns[0], group.why
    if roles.split is not None:
        sets = (("train", roles.split.train), ("not used", roles.split.valid), ("test", roles.split.test))
        yield "split", roles.split.column, "; ".join(f"{name}: {', '.join(values)}" for name, values in sets if values)
    if roles.fold is not None:
        yield "fold", roles.fold, "the table's own folds" if roles.use_fold else "not used: groups cross it"
    things = "photos" if roles.media is None else roles.media.things
    for name, columns in (("numeric", roles.numeric), ("categorical", roles.categorical)):
        if columns:
            yield name, ", ".join(columns), f"no role yet: {things} alone are the input"


def _refuse_to_replace(paths: list[Path], force: bool) -> None:
    existing = [str(path) for path in paths if path.exists()]
    if existing and not force:
        raise RecipeError(f"{', '.join(existing)} exists already", fix="choose another --out, or --force to replace it")


def _write(draft: "Draft", out: Path) -> None:
    if draft.text is None:
        raise DataError(
            "no recipe was written: no column of the table leads to photos or recordings",
            expected="photos or recordings below the data root",
            fix="give the folder that the paths start from: --data DIR",
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if draft.table is not None:
            out.with_suffix(".csv").write_text(draft.table, encoding="utf-8")
            typer.echo(f"\nWrote {out.with_suffix('.csv')}: the folder as a table.")
        out.write_text(draft.text, encoding="utf-8")
    except OSError as error:
        raise OutfoldError(f"{error.filename or out} cannot be written: {error.strerror}") from error
    typer.echo(f"{'' if draft.table else chr(10)}Wrote {out}")
