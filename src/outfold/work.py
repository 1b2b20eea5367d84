"""Work: how much of it a job is, for progress and estimates, and how many threads share it."""

import os

WAIT_WORTH_SAYING = 0.1
"""Share of training time spent waiting for data above which the advice to mend it is given."""

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


def default_workers() -> int:
    """Threads that read samples: one a core that this process may use, at most 8."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)
