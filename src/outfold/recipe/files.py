"""The files a recipe names: looked for before anything heavy is loaded, so that a wrong path is told at once."""

from pathlib import Path

from outfold.data.patterns import files_fitting
from outfold.errors import RecipeError
from outfold.settings.recipe import Recipe
from outfold.settings.view import EmbeddingView


def require_files(recipe: Recipe, root: Path) -> None:
    """Check that the data root, the tables, the folds file and files of vectors are there.

    Raises:
        RecipeError: names the missing file and where it was looked for.
    """
    if not root.is_dir():
        raise RecipeError(f"the data root {root} is not a folder", fix="give the folder of your tables with --data")
    data = recipe.data
    sources = [
        *((source, "data.train") for source in data.train),
        *([(data.test, "data.test")] if data.test is not None else []),
        *((source, "data.unlabelled") for source in (data.unlabelled if recipe.labels_unlabelled() else ())),
    ]
    named = [(source.table, key) for source, key in sources if source.recordings is None]
    if recipe.folds.file is not None:
        named.append((recipe.folds.file, "folds.file"))
    if recipe.duplicates is not None and recipe.duplicates.decisions is not None:
        named.append((recipe.duplicates.decisions, "duplicates.decisions"))
    for stage, member, settings in recipe.members():
        if isinstance(settings.view, EmbeddingView):
            files = (*settings.view.vectors, *settings.view.ids)
            named += [(name, f"stages.{stage}, member {member}: view") for name in files]
    for source, key in sources:
        if source.recordings is not None and next(files_fitting(root, source.recordings.path), None) is None:
            raise RecipeError(
                f"{key}: no recording fits {source.recordings.path} in {root}",
                fix="give the folder they lie in with --data, or another pattern with --set",
            )
    for name, key in named:
        if not (root / name).is_file():
            raise RecipeError(
                f"{key}: there is no file {name} in {root}",
                fix="give the folder it lies in with --data, or another name with --set",
            )
