"""Further arguments of a timm model: those that a user may give, and whether they change the model at all."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from outfold.errors import RecipeError
from outfold.settings.network import Option, reserved_options

Options = Mapping[str, Option]
"""By timm's names, e.g. {"pad_type": "same", "act_layer": "relu"}."""


def refuse_reserved(name: str, options: Options) -> None:
    """Refuse options that are set elsewhere, or that would make something else than one pooled backbone.

    Raises:
        RecipeError: names them.
    """
    if found := reserved_options(options):
        raise RecipeError(
            f"options of the backbone {name} cannot be {', '.join(found)}",
            expected="arguments of the model itself, such as act_layer or pad_type",
        )


def refused_options(name: str, options: Options, error: Exception) -> RecipeError:
    """What a failure to build a model with options is told as."""
    said = str(error).splitlines()[0] if str(error) else ""
    return RecipeError(
        f"timm cannot build the backbone {name} with these options",
        got=f"{dict(options)}: {type(error).__name__}: {said}",
        expected="arguments that this family of models takes, with values it knows",
    )


def refuse_idle(name: str, options: Options, build: Callable[[Options], nn.Module]) -> None:
    """Refuse options that change nothing: a value that timm does not know and passes over, or the model's default.

    Args:
        name: of the backbone, for the error.
        options: what is asked for.
        build: makes the model with some options; only its structure is looked at, so it may lie on the meta device.

    Raises:
        RecipeError: names the first option without which the model is the same.
    """
    if not options:
        return
    with torch.device("meta"):
        whole = list(_structure(build(options)))
        for option in options:
            others = {other: value for other, value in options.items() if other != option}
            if list(_structure(build(others))) == whole:
                raise RecipeError(
                    f"the backbone {name} is the same with the option {option!r} and without it",
                    got=options[option],
                    fix="leave it out, or give a value that changes the model",
                )


def _structure(module: nn.Module) -> Iterator[tuple[str, str, dict[str, Any], dict[str, torch.Size]]]:
    """All that tells one built model from another but the numbers in its tensors."""
    for name, part in module.named_modules():
        plain = {key: value for key, value in vars(part).items() if isinstance(value, bool | int | float | str | tuple)}
        shapes = {key: parameter.shape for key, parameter in part.named_parameters(recurse=False)}
        yield name, type(part).__qualname__, plain, shapes
