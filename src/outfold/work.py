"""How much work a job is, in a unit that can be summed over jobs of all kinds, for progress and estimates."""

BACKWARD = 2.0
"""A backward pass costs about two forward passes."""


def megapixels(samples: float, height_width: tuple[int, int], *, training: bool = False) -> float:
    """Millions of pixels that go through a model once.

    Args:
        samples: how many photos.
        height_width: their size in pixels.
        training: forward and backward; otherwise forward alone.
    """
    height, width = height_width
    return samples * height * width * 1e-6 * ((1 + BACKWARD) if training else 1.0)
