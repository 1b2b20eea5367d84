"""Resizing of pictures, the same for arrays and tensors."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def resize_picture(pictures: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Float32 (b, h, w) -> (b, *size); see `resize_tensor`."""
    return resize_tensor(torch.from_numpy(pictures), size).numpy()


def resize_tensor(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Float (b, h, w) -> (b, *size): bilinear, and averaged under a triangle where it shrinks, so that no cell is lost.

    Pixel centres are aligned, as OpenCV and PIL do.
    """
    if tuple(pictures.shape[-2:]) == size:
        return pictures
    return F.interpolate(pictures[:, None], size, mode="bilinear", antialias=True, align_corners=False)[:, 0]
