"""What the settings of one member, the stage's and its own together, do not go with."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from outfold.settings.audio_view import AudioView
from outfold.settings.learning import Freeze, Phase, Rates
from outfold.settings.network import Weights
from outfold.settings.predicting import SWAPPING, Predict
from outfold.settings.sound_conflicts import sound_conflicts
from outfold.settings.view import EmbeddingView, ImageView

if TYPE_CHECKING:
    from outfold.settings.train import TrainSettings


def refuse_member(settings: "TrainSettings", member: str, *, labels: str | None) -> None:
    """Refuse settings that lack another one, that contradict each other, or that have no effect.

    Args:
        settings: a member's effective ones.
        member: its name.
        labels: the label stage that it learns from, if any.

    Raises:
        ValueError: names the member and the first such setting.
    """
    for find in (_missing, sound_conflicts, _vectors, _network, _frames, _bounds, _epochs):
        for fault in find(settings):
            raise ValueError(f"member {member!r}: {fault}")
    if settings.pseudo_batch is not None and labels is None:
        raise ValueError(f"member {member!r}: `pseudo_batch` has no effect without `labels` to learn from")
    if settings.table is not None:
        settings.table.refuse_incomplete()
    if isinstance(settings.view, ImageView):
        refuse_sizes(settings.predict, settings.phases, settings.view)
    if isinstance(settings.view, EmbeddingView):
        settings.view.image.refuse_uneven(settings.view.image.size)


def refuse_sizes(predict: Predict, phases: Sequence[Phase], view: ImageView) -> None:
    """Refuse sizes that tiles do not divide, and test-time views that swap the two sides of a photo.

    Raises:
        ValueError: says which phase, or which test-time view.
    """
    view.refuse_uneven(view.size)
    for phase in phases:
        try:
            view.refuse_uneven(phase.size or view.size)
        except ValueError as error:
            raise ValueError(f"phase {phase.name!r}: {error}") from error
    swapping = [one for one in predict.tta if one in SWAPPING]
    height, width = view.height_width
    if swapping and height != width:
        raise ValueError(f"predict.tta: {swapping[0]!r} is for square views, this one is {height} x {width}")


def _missing(settings: "TrainSettings") -> Iterator[str]:
    if settings.backbone is None and isinstance(settings.view, ImageView | AudioView):
        yield "no backbone, neither its own nor the stage's"
    if not settings.phases:
        yield "no phases, neither its own nor the stage's"


def _network(settings: "TrainSettings") -> Iterator[str]:
    if settings.init_from is not None and "weights" in settings.model_fields_set:
        yield "a member starts either from `weights` or from another stage (`init_from`)"


def _epochs(settings: "TrainSettings") -> Iterator[str]:
    """Phases of one name, and a rate that follows a loss which is not measured."""
    names = [phase.name for phase in settings.phases]
    if len(set(names)) < len(names):
        yield f"two phases have one name: {names}"
    blind = [phase.name for phase in settings.phases if phase.schedule == "plateau"]
    if blind and settings.keep.validate_after == "training":
        yield (
            f"phase {blind[0]!r}: `schedule: plateau` follows the validation loss, which is measured only when all is "
            "trained: set `keep.validate_after: epoch`"
        )


def _bounds(settings: "TrainSettings") -> Iterator[str]:
    """Bounds of rows a class that cannot be kept, or that a sampler would undo."""
    cap, floor = settings.class_cap, settings.class_floor
    if (cap is not None or floor is not None) and settings.balance != "none":
        yield (
            "`class_cap` and `class_floor` even classes out by their rows, and `balance` would do so once more; use "
            "one of the two"
        )
    if cap is not None and (floor or 0) > cap.rows:
        yield f"`class_floor` asks for {floor} rows of a class, `class_cap` for {cap.rows} at most"


def _frames(settings: "TrainSettings") -> Iterator[str]:
    """Inputs that a head over frames has no place for, and frames without it."""
    if settings.head.name != "sed":
        if settings.learns_frames:
            yield f"`loss.frame_share` is for `head.name: sed`, and this is `{settings.head.name}`"
        return
    if settings.table is not None:
        yield "`head.name: sed` attends to frames of a picture, and rows of a table have none"
    if isinstance(settings.view, ImageView) and settings.view.tiles != (1, 1):
        yield "`head.name: sed` attends to frames along the whole width; it does not go with view.tiles"


def _vectors(settings: "TrainSettings") -> Iterator[str]:
    """What would have no effect on a member whose view is vectors."""
    if not isinstance(settings.view, EmbeddingView):
        return
    inside = [f"phases.{phase.name}.{name}" for phase in settings.phases for name in _idle_in_phase(phase)]
    for name in (*_idle_on_vectors(settings), *inside):
        yield f"`{name}` is for photos and has no effect on vectors"
    if settings.view.noise > 0 and settings.phases and not any(phase.augment for phase in settings.phases):
        yield "`view.noise` is added in no phase, for all have `augment: false`"


def _idle_on_vectors(settings: "TrainSettings") -> list[str]:
    """Settings of a whole member that only photos, or a backbone that trains on them, make sense of."""
    start = settings.init_from
    found = {
        "backbone": settings.backbone is not None,
        "weights": settings.weights != Weights(),
        "backbone_options": bool(settings.backbone_options),
        "drop_path_rate": settings.drop_path_rate > 0,
        "init_from.part: backbone": start is not None and start.part == "backbone",
        "head.name: sed": settings.head.name == "sed",
        "augment": bool(settings.augment),
        "mix.one_of: cutmix": settings.mix is not None and "cutmix" in settings.mix.one_of,
        "predict.tta": settings.predict.tta != ("identity",),
    }
    return [name for name, is_set in found.items() if is_set]


def _idle_in_phase(phase: Phase) -> list[str]:
    """The same of one of its phases."""
    found = {
        "train": isinstance(phase.train, Freeze),
        "lr.backbone": isinstance(phase.lr, Rates),
        "layer_decay": phase.layer_decay is not None,
        "size": phase.size is not None,
    }
    return [name for name, is_set in found.items() if is_set]
