"""From a recipe's item (`hflip`, `{rotate: 15}`, `{rotate: {degrees: 15, p: 0.5}}`) to a checked transform.

`{one_of: [hflip, vflip]}` and `{one_of: {p: 0.7, of: [..]}}` hold items themselves.
"""

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError

from outfold.errors import RecipeError
from outfold.names import suggestion
from outfold.views.augment.base import Transform
from outfold.views.augment.choice import OneOf
from outfold.views.augment.clahe import Clahe
from outfold.views.augment.colour import COLOUR
from outfold.views.augment.distortion import DISTORTIONS
from outfold.views.augment.geometry import GEOMETRIC, Sized
from outfold.views.augment.parameters import Probability
from outfold.views.augment.pixel import PIXEL
from outfold.views.sizes import Size

TRANSFORMS: dict[str, type[Transform]] = {**GEOMETRIC, **DISTORTIONS, **COLOUR, "clahe": Clahe, **PIXEL}
"""All transforms but `one_of` by the name a recipe uses."""
ONE_OF = "one_of"


def transform_names() -> list[str]:
    """The names a recipe may use, sorted."""
    return sorted([*TRANSFORMS, ONE_OF])


def parse_transform(item: str | dict[str, Any], size: Size) -> tuple[Transform, float]:
    """The transform and its chance of being applied.

    Raises:
        RecipeError: an unknown transform or parameter (with the nearest name), or a value out of range.
    """
    name, parameters = _name_and_parameters(item)
    if name == ONE_OF:
        return _parse_choice(parameters, size)
    if name not in TRANSFORMS:
        raise RecipeError(f"augment has no transform {name!r}", fix=suggestion(name, transform_names()))
    kind = TRANSFORMS[name]
    settings = _settings(name, kind, parameters)
    chance = _chance(name, settings.pop("p", kind.p))
    given = {"size": size} if issubclass(kind, Sized) else {}
    return _checked(name, lambda values: kind(**values, **given), settings), chance


def _parse_choice(parameters: Any, size: Size) -> tuple[Transform, float]:
    settings = parameters if isinstance(parameters, dict) else {"of": parameters}
    for key in settings:
        if key not in ("of", "p"):
            raise RecipeError(f"augment: {ONE_OF} has no parameter {key!r}", fix=suggestion(key, ["of", "p"]))
    items = settings.get("of")
    if not isinstance(items, list | tuple) or not items:
        expected = "{one_of: {p: 0.7, of: [hflip, {rotate: 15}]}}"
        raise RecipeError(f"augment: {ONE_OF} needs a list of transforms", got=items, expected=expected)
    for item in items:
        name, nested = _name_and_parameters(item)
        if isinstance(nested, dict) and "p" in nested:
            fix = f"the chances in {ONE_OF} are equal: give p to {ONE_OF} itself"
            raise RecipeError(f"augment: {name} in {ONE_OF} has a p of its own", got=nested["p"], fix=fix)
    chance = _chance(ONE_OF, settings.get("p", OneOf.p))
    return OneOf(tuple(parse_transform(item, size)[0] for item in items)), chance


def _chance(name: str, value: Any) -> float:
    return _checked(name, TypeAdapter(Probability).validate_python, value)


def _name_and_parameters(item: str | dict[str, Any]) -> tuple[str, Any]:
    if isinstance(item, str):
        return item, {}
    if isinstance(item, dict) and len(item) == 1:
        return next(iter(item.items()))
    raise RecipeError(
        "an item of augment is a name or one name with its parameters", got=item, expected="hflip or {rotate: 15}"
    )


def _settings(name: str, kind: type[Transform], parameters: Any) -> dict[str, Any]:
    """Parameters by name; anything but a mapping is the main parameter's value."""
    known = kind.parameter_names()
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        return _from_value(name, kind, parameters)
    for key in parameters:
        if key not in (*known, "p"):
            raise RecipeError(f"augment: {name} has no parameter {key!r}", fix=suggestion(key, [*known, "p"]))
    return dict(parameters)


def _from_value(name: str, kind: type[Transform], value: Any) -> dict[str, Any]:
    known = kind.parameter_names()
    if not known:
        expected = f"{name} or {{{name}: {{p: 0.5}}}}"
        raise RecipeError(f"augment: {name} takes no parameter but p", got=value, expected=expected)
    try:
        return kind.from_value(value)
    except ValueError:
        raise RecipeError(f"augment: {name} takes {len(known)} values", got=value, expected=", ".join(known)) from None


def _checked(name: str, build: Callable[[Any], Any], values: Any) -> Any:
    try:
        return build(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "p"
        raise RecipeError(f"augment: {name}: {place}: {first['msg']}", got=first["input"]) from None
