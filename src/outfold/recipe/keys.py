"""Walks the recipe's schema beside a recipe's values: which keys are known where, and what stands at a path."""

import dataclasses
import types
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from outfold.settings.base import ShortFor, Spec

Hint = Any
"""A type annotation of the schema."""


def alternatives(hint: Hint) -> tuple[Hint, ...]:
    """The types a value may have, without Annotated and None."""
    if get_origin(hint) is Annotated:
        return alternatives(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(choice for part in get_args(hint) for choice in alternatives(part))
    return () if hint in (None, type(None)) else (hint,)


def is_model(hint: Hint) -> bool:
    """Whether the type is a mapping of known keys: one of the recipe's models, or a dataclass of settings."""
    return isinstance(hint, type) and (issubclass(hint, BaseModel) or dataclasses.is_dataclass(hint))


def fitting(hint: Hint, value: Any) -> Hint:
    """The alternative that the value's shape asks for; among several models the one whose `kind` it names."""
    return all_fitting(hint, value)[0]


def all_fitting(hint: Hint, value: Any) -> list[Hint]:
    """The alternatives that the value may be meant for: several models where it names no `kind`.

    A mapping where the schema has a list of models is that list's only element (`data.train` may be one source).
    """
    choices = alternatives(hint)
    if isinstance(value, dict):
        models = [choice for choice in choices if is_model(choice)]
        lists = [choice for choice in choices if get_origin(choice) in (tuple, list)]
        models = models or [part for choice in lists for part in get_args(choice) if is_model(part)]
        named = [model for model in models if value.get("kind") in kinds(model)]
        mappings = [choice for choice in choices if get_origin(choice) is dict]
        found = named or models or mappings
    elif isinstance(value, list):
        found = [choice for choice in choices if get_origin(choice) in (tuple, list)]
    else:
        found = [choice for choice in choices if not is_model(choice) and get_origin(choice) not in (dict, tuple, list)]
    return list(found or choices or [Any])


def fields(model: Hint) -> dict[str, Hint]:
    """Each key of a model as it is written in a recipe, with its type."""
    if not issubclass(model, BaseModel):
        return {field.name: field.type for field in dataclasses.fields(model)}
    return {info.alias or name: _marked(info.annotation, info.metadata) for name, info in model.model_fields.items()}


def _marked(hint: Hint, metadata: Iterable[object]) -> Hint:
    """A field's type with the mark of a short form, if it has one."""
    marks = [mark for mark in metadata if isinstance(mark, ShortFor)]
    return Annotated[hint, marks[0]] if marks else hint


def short_for(hint: Hint) -> str | None:
    """The key that a text stands for where the type is a mapping; None where a text stands for no mapping."""
    marks = [mark for mark in get_args(hint)[1:] if isinstance(mark, ShortFor)] if get_origin(hint) is Annotated else []
    return marks[0].key if marks else None


def rivals(hint: Hint, key: str | int, value: Any) -> list[str]:
    """The keys of `value`, which has the type `hint`, that cannot stand beside a key, and those that go with them."""
    model = fitting(hint, value)
    groups = model.exclusive if is_model(model) and issubclass(model, Spec) else ()
    others = [group for group in groups if group[0] != key]
    return [other for group in others for other in group if other in value] if len(others) < len(groups) else []


def child(hint: Hint, key: str | int, value: Any = None) -> Hint | None:
    """The type below a key or an index of `value`, which has the type `hint`; None where the schema has no such key."""
    if key == short_for(hint):
        return str
    below = (_below(choice, key) for choice in all_fitting(hint, value))
    return next((found for found in below if found is not None), None)


def _below(hint: Hint, key: str | int) -> Hint | None:
    if hint is Any:
        return Any
    return fields(hint).get(str(key)) if is_model(hint) else _inside(hint, key)


def value_at(values: Any, path: Iterable[str | int]) -> Any:
    """What stands at a path inside nested mappings and lists; None where nothing does."""
    for key in path:
        if isinstance(values, dict):
            values = values.get(key)
        else:
            inside = isinstance(values, list) and isinstance(key, int) and key < len(values)
            values = values[key] if inside else None
    return values


def known_keys(hint: Hint, value: Any = None) -> list[str]:
    """The keys that may stand in `value`: a model's fields, or the entries a mapping of names has now."""
    short = short_for(hint)
    known = [*([short] if short else []), *(key for one in all_fitting(hint, value) for key in _keys(one, value))]
    return list(dict.fromkeys(known))


def _keys(hint: Hint, value: Any) -> list[str]:
    return list(fields(hint)) if is_model(hint) else list(value) if isinstance(value, dict) else []


def allowed(hint: Hint) -> list[Any]:
    """The values a literal type allows, over all alternatives; for models the values of their `kind`."""
    choices = alternatives(hint)
    models = [value for choice in choices if is_model(choice) for value in kinds(choice)]
    return [value for choice in choices if get_origin(choice) is Literal for value in get_args(choice)] or models


def homes(key: str, hint: Hint, limit: int = 3) -> list[str]:
    """Where the schema below a type knows a key, as dotted paths like `view.size`, the shallowest first."""
    found = [path for path in _all_paths(hint, depth=5) if path[-1] == key and len(path) > 1]
    return list(dict.fromkeys(".".join(path) for path in sorted(found, key=len)))[:limit]


def _all_paths(hint: Hint, depth: int) -> Iterator[tuple[str, ...]]:
    for choice in alternatives(hint) if depth else ():
        below = fields(choice).items() if is_model(choice) else ()
        for key, inner in below:
            yield (key,)
            yield from ((key, *rest) for rest in _all_paths(inner, depth - 1))
        if get_origin(choice) is dict:
            yield from (("NAME", *rest) for rest in _all_paths(get_args(choice)[1], depth - 1))
        elif get_origin(choice) in (tuple, list) and get_args(choice):
            yield from (("0", *rest) for rest in _all_paths(get_args(choice)[0], depth - 1))


def _inside(hint: Hint, key: str | int) -> Hint | None:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is dict:
        return arguments[1]
    if origin in (tuple, list) and isinstance(key, int):
        return arguments[0] if arguments[-1] is Ellipsis or origin is list else arguments[min(key, len(arguments) - 1)]
    return None


def kinds(model: Hint) -> tuple[Any, ...]:
    """What `kind` may be in a model."""
    hint = fields(model).get("kind")
    return get_args(hint) if get_origin(hint) is Literal else ()
