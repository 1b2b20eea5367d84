"""Photos cut into a grid of tiles that go through one backbone, and their features put together again."""

import torch
from torch import Tensor

Grid = tuple[int, int]
"""Rows and columns."""


def cut(photos: Tensor, grid: Grid) -> Tensor:
    """Photos (b, c, h, w) as tiles (b * t, c, h / rows, w / columns), in the batch's memory format.

    The t tiles of a photo follow each other row by row, each from left to right.

    Args:
        photos: h and w are multiples of the grid's rows and columns.
        grid: rows and columns.
    """
    rows, columns = grid
    pixels = photos.permute(0, 2, 3, 1)  # (b, h, w, c): as it lies in memory where channels are last
    tiles = pixels.unflatten(2, (columns, -1)).unflatten(1, (rows, -1)).transpose(2, 3).flatten(0, 2)
    channels_last = photos.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return tiles.permute(0, 3, 1, 2).contiguous(memory_format=layout)


def side_by_side(features: Tensor, grid: Grid) -> Tensor:
    """Features of tiles (b * t, f), as `cut` orders them, as features of photos (b, t * f)."""
    return features.unflatten(0, (-1, grid[0] * grid[1])).flatten(1)
