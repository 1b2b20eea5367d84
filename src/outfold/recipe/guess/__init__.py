"""`outfold init`: looks at a user's table or folder, guesses what its columns are, and writes a commented recipe."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from outfold.data.audio.reading import SUFFIXES
from outfold.data.table import read_table
from outfold.errors import DataError, RecipeError
from outfold.recipe.guess.columns import Guess
from outfold.recipe.guess.compose import compose, recipe_name
from outfold.recipe.guess.folder import class_folder_table, folder_warnings
from outfold.recipe.guess.long import guess_long
from outfold.recipe.guess.media import MediaGuess
from outfold.recipe.guess.roles import Roles, guess_roles

__all__ = ["Draft", "Roles", "draft_from_folder", "draft_from_table", "guess_roles"]


@dataclass(frozen=True)
class Draft:
    """A recipe that could be written, and what it was drawn from."""

    roles: Roles
    root: Path
    """The data root that the recipe's paths are relative to."""
    text: str | None
    """The recipe; None where no media were found."""
    next_commands: tuple[str, ...]
    table: str | None = None
    """A CSV table to write beside the recipe, for a folder of class folders."""


def draft_from_table(
    path: Path, out: Path, *, root: Path | None = None, target: tuple[str, ...] = (), id_column: str | None = None
) -> Draft:
    """Draw up a recipe for a CSV or parquet table.

    Args:
        path: the table.
        out: where the recipe will be written.
        root: the data root; the table's folder when not given. The table must lie inside.
        target: the target columns, when known.
        id_column: the id column, when known.

    Raises:
        DataError: the table cannot be read, lies outside the root, or has no column that could be a target.
    """
    root = (root or path.parent).resolve()
    table = _inside(path, root)
    frame = read_table(path)
    roles = _roles(frame, root, target, id_column)
    test_table = None if roles.split else _test_table(path, roles)
    name = recipe_name(
        path.parent.resolve().name if path.stem in ("labels", "train", "data", "metadata") else path.stem
    )
    commands = _next_commands(out, root)
    test = None if test_table is None else _inside(test_table, root)
    text = _compose(roles, name=name, tables=(table, test), command=f"outfold init {path.name}", next_commands=commands)
    return Draft(roles, root, text, tuple(commands))


def _roles(frame: pd.DataFrame, root: Path, target: tuple[str, ...], id_column: str | None) -> Roles:
    """The roles of a table's columns; of a long table those that it has with a row a sample."""
    found = guess_long(frame)
    if found is None:
        return guess_roles(frame, root, target=target, id_column=id_column)
    roles = guess_roles(found.wide, root, target=target or found.targets, id_column=id_column or found.id_column)
    roles = replace(roles, long=found.long, id=roles.id if id_column else Guess((found.id_column,), found.why))
    return roles if target else replace(roles, target=replace(roles.target, why=f"the names in `{found.long.name}`"))


def draft_from_folder(folder: Path, out: Path, *, target: tuple[str, ...] = ()) -> Draft:
    """Draw up a recipe and a table for a folder of class folders.

    The table is written beside the recipe, as a CSV of the recipe's name; the recipe must lie above the folder, because
    the recipe's own folder becomes the data root.

    Raises:
        DataError: there are no class folders.
        RecipeError: the recipe would lie inside the folder, or where it cannot see it.
    """
    folder, root = folder.resolve(), out.resolve().parent
    if root == folder or not folder.is_relative_to(root):
        raise RecipeError(
            f"the recipe {out} must lie above the folder {folder}: table and photos need one data root",
            fix=f"--out {folder.parent / (recipe_name(folder.name) + '.yaml')}",
        )
    if {"{", "}"} & set(str(folder.relative_to(root))):
        raise RecipeError(f"{folder}: braces in a folder's name mean a column in a recipe", fix="rename the folder")
    frame = class_folder_table(folder)
    template = f"{folder.relative_to(root).as_posix()}/{{file}}"
    audio = all(Path(file).suffix.lower() in SUFFIXES for file in frame["file"])
    media = MediaGuess(template, "audio" if audio else "image", ("file",), len(frame), len(frame))
    roles = guess_roles(frame, root, target=target or ("label",), id_column="file", media=media)
    goal = roles.target if target else replace(roles.target, why="the name of the folder it lies in")
    own_id = Guess(("file",), "the path inside the folder")
    roles = replace(roles, id=own_id, target=goal, warnings=(*roles.warnings, *folder_warnings(folder, frame)))
    table, name = out.with_suffix(".csv").name, recipe_name(folder.name)
    commands = _next_commands(out, root)
    text = _compose(
        roles, name=name, tables=(table, None), command=f"outfold init {folder.name}", next_commands=commands
    )
    return Draft(roles, root, text, tuple(commands), frame.to_csv(index=False))


def _compose(
    roles: Roles, *, name: str, tables: tuple[str, str | None], command: str, next_commands: list[str]
) -> str | None:
    if roles.media is None:
        return None
    return compose(
        roles, name=name, table=tables[0], test_table=tables[1], command=command, next_commands=next_commands
    )


def _inside(path: Path, root: Path) -> str:
    """A path relative to the data root, with slashes."""
    resolved = path.resolve()
    if not resolved.is_relative_to(root):
        raise DataError(
            f"the table {path} lies outside the data root", expected=f"a table inside {root}", fix="leave --data out"
        )
    return resolved.relative_to(root).as_posix()


def _test_table(path: Path, roles: Roles) -> Path | None:
    """`test.csv` beside `train.csv`, when it has the columns that prediction needs."""
    other = path.with_name(path.name.replace("train", "test"))
    if other == path or not other.is_file():
        return None
    named_by = roles.id.columns if roles.long is None else (roles.long.row, roles.long.name)
    needed = {*named_by, *(roles.media.columns if roles.media else ())} - {*roles.id.columns}.difference(named_by)
    return other if needed <= set(read_table(other).columns) else None


def _next_commands(out: Path, root: Path) -> list[str]:
    here = Path.cwd()
    shown = root.relative_to(here) if root.is_relative_to(here) else root
    data = "" if root == here else f" --data {shlex.quote(str(shown))}"
    return [f"outfold {command} {shlex.quote(str(out))}{data}" for command in ("check", "run")]
