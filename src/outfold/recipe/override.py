"""Overrides: `--set a.b=c` and named sets of them, laid over the recipe's values before validation.

Mappings are merged, lists and single values replaced. A mapping of another `kind` replaces the old one, and a key takes
the place of one that it excludes. A path that ends in `!` replaces a mapping as well: `fit.members!: {a: {}}` leaves no
other member. Null takes a named entry (a member, a stage), or one of a list, out.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, get_origin

from outfold.errors import RecipeError
from outfold.names import suggestion
from outfold.recipe.keys import (
    Hint,
    alternatives,
    child,
    fields,
    fitting,
    is_model,
    kinds,
    known_keys,
    rivals,
    short_for,
    value_at,
)
from outfold.recipe.yaml_text import Document, Path, Place, parse_value
from outfold.settings.recipe import Recipe


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
        path, holder = _open_path(document, key.strip(), place)
        hint = child(holder, path[-1], value_at(document.values, path[:-1]))
        _put(document, path, _typed(value.strip(), hint, str(place)), {(): place}, holder)
    return document


def lay_over(document: Document, overrides: Document) -> Document:
    """Lay a mapping of dotted paths to values over a document, in order.

    Args:
        document: the recipe's values and places; it is not changed.
        overrides: `{fit.batch_size: 16, fit.members!: {a: {}}}`, and where it was written.

    Raises:
        RecipeError: a path that the schema does not have, or an index outside its list.
    """
    changed = deepcopy(document)
    for key, value in overrides.values.items():
        path, holder = _open_path(changed, key, overrides.place((key,)))
        _put(changed, path, deepcopy(value), part(overrides, (key,)).places, holder)
    return changed


def apply_profile(document: Document, name: str) -> Document:
    """Lay one of the document's own `profiles` over it.

    Raises:
        RecipeError: there is no such profile, or a key of it is not in the schema.
    """
    profiles = _profiles(document)
    if name not in profiles:
        known = suggestion(name, profiles) if profiles else "this recipe has no profiles; leave --profile out"
        raise RecipeError(
            f"{document.places[()]} has no profile `{name}`", expected=sorted(profiles) or None, fix=known
        )
    return lay_over(document, part(document, ("profiles", name)))


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


def part(document: Document, path: Path) -> Document:
    """What stands at a path, as a document of its own."""
    depth = len(path)
    places = {p[depth:]: place for p, place in document.places.items() if p[:depth] == path}
    return Document(value_at(document.values, path), {(): document.place(path)} | places)


def _open_path(document: Document, dotted: str, place: Place) -> tuple[Path, Hint]:
    """Find what a dotted path names, making the mappings on the way; what a path with `!` names is emptied.

    Returns:
        The path inside the document, and the schema's type of what holds its last key.
    """
    parts = _from_the_root(document.values, dotted.removesuffix("!"), place)
    path: Path = ()
    hint: Hint = Recipe
    current: Any = document.values
    for part in parts[:-1]:
        key, below = _step(current, hint, part, path, place)
        if get_origin(fitting(hint, current)) is dict and key not in current:
            raise _unknown(part, ".".join(map(str, path)), list(current), place)
        _open(current, key, below, ".".join(map(str, (*path, key))), place)
        path, hint, current = (*path, key), below, current[key]
    key, _ = _step(current, hint, parts[-1], path, place)
    if dotted.endswith("!") and value_at(current, (key,)) is not None:
        current[key] = None  # not taken out: stages keep their order
        _forget_below(document, (*path, key))
    return (*path, key), hint


def _open(parent: Any, key: str | int, hint: Hint, here: str, place: Place) -> None:
    """Make a mapping of what is to be changed inside: of nothing an empty one, of a text what it is short for."""
    short, old = short_for(hint), value_at(parent, (key,))
    if short is not None and old is None:
        raise RecipeError(
            f"{place}: {here} is not set there, so nothing of it can be changed",
            fix=f"set {here} whole: {{{short}: ..}}",
        )
    if old is None:
        parent[key] = {}
    elif short is not None and isinstance(old, str):
        parent[key] = {short: old}


def _from_the_root(values: dict[str, Any], dotted: str, place: Place) -> list[str]:
    """The parts of a path; one that starts with a stage's name is taken to start inside `stages`."""
    parts = dotted.split(".")
    stages = values.get("stages")
    stage_names = list(stages) if isinstance(stages, dict) else []
    if parts[0] in fields(Recipe):
        return parts
    if parts[0] in stage_names:
        return ["stages", *parts]
    raise _unknown(parts[0], "the recipe", [*fields(Recipe), *stage_names], place)


def _step(current: Any, hint: Hint, part: str, path: Path, place: Place) -> tuple[str | int, Hint]:
    here = ".".join(map(str, path)) or "the recipe"
    if isinstance(current, list):
        if not (part.isascii() and part.isdigit()) or int(part) >= len(current):
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


def _put(document: Document, path: Path, value: Any, places: dict[Path, Place], holder: Hint) -> None:
    """Set the value at a path and note where it was written; `holder` is the type of what holds the path's last key."""
    _assign_all(document, value_at(document.values, path[:-1]), path[:-1], {path[-1]: value}, holder)
    document.places.update({(*path, *inner): place for inner, place in places.items()})
    document.places[path] = replace(places[()], laid_over=True)


def _assign_all(document: Document, parent: Any, path: Path, values: dict[Any, Any], hint: Hint) -> None:
    """Set entries of `parent`, which has the type `hint`, and take out what they exclude."""
    for key, value in values.items():
        for rival in rivals(hint, key, parent) if value is not None else ():
            if rival not in values:
                del parent[rival]
                _forget_below(document, (*path, rival))
        _assign(document, parent, (*path, key), value, hint)


def _assign(document: Document, parent: Any, path: Path, value: Any, holder: Hint) -> None:
    """Set one entry of `parent`: mappings of one kind are merged, null takes an entry of a list, or by name, out."""
    key = path[-1]
    old, hint = value_at(parent, (key,)), child(holder, key, parent) or Any
    if isinstance(old, str) and isinstance(value, dict) and short_for(hint) is not None:
        old = parent[key] = {short_for(hint): old}
    if value is None and isinstance(parent, dict) and get_origin(fitting(holder, parent)) is dict:
        parent.pop(key, None)
    elif value is None and isinstance(parent, list):
        _shorten(document, parent, path)
    elif isinstance(old, dict) and isinstance(value, dict) and _continues(value, old, hint):
        _assign_all(document, old, path, value, hint)
    else:
        parent[key] = value
        document.places.pop(path, None)
        _forget_below(document, path)


def _continues(value: dict[str, Any], old: dict[str, Any], hint: Hint) -> bool:
    """Whether a mapping changes another one, rather than standing for something else altogether."""
    if short_for(hint) in value:
        return False
    model = fitting(hint, value)
    return not (is_model(model) and value.get("kind") in kinds(model)) or model is fitting(hint, old)


def _forget_below(document: Document, path: Path) -> None:
    """Drop the places inside a value that is no more."""
    for known in [p for p in document.places if p[: len(path)] == path and len(p) > len(path)]:
        del document.places[known]


def _shorten(document: Document, items: list[Any], path: Path) -> None:
    """Take one entry out of a list; the places of those behind it move up."""
    *before, gone = path
    del items[int(gone)]
    depth, places = len(before), dict(document.places)
    for known, place in places.items():
        if known[:depth] == tuple(before) and len(known) > depth and int(known[depth]) >= int(gone):
            del document.places[known]
            if known[depth] != gone:
                document.places[(*before, int(known[depth]) - 1, *known[depth + 1 :])] = place
