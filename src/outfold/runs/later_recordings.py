"""Recordings that a user names by their folder, a pattern or a file, as rows that a finished run can predict."""

from glob import escape
from pathlib import Path
from typing import NamedTuple

from outfold.data.audio.clips import FILE
from outfold.data.audio.reading import SUFFIXES
from outfold.data.audio.rows import recordings_below, rows_of_files
from outfold.data.findings import count
from outfold.data.table import Samples, samples_from_frame
from outfold.errors import DataError, RecipeError
from outfold.settings.data import Source
from outfold.settings.recipe import Recipe
from outfold.settings.recordings import Recordings, column_beside
from outfold.stages.base import Emit
from outfold.stages.inputs import sound_members

_MAGIC = "*?["
_PAD = (
    "give a table with the columns {id}, file, start_s and end_s: a row that ends with its recording is heard in the "
    "middle of silence"
)


class Place(NamedTuple):
    """Where recordings are.

    Attributes:
        root: the folder that their names are relative to.
        pattern: of the files below it.
        whole: whether a folder was named, so that other files in it are left out.
    """

    root: Path
    pattern: str
    whole: bool


def place_of(named: object) -> Place | None:
    """The recordings that a path means: a folder with all below it, a pattern, or one file; None for anything else."""
    if not isinstance(named, str | Path):
        return None
    path = Path(named)
    if path.is_dir():
        return Place(path, "**/*", whole=True)
    if path.is_file() or not set(str(path)) & set(_MAGIC):
        return Place(path.parent, escape(path.name), whole=False) if path.suffix.lower() in SUFFIXES else None
    fixed = next((place for place, part in enumerate(path.parts) if set(part) & set(_MAGIC)), None)
    return None if fixed is None else Place(Path(*path.parts[:fixed]), "/".join(path.parts[fixed:]), whole=False)


def samples_of(place: Place, recipe: Recipe, root: Path, emit: Emit) -> Samples:
    """Rows that are the windows of recordings, cut as those of the recipe's test table, or else one after the other.

    Args:
        place: where the recordings are.
        recipe: the run's.
        root: the rows' files are called by their path below it.
        emit: is told of files in a folder that are no recordings, and of recordings that give no row.

    Raises:
        RecipeError: the run is not about recordings, or nothing says how long a window is.
        DataError: there is no recording, all are shorter than a window, or they lie outside the root.
        MediaError: a file is no recording.
    """
    source, data = _source(recipe), recipe.data
    assert source.recordings is not None
    files = _files(place, root, emit)
    frame = rows_of_files(files, source.recordings, root, data.id, fix=_PAD.format(id=data.id))
    short = len(files) - frame[column_beside(data.id, FILE)].nunique()
    if short:
        text = f"{short} of {len(files)} recordings are shorter than a window and have no row"
        emit({"event": "warning", "text": text})
    here = data.model_copy(update={"test": source})
    return samples_from_frame(frame, here, root, targets=recipe.task.target, table=str(place.root / place.pattern))


def _source(recipe: Recipe) -> Source:
    """How windows are cut: as the test table's, or following each other as long as the members hear."""
    data = recipe.data
    if not data.has_audio:
        raise RecipeError("this run is not about recordings", expected="a table of rows to predict")
    if data.test is not None and data.test.recordings is not None:
        return data.test
    windows = sorted({view.window_s for _, _, view in sound_members(recipe)})
    if len(windows) != 1:
        raise RecipeError(
            "nothing says into which windows recordings are cut",
            got=f"members that hear {', '.join(f'{one:g} s' for one in windows)}"
            if windows
            else "members without ears",
            expected="a test table made of `recordings`, or members that hear windows of one length",
            fix="give a table of rows with the recipe's columns",
        )
    return Source(table="*", recordings=Recordings(path="*", window_s=windows[0]))


def _tell_links(folder: Path, emit: Emit) -> None:
    """Folders that are links are not entered: they may lead anywhere, and round in circles."""
    links = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink())
    links = [link for link in links if (folder / link).is_dir()]
    if links:
        what, verb = count(len(links), "link to a folder", "links to folders"), "is" if len(links) == 1 else "are"
        text = f"{what} in {folder} {verb} not entered, the first is {links[0]}: name what is behind it instead"
        emit({"event": "warning", "text": text})


def _files(place: Place, root: Path, emit: Emit) -> list[str]:
    """The recordings by their paths below the root, in the order of their names."""
    if place.whole:
        _tell_links(place.root, emit)
    found = recordings_below(place.root, place.pattern)
    files = [file for file in found if not place.whole or Path(file).suffix.lower() in SUFFIXES]
    if not files:
        raise DataError(
            f"{place.root} holds no recording",
            got=f"{len(found)} other files",
            expected=f"files that end in {', '.join(sorted(SUFFIXES))}",
        )
    if len(files) < len(found):
        text = f"{len(found) - len(files)} of {len(found)} files in {place.root} are no recordings and are left out"
        emit({"event": "warning", "text": text})
    own, outer = place.root.resolve(), root.resolve()
    if not own.is_relative_to(outer):
        raise DataError(f"{place.root} lies outside the data root", expected=f"a folder inside {root}")
    return [(own.relative_to(outer) / file).as_posix() for file in files]
