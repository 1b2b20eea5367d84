"""What a member learns and answers: the task's classes, or fewer where the member merges some."""

import numpy as np

from outfold.data.dataset import Dataset
from outfold.data.targets import TargetCodec
from outfold.settings.train import TrainSettings


def member_codec(settings: TrainSettings, codec: TargetCodec) -> TargetCodec:
    """The codec of a member's own outputs."""
    return codec.merged(settings.merge_classes)[0] if settings.merge_classes else codec


def member_target(settings: TrainSettings, dataset: Dataset) -> np.ndarray:
    """float32 (n, k), the training rows' targets in the member's own outputs."""
    if not settings.merge_classes:
        return dataset.target
    return dataset.target @ dataset.codec.merged(settings.merge_classes)[1]
