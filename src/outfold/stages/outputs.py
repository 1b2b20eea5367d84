"""What a member learns and answers: the task's classes, or fewer where the member merges some."""

import numpy as np

from outfold.data.dataset import Dataset
from outfold.data.targets import TargetCodec
from outfold.settings.task import TaskKind
from outfold.settings.train import TrainSettings


def member_codec(settings: TrainSettings, codec: TargetCodec) -> TargetCodec:
    """The codec of a member's own outputs."""
    return codec.merged(settings.merge_classes)[0] if settings.merge_classes else codec


def member_target(settings: TrainSettings, dataset: Dataset) -> np.ndarray:
    """float32 (n, k), what is learned of the training rows, in the member's own outputs."""
    return in_member_outputs(settings, dataset.codec, dataset.learned_target)


def learned_content(settings: TrainSettings, dataset: Dataset) -> list[object]:
    """What a member learns of the training rows, for a job's key: targets, weights, and the truth where it differs.

    The truth then still says how rare a class is.
    """
    truth = [] if dataset.soft_target is None else [dataset.target]
    return [
        member_target(settings, dataset),
        "" if dataset.loss_weight is None else dataset.loss_weight,
        *truth,
    ]


def in_member_outputs(settings: TrainSettings, codec: TargetCodec, target: np.ndarray) -> np.ndarray:
    """Targets in the task's outputs, float32 (n, c), in the member's own, (n, k); those of merged classes add up."""
    return target @ codec.merged(settings.merge_classes)[1] if settings.merge_classes else target


def classes_of(settings: TrainSettings, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """float32 (m, k), the labels of some training rows, int64 (m,), with a column for each of the member's classes.

    Secondary labels are none of them: a class is as rare as its primary labels are.
    """
    return by_class(in_member_outputs(settings, dataset.codec, dataset.target)[rows], dataset.codec.kind)


def by_class(target: np.ndarray, kind: TaskKind) -> np.ndarray:
    """Targets with a column for each class: two for a binary task."""
    return np.concatenate([1 - target, target], axis=1) if kind == "binary" else target
