"""Which processes predict later rows, and where each of them computes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from outfold.errors import OutfoldError
from outfold.inference.child import Slot
from outfold.inference.processes import WorkerPool
from outfold.stages.base import Compute, Emit
from outfold.stages.sharing import perform
from outfold.training.device import choose_device, choose_gpus
from outfold.work import default_workers


def slots_of(device: str, processes: int, devices: Sequence[int]) -> list[Slot]:
    """One slot for each process; the threads of this one are shared out evenly.

    Args:
        device: auto, cpu, cuda, cuda:1, mps.
        processes: how many share a CPU.
        devices: numbers of GPUs, one process each; `device` and `processes` mean nothing then.

    Raises:
        TrainingError: there is no such device here.
        OutfoldError: what is asked for contradicts itself.
    """
    if processes < 1:
        raise OutfoldError("there is no work without a process", got=f"{processes} processes", expected="1 or more")
    if devices and (processes > 1 or device != "auto"):
        given = f"{processes} processes" if processes > 1 else f"device {device}"
        raise OutfoldError("several GPUs are given one process each", got=f"devices {list(devices)} and {given}")
    places = choose_gpus(devices) if devices else [choose_device(device)] * processes
    if processes > 1 and places[0].type != "cpu":
        raise OutfoldError(
            f"several processes share a CPU, and this would compute on {places[0]}",
            fix="name GPUs, one process each (--devices 0,1), or choose the CPU (--device cpu)",
        )
    threads, readers = (max(number // len(places), 1) for number in (torch.get_num_threads(), default_workers()))
    return [Slot(str(place), threads, readers) for place in places]


@contextmanager
def predicting(slots: Sequence[Slot], emit: Emit) -> Iterator[Compute]:
    """Where and how later rows are predicted: in this process for a single slot, else in one process a slot."""
    device = torch.device(slots[0].device)
    if len(slots) == 1:
        yield Compute(device, default_workers(), emit)
        return
    with WorkerPool(perform, slots, emit) as pool:
        yield Compute(device, default_workers(), emit, pool)
