"""Which inputs a member's network is fed, over which rows."""

import numpy as np

from outfold.data.dataset import Rows
from outfold.data.prepared import store_name, stored_size
from outfold.data.table_encoding import TableEncoder
from outfold.models.network import TABLE, InputStats
from outfold.settings.data import Prepare
from outfold.settings.train import TrainSettings
from outfold.views.image import prepare_key, stored_frame, stored_side
from outfold.views.inputs import ImageInput, Input, Size, VectorInput


def sizes_of(settings: TrainSettings) -> list[Size]:
    """The view's (height, width), then that of each phase."""
    sizes = [settings.view.size, *(phase.size or settings.view.size for phase in settings.phases)]
    return [(size, size) if isinstance(size, int) else size for size in sizes]


def photo_side(settings: TrainSettings) -> int:
    """Shorter side in pixels at which a member's photos are kept: enough for every size it trains at."""
    return stored_side(settings.view, sizes_of(settings))


def frame_side(settings: TrainSettings) -> int:
    """Shorter side in pixels of a photo of any shape that is large enough for every size a member trains at."""
    return max(stored_frame(settings.view, photo_side(settings)))


def pixels_name(settings: TrainSettings, prepare: Prepare | None) -> str:
    """Everything but the files that decides a member's pixels before they are augmented."""
    if prepare is None:
        return photo_key(settings)
    return f"{photo_key(settings)} of {store_name(prepare, stored_size(prepare.sizes, frame_side(settings)))}"


def photo_key(settings: TrainSettings) -> str:
    """Name of the preparation that a member's photos need; members with equal needs share their photos."""
    return prepare_key(settings.view, photo_side(settings))


def table_encoder(settings: TrainSettings, rows: Rows, train: np.ndarray) -> TableEncoder | None:
    """How a member's table inputs are encoded, by these training rows alone; None for a member without.

    Raises:
        DataError: a column is empty in all of these rows.
    """
    return None if settings.table is None else TableEncoder.fit(settings.table, rows.columns, train)


def width_of(encoder: TableEncoder | None) -> int:
    """How many inputs an encoded row has."""
    return 0 if encoder is None else len(encoder.names)


def inputs_of(settings: TrainSettings, stats: InputStats, encoder: TableEncoder | None, rows: Rows) -> dict[str, Input]:
    """Everything that the member's network reads of these rows, by the names it uses."""
    inputs: dict[str, Input] = {"image": image_input(settings, stats, rows)}
    if encoder is not None:
        inputs[TABLE] = VectorInput(encoder.transform(rows.columns))
    return inputs


def image_input(settings: TrainSettings, stats: InputStats, rows: Rows) -> ImageInput:
    """The photos of these rows as the member's network wants them."""
    view = settings.view
    return ImageInput(
        photos=rows.photos[photo_key(settings)],
        view=view,
        augment=settings.augment,
        mean=view.mean or stats.mean,
        std=view.std or stats.std,
    )
