"""A study: a baseline recipe and named variants of it, each validated before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from outfold.errors import RecipeError
from outfold.names import nearest, suggestion
from outfold.recipe.explain import dotted
from outfold.recipe.load import SUFFIX, dump_recipe, read_document, validated
from outfold.recipe.override import apply_sets, lay_over, part
from outfold.recipe.yaml_text import Document, Place, parse_yaml
from outfold.settings.ablation import BASELINE, Variants
from outfold.settings.recipe import Recipe

Changes = Mapping[str, Any]
"""Values by dotted path, as a variant writes them."""


@dataclass(frozen=True)
class Study:
    """What an ablation runs.

    Attributes:
        description: of the file of variants.
        baseline: the recipe that all are compared with.
        variants: the others, by name, in the order of the file.
        changes: by name, what each sets otherwise than the baseline; the baseline's than the recipe.
    """

    description: str
    baseline: Recipe
    variants: Mapping[str, Recipe]
    changes: Mapping[str, Changes]


def load_study(
    recipe: Recipe | str | Path,
    vary: str | Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    profile: str | None = None,
    only: Sequence[str] = (),
) -> Study:
    """Read a recipe and a file of variants, and validate the effective recipe of each.

    Laid over each other, from below: recipe, profile, the file's baseline, `overrides`, the variant.

    Args:
        recipe: a file, the name of a built-in recipe, or a recipe.
        vary: a YAML file, the name of one that comes with outfold, or its content.
        overrides: `path=value` texts, for the baseline and all variants.
        profile: name of one of the recipe's profiles.
        only: names of the variants that are wanted; all when not given. The others must be valid as well.

    Raises:
        RecipeError: a file cannot be read, a path is not in the schema, an effective recipe is not valid, a name is not
            there, or a variant changes what all share: the task and the folds.
    """
    written = _read_variants(vary)
    settings = _settings(written)
    unknown = [name for name in only if name not in settings.variants]
    if unknown:
        raise RecipeError(
            f"{written.places[()]} has no variant `{unknown[0]}`", fix=suggestion(unknown[0], settings.variants)
        )
    below = _document(recipe, profile)
    if settings.baseline:
        below = lay_over(below, part(written, (BASELINE,)))
    below = apply_sets(below, overrides)
    baseline = validated(below)
    variants = {}
    for name in settings.variants:
        changes = part(written, ("variants", name))
        variants[name] = validated(lay_over(below, changes))
        _refuse_other_yardstick(name, variants[name], baseline, changes.places[()])
    chosen = {name: variants[name] for name in variants if name in only or not only}
    changed = {BASELINE: settings.baseline} | {name: settings.variants[name] for name in chosen}
    return Study(settings.description, baseline, chosen, changed)


def variants_names() -> tuple[str, ...]:
    """The names of the files of variants that come with outfold, sorted."""
    return tuple(sorted(e.name.removesuffix(SUFFIX) for e in _shipped().iterdir() if e.name.endswith(SUFFIX)))


def variants_of(vary: str | Path | Mapping[str, Any]) -> Variants:
    """What a file of variants holds; see `load_study`."""
    return _settings(_read_variants(vary))


def variants_text(name: str) -> str:
    """The YAML text of a shipped file of variants, with its comments.

    Raises:
        RecipeError: there is no such file; names the nearest.
    """
    if name not in variants_names():
        raise RecipeError(f"no file of variants `{name}` comes with outfold", fix=suggestion(name, variants_names()))
    return (_shipped() / f"{name}{SUFFIX}").read_text(encoding="utf-8")


def _shipped() -> Any:
    return resources.files("outfold.recipe") / "ablations"


def _document(recipe: Recipe | str | Path, profile: str | None) -> Document:
    if not isinstance(recipe, Recipe):
        return read_document(recipe, profile)
    if profile is not None:
        raise RecipeError("a profile is laid over a recipe as it is loaded", fix="give it to outfold.load_recipe")
    return parse_yaml(dump_recipe(recipe), f"recipe {recipe.name}")


def _read_variants(vary: str | Path | Mapping[str, Any]) -> Document:
    if isinstance(vary, Mapping):
        return Document(dict(vary), {(): Place("the variants")})
    if isinstance(vary, str) and vary in variants_names():
        return parse_yaml(variants_text(vary), f"variants {vary}")
    path = Path(vary).expanduser()
    try:
        return parse_yaml(path.read_bytes().decode("utf-8-sig"), str(path))
    except FileNotFoundError as error:
        near = nearest(path.name, variants_names())
        raise RecipeError(
            f"there is no file of variants {path}",
            expected=f"a YAML file, or one that comes with outfold: {', '.join(variants_names())}",
            fix=f"did you mean `{near}`?" if near else None,
        ) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: the file is not UTF-8 text", fix="save it as UTF-8") from error
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror}") from error


def _settings(written: Document) -> Variants:
    try:
        return Variants.model_validate(written.values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = tuple(key for key in first["loc"] if key != "[key]")
        fix = None
        if first["type"] == "extra_forbidden":
            fix = suggestion(str(where[-1]), Variants.model_fields)
        problem = f"{written.place(where)}: {dotted(where) if where else 'the file'}: {first['msg']}"
        expected = "a mapping: `description`, `baseline: {path: value}`, `variants: {name: {path: value}}`"
        raise RecipeError(problem, expected=expected, fix=fix) from error


def _refuse_other_yardstick(name: str, variant: Recipe, baseline: Recipe, place: Place) -> None:
    """All variants are judged by one task on one set of folds; else their differences would mean nothing."""
    for part_of in ("task", "folds"):
        if getattr(variant, part_of) != getattr(baseline, part_of):
            raise RecipeError(
                f"{place}: variant `{name}` changes `{part_of}`, which all variants share with the baseline",
                fix="change it for all of them, in `baseline` or with --set; "
                "to learn other classes, give members `merge_classes`",
            )
