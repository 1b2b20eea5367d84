"""Overrides: `--set a.b=c` and a recipe's own named profiles, laid over the recipe's values before validation."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, get_origin

from outfold.errors import RecipeError
from outfold.recipe.keys import Hint, alternatives, child, fields, fitting, known_keys, suggestion, value_at
from outfold.recipe.schema import Recipe
from outfold.recipe.yaml_text import Document, Path, Place, parse_value


def apply_sets(document: Document, overrides: Sequence[str]) -> Document:
    """Lay `path=value` texts over a document, in order.

    Args:
        document: the recipe's values and places; it is not changed.
        overrides: texts such as `stages.fit.phases.0.epochs=3` or, from a stage's name on, `fit.batch_size=16`.
            The value is YAML, except where the schema wants text: `data.image.path={file}` needs no quotes.

    Raises:
        RecipeError: no `=`, a path the schema does not have, an index outside its list, or a value that is not YAML.
    """
    document = deepcopy(document)
    for text in overrides:
        key, equals, value = text.partition("=")
        place = Place(f"--set {text}")
        if not equals or not key.strip():
            raise RecipeError(f"--set {text}: a path and a value are wanted", expected="--set path.to.key=value")
        path, hint = _find(document.values, key.strip(), place)
        _put(document, path, _typed(value.strip(), hint, str(place)), {(): place}, hint)
    return document


def apply_profile(document: Document, name: str) -> Document:
    """Lay one of the document's own `profiles` over it; mappings are merged, lists and single values replaced.

    Raises:
        RecipeError: there is no such profile, or a key of it is not in the schema.
    """
    profiles = _profiles(document)
    if name not in profiles:
        known = suggestion(name, profiles) if profiles else "this recipe has no profiles; leave --profile out"
        raise RecipeError(
            f"{document.places[()]} has no profile `{name}`", expected=sorted(profiles) or None, fix=known
        )
    changed = deepcopy(document)
    for key, value in profiles[name].items():
        origin = ("profiles", name, key)
        path, hint = _find(changed.values, key, document.place(origin))
        below = {p[3:]: place for p, place in document.places.items() if p[:3] == origin}
        _put(changed, path, deepcopy(value), below, hint)
    return changed


def check_profiles(document: Document) -> None:
    """Refuse a profile, also one that is not chosen, whose keys are not in the schema."""
    for name in _profiles(document):
        apply_profile(document, name)


def _profiles(document: Document) -> dict[str, dict[str, Any]]:
    profiles = document.values.get("profiles") or {}
    wrong = isinstance(profiles, dict) and next((n for n, p in profiles.items() if not isinstance(p, dict)), None)
    if not isinstance(profiles, dict) or wrong:
        place = document.place(("profiles", *([wrong] if wrong else [])))
        raise RecipeError(f"{place}: a profile is a mapping of dotted paths to values", expected="{fit.batch_size: 16}")
    return profiles


def _find(values: dict[str, Any], dotted: str, place: Place) -> tuple[Path, Hint]:
    """Turn a dotted path into a path inside `values` and the type the schema has there."""
    parts = dotted.split(".")
    stages = values.get("stages")
    stage_names = list(stages) if isinstance(stages, dict) else []
    if parts[0] not in fields(Recipe) and parts[0] in stage_names:
        parts = ["stages", *parts]
    elif parts[0] not in fields(Recipe):
        raise _unknown(parts[0], "the recipe", [*fields(Recipe), *stage_names], place)
    path: list[str | int] = []
    hint: Hint = Recipe
    current: Any = values
    for position, part in enumerate(parts):
        key, below = _step(current, hint, part, tuple(path), place)
        last = position == len(parts) - 1
        if not last and get_origin(fitting(hint, current)) is dict and key not in current:
            raise _unknown(part, ".".join(map(str, path)), list(current), place)
        current = value_at(current, (key,))
        current = {} if current is None and not last else current
        path.append(key)
        hint = below
    return tuple(path), hint


def _step(current: Any, hint: Hint, part: str, path: Path, place: Place) -> tuple[str | int, Hint]:
    here = ".".join(map(str, path)) or "the recipe"
    if isinstance(current, list):
        if not part.isdigit() or int(part) >= len(current):
            raise RecipeError(
                f"{place}: {here} is a list of {len(current)}",
                got=part,
                expected=f"an index from 0 to {len(current) - 1}",
            )
        return int(part), child(hint, int(part), current)
    if not isinstance(current, dict):
        raise RecipeError(
            f"{place}: {here} holds a single value, {current!r}; it has no `{part}`", fix=f"set {here} whole"
        )
    below = child(hint, part, current)
    if below is None:
        raise _unknown(part, here, known_keys(hint, current), place)
    return part, below


def _unknown(key: str, here: str, known: list[str], place: Place) -> RecipeError:
    return RecipeError(f"{place}: {here} has no `{key}`", fix=suggestion(key, known) if known else None)


def _typed(text: str, hint: Hint, origin: str) -> Any:
    """The value of a `--set`: taken as it stands where the schema allows only text, else read as YAML."""
    as_it_stands = alternatives(hint) == (str,) and text not in ("", "null", "~") and text[0] not in "\"'"
    return text if as_it_stands else parse_value(text, origin)


def _put(document: Document, path: Path, value: Any, places: dict[Path, Place], hint: Hint) -> None:
    """Set the value at a path, making the mappings on the way; a mapping is merged into the mapping it meets."""
    parent = document.values
    for key in path[:-1]:
        if isinstance(parent, dict) and parent.get(key) is None:
            parent[key] = {}
        parent = parent[key]
    _merge(document, parent, path, value, hint)
    document.places.update({(*path, *inner): place for inner, place in places.items()})


def _merge(document: Document, parent: Any, path: Path, value: Any, hint: Hint) -> None:
    key = path[-1]
    old = parent.get(key) if isinstance(parent, dict) else parent[key]
    if isinstance(old, dict) and isinstance(value, dict):
        for name, inner in value.items():
            if inner is None and get_origin(fitting(hint, old)) is dict:
                old.pop(name, None)  # an entry of a mapping of names cannot be null: null takes it out
            else:
                _merge(document, old, (*path, name), inner, child(hint, name, old) or Any)
    else:
        parent[key] = value
        for known in [p for p in document.places if p[: len(path)] == path and len(p) > len(path)]:
            del document.places[known]
