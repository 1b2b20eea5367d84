"""From the items of a recipe's `augment` to what is done to sound: changes of waveforms, then of their pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from outfold.errors import RecipeError
from outfold.names import suggestion
from outfold.views.audio.augment import BackgroundSound, DrawSound, Gain, GaussianNoise, PinkNoise, WaveformTransform
from outfold.views.audio.spec_augment import SpecAugment

TRANSFORMS: dict[str, type[WaveformTransform] | type[SpecAugment]] = {
    "background": BackgroundSound,
    "gain": Gain,
    "gaussian_noise": GaussianNoise,
    "pink_noise": PinkNoise,
    "spec_augment": SpecAugment,
}
"""By the names that recipes use. A background's `path`, a pattern of files, stands for what draws from them."""
BACKGROUND, PATH, DRAW = "background", "path", "draw"


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


def parse_sound_chain(
    items: Sequence[str | dict[str, Any]], *, pictures: bool, backgrounds: Mapping[str, DrawSound] | None = None
) -> SoundChain:
    """The chain of a recipe's items: `gain`, `{gain: 6}`, `{background: {path: "noise/*.ogg"}}`.

    Args:
        items: in the order of the recipe; whatever changes pictures comes after all that changes waveforms.
        pictures: whether the view makes pictures.
        backgrounds: by pattern, what draws from its files; None for a look at the items alone, where nothing is drawn.

    Raises:
        RecipeError: an unknown transform or parameter (with the nearest name), a value out of range, or a change of
            pictures where there are none.
    """
    made = [_parsed(item, backgrounds) for item in items]
    painted = tuple(one for one in made if isinstance(one, SpecAugment))
    if painted and not pictures:
        raise RecipeError("augment: spec_augment paints log-mel pictures, and this view makes none")
    return SoundChain(tuple(one for one in made if isinstance(one, WaveformTransform)), painted)


def background_patterns(items: Sequence[str | dict[str, Any]]) -> list[str]:
    """The patterns of files that a recipe's items mix in, each once.

    Raises:
        RecipeError: an item is none.
    """
    found = [_settings(item) for item in items]
    return list(dict.fromkeys(str(settings[PATH]) for name, _, settings in found if name == BACKGROUND))


def _settings(item: str | dict[str, Any]) -> tuple[str, type[WaveformTransform] | type[SpecAugment], dict[str, Any]]:
    """An item's name, its transform and its parameters by name."""
    name, given = (item, {}) if isinstance(item, str) else _only(item)
    if name not in TRANSFORMS:
        raise RecipeError(f"augment has no transform of sound {name!r}", fix=suggestion(name, TRANSFORMS))
    kind = TRANSFORMS[name]
    known = [PATH if parameter == DRAW else parameter for parameter in signature(kind).parameters]
    settings = dict(given) if isinstance(given, dict) else {known[0]: given} if given is not None else {}
    for key in settings:
        if key not in known:
            raise RecipeError(f"augment: {name} has no parameter {key!r}", fix=suggestion(str(key), known))
    if name == BACKGROUND and not isinstance(settings.get(PATH), str):
        example = '{background: {path: "noise/*.ogg"}}'
        raise RecipeError(
            "augment: background needs the pattern of its files", got=settings.get(PATH), expected=example
        )
    return name, kind, settings


def _parsed(item: str | dict[str, Any], backgrounds: Mapping[str, DrawSound] | None) -> WaveformTransform | SpecAugment:
    name, kind, settings = _settings(item)
    if name == BACKGROUND:
        settings[DRAW] = silence if backgrounds is None else backgrounds[settings.pop(PATH)]
        settings.pop(PATH, None)
    try:
        return TypeAdapter(kind).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"augment: {name}: {place}: {first['msg']}", got=first["input"]) from None


def silence(samples: int, rng: np.random.Generator) -> np.ndarray:
    """No background: float32 (samples,)."""
    return np.zeros(samples, np.float32)


def _only(item: dict[str, Any]) -> tuple[str, Any]:
    if not isinstance(item, dict) or len(item) != 1:
        expected = "gain or {gain: 6}"
        raise RecipeError("an item of augment is a name or one name with its parameters", got=item, expected=expected)
    return next(iter(item.items()))
