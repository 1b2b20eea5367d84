"""Where and how exactly models compute: device, precision, threads, and memory that is kept rather than given back."""

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import cv2
import torch
from lightning_fabric import Fabric

from outfold.errors import TrainingError

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
"""A recipe's precision -> fabric's name for it; the weights themselves stay in fp32."""

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep freed memory instead of returning it to the system.

    A training step on CPU allocates and frees the same large activations again and again; by default glibc maps and
    unmaps each of them, and the page faults take a third to a half of the time. Kept memory grows with batches of
    changing size, which is why training batches are all of one size. OUTFOLD_KEEP_MEMORY=0 switches this off.

    Returns:
        Whether the allocator was told.
    """
    if os.environ.get("OUTFOLD_KEEP_MEMORY", "1") == "0" or not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        return bool(libc.mallopt(M_MMAP_MAX, 0)) and bool(libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
    except (OSError, AttributeError):  # another C library, such as musl
        return False


def prepare_process() -> None:
    """Settings of the whole process: freed memory is kept, and OpenCV leaves the threads to us."""
    keep_freed_memory()
    cv2.setNumThreads(1)


@contextmanager
def tiny_numbers_as_zero() -> Iterator[None]:
    """Within this context, subnormal floats count as zero: a CPU is slow at them, and gradients hold many.

    The process is left as it was, for other code in it may count on them.
    """
    changed = torch.set_flush_denormal(True)
    try:
        yield
    finally:
        if changed:
            torch.set_flush_denormal(False)


def choose_device(name: str = "auto") -> torch.device:
    """The device of this name; `auto` takes CUDA, then Apple's, then the CPU.

    Raises:
        TrainingError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = name.partition(":")[0]
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(kind, False):
        raise TrainingError(
            f"there is no device {name!r} here", expected=f"auto or one of {[k for k, ok in there.items() if ok]}"
        )
    return torch.device(name)


def choose_gpus(numbers: Sequence[int]) -> list[torch.device]:
    """The CUDA devices of these numbers.

    Raises:
        TrainingError: one of them is not here, or is named twice.
    """
    there = torch.cuda.device_count()
    missing = [number for number in numbers if number not in range(there)]
    if missing:
        expected = f"numbers from 0 to {there - 1}" if there else "a machine with GPUs; there is none here"
        raise TrainingError(f"there is no GPU {missing[0]} here", got=list(numbers), expected=expected)
    if len(set(numbers)) < len(numbers):
        raise TrainingError("a GPU is named twice", got=list(numbers), expected="one process for each GPU")
    return [torch.device("cuda", number) for number in numbers]


def make_fabric(device: torch.device, precision: str = "fp32") -> Fabric:
    """Lightning Fabric on one device with the recipe's precision.

    Raises:
        TrainingError: the precision does not work on this device.
    """
    if precision == "fp16" and device.type == "cpu":
        raise TrainingError("precision fp16 needs a GPU", fix="set precision: bf16 or fp32")
    torch.backends.cudnn.deterministic = True  # same recipe, same seed, same machine, same numbers
    torch.backends.cudnn.benchmark = False
    devices = 1 if device.index is None or device.type == "cpu" else [device.index]
    return Fabric(accelerator=device.type, devices=devices, precision=PRECISIONS[precision])  # type: ignore[arg-type]


def set_up_optimizer(fabric: Fabric, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """The optimiser as fabric steps it, with the precision's loss scaling; the wrapper has all that it wraps."""
    return cast(torch.optim.Optimizer, fabric.setup_optimizers(optimizer))
