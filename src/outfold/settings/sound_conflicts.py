"""What of a member goes with a view of sound, and what only such a view can use."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from outfold.settings.audio_view import AudioView, WaveformView

if TYPE_CHECKING:
    from outfold.settings.train import TrainSettings


def sound_conflicts(settings: "TrainSettings") -> Iterator[str]:
    """Settings of sound beside another view, and settings of photos beside a view of sound.

    Args:
        settings: a member's effective ones.
    """
    hears = isinstance(settings.view, AudioView | WaveformView)
    return _of_sound(settings) if hears else _without_sound(settings)


def _without_sound(settings: "TrainSettings") -> Iterator[str]:
    """What is wrong where nothing is heard."""
    if settings.add_clips is not None:
        yield "`add_clips` adds up sounds; it needs `view.kind: audio` or `waveform`"
    if settings.mix is not None and settings.mix.waveforms:
        yield "`mix.waveforms` blends sounds; it needs `view.kind: audio` or `waveform`"


def _of_sound(settings: "TrainSettings") -> Iterator[str]:
    """What is wrong where recordings are heard."""
    view, cutmix = settings.view, settings.mix is not None and "cutmix" in settings.mix.one_of
    if settings.predict.tta != ("identity",):
        yield "`predict.tta` turns photos; sound has no such views"
    sized = [phase.name for phase in settings.phases if phase.size is not None]
    if sized:
        yield f"phase {sized[0]!r}: `size` is for photos; a picture of sound has the size that its view gives"
    if settings.add_clips is not None and settings.table is not None:
        yield "`add_clips` has no place for rows of a table (`table`)"
    if settings.add_clips is not None and isinstance(view, AudioView | WaveformView) and not view.normalise:
        yield "`add_clips` adds clips of equal loudness; it needs `view.normalise: true`"
    if isinstance(view, AudioView):
        cut_up = view.patches is not None
        if settings.head.name == "sed" and (cut_up or view.transpose):
            yield "`head.name: sed` attends to time along the width of the whole picture: no `patches`, no `transpose`"
        if cutmix and cut_up:
            yield "cutmix pastes boxes of whole pictures, and this view is in patches"
        return
    idle = {
        "backbone": settings.backbone is not None,
        "backbone_options": bool(settings.backbone_options),
        "drop_path_rate": settings.drop_path_rate > 0,
        "head.name: sed": settings.head.name == "sed",
        "mix.one_of: cutmix": cutmix,
        "batch_norms: keep": any(phase.batch_norms == "keep" for phase in settings.phases),
    }
    for name, is_set in idle.items():
        if is_set:
            yield f"`{name}` is for backbones of pictures; this member has an encoder of waveforms (`view.encoder`)"
