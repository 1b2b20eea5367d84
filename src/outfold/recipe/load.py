"""Loading a recipe: a YAML file or a built-in one, a profile and `--set` overrides laid over it, then validated."""

import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from outfold.errors import RecipeError
from outfold.names import nearest
from outfold.recipe.explain import explain
from outfold.recipe.json_schema import json_schema
from outfold.recipe.override import apply_profile, apply_sets, check_profiles
from outfold.recipe.yaml_text import Document, dump_yaml, parse_yaml
from outfold.settings.recipe import Recipe

__all__ = ["builtin_names", "builtin_text", "dump_recipe", "json_schema", "load_recipe"]

SUFFIX = ".yaml"


def load_recipe(source: str | Path, *, overrides: Sequence[str] = (), profile: str | None = None) -> Recipe:
    """Read, override and validate a recipe.

    Args:
        source: path of a YAML file, or the name of a built-in recipe (a file of that very name is `./name`).
        overrides: `path=value` texts of `--set`, laid over the recipe last and in order.
        profile: name of one of the recipe's own `profiles`, laid over it first.

    Raises:
        RecipeError: names the file, line and column of what is wrong and, for an unknown key, the nearest known one.
    """
    return validated(apply_sets(read_document(source, profile), overrides))


def read_document(source: str | Path, profile: str | None = None) -> Document:
    """A recipe as written, with one of its own profiles laid over it; not validated yet."""
    document = _read(source)
    check_profiles(document)
    return document if profile is None else apply_profile(document, profile)


def validated(document: Document) -> Recipe:
    """The recipe that a document holds.

    Raises:
        RecipeError: names the places of what is wrong.
    """
    try:
        return Recipe.model_validate(document.values)
    except ValidationError as error:
        raise explain(error, document) from error


def dump_recipe(recipe: Recipe) -> str:
    """The effective recipe as YAML, without its profiles; `load_recipe` reads the same recipe back.

    Only what the recipe sets is written: a member's silence means the stage's settings, not the defaults.
    """
    return dump_yaml(recipe.model_dump(by_alias=True, exclude_unset=True, exclude={"profiles"}))


def builtin_names() -> tuple[str, ...]:
    """The names of the recipes that come with outfold, sorted."""
    return tuple(sorted(e.name.removesuffix(SUFFIX) for e in _builtin_folder().iterdir() if e.name.endswith(SUFFIX)))


def builtin_text(name: str) -> str:
    """The YAML text of a built-in recipe, with its comments.

    Raises:
        RecipeError: there is no such recipe; names the nearest.
    """
    if name not in builtin_names():
        raise RecipeError(
            f"there is no built-in recipe `{name}`", expected=", ".join(builtin_names()), fix=_did_you_mean(name)
        )
    return (_builtin_folder() / f"{name}{SUFFIX}").read_text(encoding="utf-8")


def _builtin_folder() -> Any:
    return resources.files("outfold.recipe") / "builtin"


def _did_you_mean(name: str) -> str | None:
    near = nearest(name, builtin_names())
    return f"did you mean `{near}`?" if near else None


def _read(source: str | Path) -> Document:
    builtin = isinstance(source, str) and source in builtin_names()
    origin = f"built-in recipe {source}" if builtin else str(source)
    text = builtin_text(str(source)) if builtin else _file_text(Path(source))
    document = parse_yaml(text, origin)
    if not isinstance(document.values, dict):
        found = "nothing" if document.values is None else f"a {type(document.values).__name__}"
        raise RecipeError(
            f"{origin} is not a recipe", got=found, expected="a mapping with the keys name, data, task and stages"
        )
    return document


def _file_text(path: Path) -> str:
    path = path.expanduser()
    if path.is_dir():
        inside = path / "recipe.yaml"
        fix = f"give the file: {inside}" if inside.is_file() else "give the recipe's YAML file"
        raise RecipeError(f"{path} is a folder, not a recipe", fix=fix)
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        known = ", ".join(builtin_names())
        raise RecipeError(
            f"there is no recipe {path}",
            expected=f"a YAML file, or one of the built-in recipes: {known}",
            fix=_did_you_mean(path.name) if os.sep not in str(path) else None,
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RecipeError(f"{path}, line {line}: the file is not UTF-8 text", fix="save it as UTF-8") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}") from error
