"""From the items of a recipe's `augment` to what is done to sound: changes of waveforms, then of their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from outfold.errors import RecipeError
from outfold.names import suggestion
from outfold.views.audio.augment import Gain, GaussianNoise, PinkNoise, WaveformTransform
from outfold.views.audio.spec_augment import SpecAugment

TRANSFORMS: dict[str, type[WaveformTransform] | type[SpecAugment]] = {
    "gain": Gain,
    "gaussian_noise": GaussianNoise,
    "pink_noise": PinkNoise,
    "spec_augment": SpecAugment,
}
"""By the names that recipes use."""


@dataclass(frozen=True)
class SoundChain:
    """What training changes at random.

    Attributes:
        waveforms: in their order.
        pictures: in their order; none for a view that makes no pictures.
    """

    waveforms: tuple[WaveformTransform, ...] = ()
    pictures: tuple[SpecAugment, ...] = ()

    def __call__(self, waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A waveform float32 (n,), changed."""
        for transform in self.waveforms:
            waveform = transform(waveform, rng)
        return waveform


def parse_sound_chain(items: Sequence[str | dict[str, Any]], *, pictures: bool) -> SoundChain:
    """The chain of a recipe's items: `gain`, `{gain: 6}`, `{spec_augment: {time_masks: 1}}`.

    Args:
        items: in the order of the recipe; whatever changes pictures comes after all that changes waveforms.
        pictures: whether the view makes pictures.

    Raises:
        RecipeError: an unknown transform or parameter (with the nearest name), a value out of range, or a change of
            pictures where there are none.
    """
    made = [_parsed(item) for item in items]
    painted = tuple(one for one in made if isinstance(one, SpecAugment))
    if painted and not pictures:
        raise RecipeError("augment: spec_augment paints log-mel pictures, and this view makes none")
    return SoundChain(tuple(one for one in made if isinstance(one, WaveformTransform)), painted)


def _parsed(item: str | dict[str, Any]) -> WaveformTransform | SpecAugment:
    name, given = (item, {}) if isinstance(item, str) else _only(item)
    if name not in TRANSFORMS:
        raise RecipeError(f"augment has no transform of sound {name!r}", fix=suggestion(name, TRANSFORMS))
    kind = TRANSFORMS[name]
    known = list(signature(kind).parameters)
    settings = dict(given) if isinstance(given, dict) else {known[0]: given} if given is not None else {}
    for key in settings:
        if key not in known:
            raise RecipeError(f"augment: {name} has no parameter {key!r}", fix=suggestion(str(key), known))
    try:
        return TypeAdapter(kind).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"augment: {name}: {place}: {first['msg']}", got=first["input"]) from None


def _only(item: dict[str, Any]) -> tuple[str, Any]:
    if not isinstance(item, dict) or len(item) != 1:
        expected = "gain or {gain: 6}"
        raise RecipeError("an item of augment is a name or one name with its parameters", got=item, expected=expected)
    return next(iter(item.items()))
