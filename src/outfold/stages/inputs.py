"""Which inputs a member's network is fed, over which rows."""

from collections.abc import Iterator

import numpy as np

from outfold.data.audio.backgrounds import Backgrounds
from outfold.data.dataset import Rows
from outfold.data.prepared import store_name, stored_size
from outfold.data.table_columns import keys_of
from outfold.data.table_encoding import TableEncoder
from outfold.data.vectors import Vectors, mean_and_deviation
from outfold.errors import DataError
from outfold.models.network import TABLE, VECTORS, WAVEFORM, InputStats
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.settings.data import Prepare
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.settings.view import EmbeddingView, ImageView
from outfold.views.audio.chain import background_patterns, parse_sound_chain
from outfold.views.audio.input import AudioInput, WaveformInput
from outfold.views.image import prepare_key, stored_frame, stored_side
from outfold.views.inputs import DrawnInput, ImageInput, Input, Size, VectorInput


def photo_settings(settings: TrainSettings) -> TrainSettings | None:
    """The settings by which a member's photos are prepared and seen.

    Its own, or those of the frozen backbone that makes its vectors; None where no photo is read.
    """
    view = settings.view
    if isinstance(view, ImageView):
        return settings
    if not isinstance(view, EmbeddingView) or view.backbone is None:
        return None
    return TrainSettings(
        backbone=view.backbone,
        weights=view.weights,
        backbone_options=view.backbone_options,
        view=view.image,
        batch_size=view.batch_size,
        precision=settings.precision,
    )


def photo_members(recipe: Recipe) -> Iterator[tuple[str, str, TrainSettings]]:
    """Every member behind which photos are seen: the stage's name, the member's name, its `photo_settings`."""
    for stage, member, settings in recipe.members():
        photos = photo_settings(settings)
        if photos is not None:
            yield stage, member, photos


def image_view(settings: TrainSettings) -> ImageView:
    """The view of a member that reads photos."""
    assert isinstance(settings.view, ImageView)  # others have `photo_settings` of their own
    return settings.view


def sizes_of(settings: TrainSettings) -> list[Size]:
    """The view's (height, width), then that of each phase."""
    own = settings.view.height_width
    sizes = [own, *(phase.size or own for phase in settings.phases)]
    return [(size, size) if isinstance(size, int) else size for size in sizes]


def photo_side(settings: TrainSettings) -> int:
    """Shorter side in pixels at which a member's photos are kept: enough for every size it trains at."""
    return stored_side(image_view(settings), sizes_of(settings))


def frame_side(settings: TrainSettings) -> int:
    """Shorter side in pixels of a photo of any shape that is large enough for every size a member trains at."""
    return max(stored_frame(image_view(settings), photo_side(settings)))


def pixels_name(settings: TrainSettings, prepare: Prepare | None) -> str:
    """Everything but the files that decides the pixels of a member that reads photos, before they are augmented."""
    if prepare is None:
        return photo_key(settings)
    return f"{photo_key(settings)} of {store_name(prepare, stored_size(prepare.sizes, frame_side(settings)))}"


def main_input_name(settings: TrainSettings, prepare: Prepare | None, stats: InputStats) -> str:
    """Everything but the files that decides what a frozen backbone reads of a member's media."""
    view = settings.view
    if isinstance(view, AudioView | WaveformView):
        return sound_key(view)  # the rest is in the view's own settings
    of_photos = image_view(settings)
    pixels = pixels_name(settings, prepare)
    return f"{pixels} mean {of_photos.mean or stats.mean} std {of_photos.std or stats.std}"


def photo_key(settings: TrainSettings) -> str:
    """Name of the preparation that a member's photos need; members with equal needs share their photos."""
    return prepare_key(image_view(settings), photo_side(settings))


def vectors_key(view: EmbeddingView, precision: str) -> str:
    """Name of the vectors that a member reads; members of equal names share them."""
    if view.backbone is None:
        return " ".join(("files", *view.vectors, *view.ids))
    return f"{view.model_dump_json(include={'backbone', 'weights', 'backbone_options', 'image'})} {precision}"


def vectors_of(settings: TrainSettings, rows: Rows) -> Vectors | None:
    """The vectors that a member reads of these rows; None for a member that reads photos."""
    view = settings.view
    return rows.vectors[vectors_key(view, settings.precision)] if isinstance(view, EmbeddingView) else None


def vector_width(settings: TrainSettings, rows: Rows) -> int:
    """The length of these vectors; 0 for a member that reads photos."""
    vectors = vectors_of(settings, rows)
    return 0 if vectors is None else vectors.width


def vector_stats(settings: TrainSettings, rows: Rows, train: np.ndarray) -> InputStats | None:
    """What a member's vectors are normalised with, by these training rows alone; None for one that reads photos."""
    vectors, view = vectors_of(settings, rows), settings.view
    if vectors is None or not isinstance(view, EmbeddingView):
        return None
    if not view.standardize:
        return InputStats((0.0,) * vectors.width, (1.0,) * vectors.width)
    mean, deviation = mean_and_deviation(vectors.values, train)
    return InputStats(tuple(mean.tolist()), tuple(deviation.tolist()))


def table_encoder(
    settings: TrainSettings, rows: Rows, train: np.ndarray, given: Rows | None = None
) -> TableEncoder | None:
    """How a member's table inputs are encoded, by these training rows alone; None for a member without.

    Args:
        settings: the member's.
        rows: all training rows, as the member reads them.
        train: int64 (m,), places of those to learn from.
        given: the same rows as their table has them, where training shows both readings.

    Raises:
        DataError: a column is empty in all of these rows.
    """
    if settings.table is None:
        return None
    if given is None:
        return TableEncoder.fit(settings.table, rows.columns, train)
    both = {key: np.concatenate([rows.columns[key], given.columns[key]]) for key in keys_of(settings.table)}
    return TableEncoder.fit(settings.table, both, np.concatenate([train, train + len(rows)]))


def width_of(encoder: TableEncoder | None) -> int:
    """How many inputs an encoded row has."""
    return 0 if encoder is None else len(encoder.names)


def inputs_of(
    settings: TrainSettings, stats: InputStats, encoder: TableEncoder | None, rows: Rows, given: Rows | None = None
) -> dict[str, Input]:
    """Everything that the member's network reads of these rows, by the names it uses.

    Args:
        settings: the member's.
        stats: what photos or vectors are normalised with.
        encoder: of its table inputs.
        rows: as the member reads them.
        given: the same rows as their table has them, where training draws between the two readings.
    """
    inputs = {name_of_main_input(settings): main_input(settings, stats, rows)}
    if encoder is not None:
        table = VectorInput(encoder.transform(rows.columns))
        drawn = None if given is None else DrawnInput(table, VectorInput(encoder.transform(given.columns)))
        inputs[TABLE] = drawn or table
    return inputs


def name_of_main_input(settings: TrainSettings) -> str:
    """What a member's network calls the input that its backbone reads."""
    names = {EmbeddingView: VECTORS, WaveformView: WAVEFORM}
    return names.get(type(settings.view), "image")


def main_input(settings: TrainSettings, stats: InputStats, rows: Rows) -> Input:
    """What a member's backbone reads of these rows."""
    view, vectors = settings.view, vectors_of(settings, rows)
    if isinstance(view, AudioView | WaveformView):
        return sound_input(settings, view, rows)
    return image_input(settings, stats, rows) if vectors is None else vector_input(settings, stats, vectors)


def sound_input(settings: TrainSettings, view: AudioView | WaveformView, rows: Rows) -> Input:
    """The recordings of these rows as a member's network wants them."""
    sounds, drawn = rows.sounds[sound_key(view)], backgrounds_of(settings, rows)
    chain = parse_sound_chain(settings.augment, pictures=view.kind == "audio", backgrounds=drawn or None)
    return AudioInput(sounds, view, chain) if isinstance(view, AudioView) else WaveformInput(sounds, view, chain)


def backgrounds_of(settings: TrainSettings, rows: Rows) -> dict[str, Backgrounds]:
    """By pattern, what a member's training mixes into recordings; only training rows have it, others see none."""
    view = settings.view
    if not isinstance(view, AudioView | WaveformView) or not rows.backgrounds:
        return {}
    patterns = background_patterns(settings.augment)
    return {pattern: rows.backgrounds[pattern, view.sample_rate] for pattern in patterns}


def sound_members(recipe: Recipe) -> Iterator[tuple[str, str, AudioView | WaveformView]]:
    """Every member that hears recordings: the stage's name, the member's name, its view."""
    for stage, member, settings in recipe.members():
        if isinstance(settings.view, AudioView | WaveformView):
            yield stage, member, settings.view


def sound_key(view: AudioView | WaveformView) -> str:
    """Name of the preparation that a member's recordings need; members of equal names share them."""
    return f"{view.sample_rate} Hz, {view.span_s:g} s from either end"


def media_keys(settings: TrainSettings, rows: Rows) -> tuple[str, ...]:
    """What tells a member's media of these rows, as they are cached, from all others; empty without media."""
    view = settings.view
    return rows.sounds[sound_key(view)].keys if isinstance(view, AudioView | WaveformView) else rows.media_keys


def image_input(settings: TrainSettings, stats: InputStats, rows: Rows) -> ImageInput:
    """The photos of these rows as the member's network wants them."""
    view = image_view(settings)
    return ImageInput(
        photos=rows.photos[photo_key(settings)],
        view=view,
        augment=settings.augment,
        mean=view.mean or stats.mean,
        std=view.std or stats.std,
    )


def vector_input(settings: TrainSettings, stats: InputStats, vectors: Vectors) -> VectorInput:
    """Vectors as a network wants them: (value - mean) / deviation, and in training the noise that the view asks for.

    Raises:
        DataError: they are of another length than those that the network learned from.
    """
    if vectors.width != len(stats.mean):
        problem = "the rows' vectors are of another length than those that the model learned from"
        raise DataError(problem, got=vectors.width, expected=len(stats.mean))
    noise = settings.view.noise if isinstance(settings.view, EmbeddingView) else 0.0
    values = (vectors.values - np.array(stats.mean)) / np.array(stats.std)
    return VectorInput(values.astype(np.float32), noise)
