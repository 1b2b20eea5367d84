"""Tables of photos on the command line: a recipe's, or a plain table whose columns are named by options."""

from pathlib import Path
from typing import TYPE_CHECKING

from outfold.errors import DataError, RecipeError

if TYPE_CHECKING:
    from outfold.settings.data import Data


def is_recipe(table: str) -> bool:
    """Whether an argument names a recipe, not a table."""
    return Path(table).suffix.lower() not in (".csv", ".parquet", ".pq")


def root_of(table: str, data: Path | None) -> Path:
    """The data root: as given, else the table's folder, else for a recipe the working folder."""
    if data is not None:
        return data.resolve()
    return Path.cwd() if is_recipe(table) else Path(table).resolve().parent


def plain_tables(table: str, root: Path, *, id_column: str | None, image: str | None, test: str | None) -> "Data":
    """The data part of a recipe for tables that have none.

    Raises:
        DataError: an option is missing, or a table lies outside the root.
    """
    if id_column is None or image is None:
        raise DataError("a table needs --id and --image", fix='e.g. --id file --image "images/{file}"')

    from outfold.settings.data import Data

    tables = {"train": inside(Path(table), root), "test": None if test is None else inside(Path(test), root)}
    return Data.model_validate({**tables, "id": id_column, "image": {"path": image}})


def refuse_table_options(*options: str | None) -> None:
    """RecipeError where options that describe a table are given beside a recipe."""
    if any(options):
        raise RecipeError("a recipe says where its rows and photos are", fix="leave out --id, --image and --test")


def inside(table: Path, root: Path) -> str:
    """A table's path relative to the data root, where it must lie."""
    path = table.resolve() if table.exists() else root / table
    if not path.is_relative_to(root):
        raise DataError(f"{table} lies outside the data root {root}", fix="give --data a folder that holds it")
    return str(path.relative_to(root))
