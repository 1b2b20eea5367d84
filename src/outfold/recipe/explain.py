"""Turns pydantic's error records into plain sentences that name the place in the file and the nearest known key."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from outfold.errors import RecipeError
from outfold.names import nearest
from outfold.recipe.keys import (
    Hint,
    all_fitting,
    allowed,
    alternatives,
    child,
    fields,
    homes,
    is_model,
    kinds,
    known_keys,
    value_at,
)
from outfold.recipe.yaml_text import Document, Path
from outfold.settings.recipe import Recipe

SHOWN = 8
"""How many faults one error lists, and how many changes of a value one fault."""

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text (in quotes where it looks like a number or a mapping)",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "dataclass_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a recipe."""

    path: Path
    sentence: str
    fix: str | None = None
    missing: str | None = None
    suggested: str | None = None


def explain(error: ValidationError, document: Document) -> RecipeError:
    """The faults pydantic found as one error, in the order of the file; each with its place and what to do."""
    records: dict[Path, list[tuple[Hint, dict[str, Any]]]] = defaultdict(list)
    for record in error.errors(include_url=False):
        path, hint = locate(record["loc"], document.values)
        records[path].append((hint, dict(record)))
    paths = [path for path in records if not _follows_from_inside(path, records)]
    told = (_fault(path, records[path], document) for path in paths)
    faults = list(dict.fromkeys(fault for fault in told if fault is not None))
    meant = {(fault.path[:-1], fault.suggested) for fault in faults}
    faults = [fault for fault in faults if fault.missing is None or (fault.path[:-1], fault.missing) not in meant]
    faults.sort(key=lambda fault: (document.place(fault.path).line or 0, len(fault.path)))
    return _as_error(faults, document)


def locate(loc: tuple[str | int, ...], values: Any) -> tuple[Path, Hint]:
    """The path in the values as written for a pydantic location, and the type of what holds its last key.

    Pydantic puts the chosen branch of a union into its locations (`stages.fit.train.phases`), and an index where a
    single value stands for a list of one; neither is in the file.
    """
    path: list[str | int] = []
    hint: Hint = Recipe
    holder: Hint = Recipe
    branch_next = False
    for part in loc:
        if branch_next:
            hint = next((one for one in alternatives(hint) if is_model(one) and part in kinds(one)), hint)
            branch_next = False
        elif isinstance(part, int) and not isinstance(values, list):
            continue
        elif isinstance(values, dict | list):
            holder = hint
            hint = child(hint, part, values) or Any
            values = value_at(values, (part,))
            path.append(part)
            branch_next = len(alternatives(hint)) > 1
    return tuple(path), holder


def _follows_from_inside(path: Path, records: dict[Path, list[tuple[Hint, dict[str, Any]]]]) -> bool:
    """Whether all a path's errors follow from what is wrong inside it, which says more.

    Union branches that its value was not meant for, or a list that is too short without its wrong elements.
    """
    deeper = any(other[: len(path)] == path and len(other) > len(path) for other in records)
    return deeper and all(
        record["type"] in _EXPECTED or record["type"] in ("literal_error", "too_short") for _, record in records[path]
    )


def _fault(path: Path, records: list[tuple[Hint, dict[str, Any]]], document: Document) -> Fault | None:
    """What is wrong at a path; None where it is told at another one."""
    ruled_out = [pair for pair in records if pair[1]["type"] == "value_error"]  # the branch of a union that was meant
    holder, record = (ruled_out or records)[0]
    kind, here = record["type"], dotted(path)
    if kind in _UNKNOWN:
        return _unknown_key(path, holder, document.values)
    if kind == "missing":
        return _missing(path)
    if kind == "value_error":
        return Fault(path, f"{here}: {record['ctx']['error']}")
    hint = child(holder, path[-1], value_at(document.values, path[:-1])) if path else Recipe
    known = ", ".join(map(str, allowed(hint)))
    if kind == "union_tag_not_found":
        return Fault(path, f"`kind` is missing in {here}", f"kind: one of {known}")
    if kind == "union_tag_invalid":
        tag = str(record["ctx"]["tag"])
        return Fault((*path, "kind"), f"{here} has kind {tag!r}, expected one of {known}", _near(tag, hint))
    value = record["input"]
    wanted = " or ".join(dict.fromkeys(_wanted(record) for _, record in records))
    return Fault(path, f"{here} is {_short(value)}, expected {wanted}", _near(value, hint))


def _missing(path: Path) -> Fault:
    key, here = path[-1], dotted(path[:-1])
    if isinstance(key, int):
        return Fault(path[:-1], f"{here} has too few values: there is none at index {key}")
    return Fault(path, f"`{key}` is missing in {here}", missing=key)


def _wanted(record: dict[str, Any]) -> str:
    kind, context = record["type"], record.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{words} {context[name]:g}"
    sentences = {
        "literal_error": "one of {expected}",
        "too_short": "at least {min_length} of them",
        "too_long": "at most {max_length} of them",
        "string_pattern_mismatch": "text that matches {pattern}",
    }
    return sentences[kind].format(**context) if kind in sentences else f"something else ({record['msg']})"


def _unknown_key(path: Path, holder: Hint, values: Any) -> Fault | None:
    *above, key = path
    here, given = dotted(tuple(above)), value_at(values, above)
    known = known_keys(holder, given)
    if key in known:  # to another of the models that the mapping may be
        return _keys_apart(tuple(above), holder, given) if set(given) <= set(known) else None
    near = nearest(str(key), known)
    others = _kinds_with(str(key), hint_at(above, values))
    elsewhere = homes(str(key), holder) or ([] if near else homes(str(key), Recipe))
    if others:
        fix = f"`{key}` is of {' or '.join(others)}; say which it is"
    elif elsewhere:
        fix = f"`{key}` belongs at {' or '.join(elsewhere)}"
    else:
        fix = f"did you mean `{near}`?" if near else f"keys here: {', '.join(known)}"
    return Fault(path, f"unknown key `{key}` in {here}", fix, suggested=near)


def _keys_apart(path: Path, hint: Hint, value: dict[str, Any]) -> Fault:
    """A mapping whose keys are known, each to another of the models that it may be."""
    wholes = [", ".join(f"`{key}`" for key in fields(model)) for model in all_fitting(hint, value) if is_model(model)]
    given = " and ".join(f"`{key}`" for key in sorted(value))
    return Fault(path, f"{given} do not go together in {dotted(path)}", f"keep those of {'; or of '.join(wholes)}")


def _kinds_with(key: str, hint: Hint) -> list[str]:
    """The kinds of a union's models that know a key."""
    models = [model for model in alternatives(hint) if is_model(model) and key in fields(model)]
    return [f"`kind: {kind}`" for model in models for kind in kinds(model)]


def hint_at(path: Iterable[str | int], values: Any) -> Hint:
    """The type of what stands at a path of a recipe's values."""
    hint: Hint = Recipe
    for key in path:
        hint, values = child(hint, key, values) or Any, value_at(values, (key,))
    return hint


def _near(value: Any, hint: Hint) -> str | None:
    near = nearest(value, map(str, allowed(hint))) if isinstance(value, str) else None
    return f"did you mean `{near}`?" if near else None


def dotted(path: Path) -> str:
    """A path as a user types it."""
    return ".".join(map(str, path)) or "the recipe"


def _place(path: Path, document: Document) -> str:
    """Where a value was written, and where parts of it were changed by a profile or by `--set`."""
    changes = document.changes_below(path)
    more = [f"{len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
    return " and ".join([str(document.place(path)), *map(str, changes[:SHOWN]), *more])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _as_error(faults: list[Fault], document: Document) -> RecipeError:
    if len(faults) == 1:
        return RecipeError(f"{_place(faults[0].path, document)}: {faults[0].sentence}", fix=faults[0].fix)
    lines = [
        f"  {_place(fault.path, document)}: {fault.sentence}" + (f"; {fault.fix}" if fault.fix else "")
        for fault in faults[:SHOWN]
    ]
    more = [f"  and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    return RecipeError("\n".join([f"{document.places[()]} has {len(faults)} faults:", *lines, *more]))
