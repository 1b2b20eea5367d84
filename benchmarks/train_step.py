"""Training speed on this machine: outfold with its whole data path against bare PyTorch loops.

    uv run python benchmarks/train_step.py [--rounds 3] [--sizes 160 224]

Three ways to train the same network (EfficientNet-Lite0, binary cross-entropy, AdamW, batches of 32):

    default   what a tutorial writes: contiguous tensors in memory, torch.optim.AdamW as it comes
    tuned     the best bare loop: tensors in memory, channels_last, fused AdamW, glibc told to keep freed memory
    outfold   photos from the cache, augmented (random resized crop, flips, colour jitter, rotation), through the loop

Each measurement is a process of its own, for the allocator's settings cannot be taken back; they are interleaved, and
the medians over the rounds are printed with their ratios.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCH, BATCHES, MODEL = 32, 12, "tf_efficientnet_lite0"
WAYS = ("default", "tuned", "outfold")


def bare_loop(size: int, *, tuned: bool) -> float:
    """Images per second of a loop on tensors in memory."""
    if tuned:
        from outfold.training.device import keep_freed_memory

        keep_freed_memory()
    import timm
    import torch

    layout = torch.channels_last if tuned else torch.contiguous_format
    model = timm.create_model(MODEL, num_classes=1).to(memory_format=layout).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True if tuned else None)
    images = torch.randn(BATCH, 3, size, size).to(memory_format=layout)
    target = torch.rand(BATCH, 1).round()

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(images), target).backward()
        optimizer.step()

    for _ in range(3):
        step()
    started = time.perf_counter()
    for _ in range(BATCHES):
        step()
    return BATCH * BATCHES / (time.perf_counter() - started)


def outfold_loop(size: int) -> float:
    """Images per second of outfold's loop, photos read from its cache and augmented."""
    import cv2
    import numpy as np
    import torch

    from outfold.data.cache import build_cache
    from outfold.models.freeze import set_train_mode, set_trainable
    from outfold.models.network import build_network
    from outfold.settings.learning import Phase
    from outfold.settings.train import TrainSettings
    from outfold.training.device import make_fabric, prepare_process, set_up_optimizer, tiny_numbers_as_zero
    from outfold.training.guards import LossGuard
    from outfold.training.learner import Learner
    from outfold.training.loop import train_epoch
    from outfold.training.losses import build_loss
    from outfold.training.optim import build_optimizer, parameter_groups
    from outfold.training.schedules import Schedule
    from outfold.views.batches import Loader, training_batches
    from outfold.views.image import prepare, prepare_key, stored_side
    from outfold.views.inputs import ImageInput
    from outfold.work import default_workers

    prepare_process()
    phase = Phase(name="all", epochs=1, lr=1e-4, schedule="constant")
    settings = TrainSettings.model_validate(
        {
            "backbone": MODEL,
            "weights": "none",
            "view": {"size": size},
            "augment": [{"random_resized_crop": {"scale": [0.6, 1.0]}}, "hflip", {"color_jitter": 0.2}, {"rotate": 15}],
            "phases": [phase],
        }
    )
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.jpg" for number in range(2 * BATCH)]
        for path in paths:
            cv2.imwrite(str(path), generator.integers(0, 255, (size + 40, size + 60, 3), dtype=np.uint8))
        side = stored_side(settings.view, [])
        photos = build_cache(
            paths,
            prepare_key(settings.view, side),
            lambda path: prepare(path, settings.view, side),
            Path(folder) / "cache",
            workers=2,
        )
        fabric = make_fabric(torch.device("cpu"))
        network, stats = build_network(settings, 1, pretrained=False)
        network.to(memory_format=torch.channels_last)
        set_trainable(network, "all")
        set_train_mode(network)
        groups = parameter_groups(network, phase, 0.01)
        for group in groups:
            group["initial_lr"] = group["lr"]
        inputs = {"image": ImageInput(photos, settings.view, settings.augment, stats.mean, stats.std)}
        learner = Learner(
            model=fabric.setup_module(network),
            module=network,
            inputs=inputs,
            target=torch.rand(len(paths), 1).round(),
            weight=None,
            objective=build_loss(None, "binary", None),
            optimizer=set_up_optimizer(fabric, build_optimizer(settings.optimizer, groups)),
            schedule=Schedule(phase, steps_per_epoch=1000),
            fabric=fabric,
        )
        readers = {"image": inputs["image"].reader(augment=True)}
        rows = np.arange(len(paths)).repeat(10)
        ids = np.array([path.name for path in paths], dtype=object)

        def epoch(batches: int, seed: int) -> float:
            order = training_batches(rows, BATCH, (seed,))[:batches]
            loader = Loader(readers, order, seed=(seed,), workers=default_workers())
            return train_epoch(learner, loader, LossGuard(ids, "")).samples_per_second

        with tiny_numbers_as_zero():
            epoch(3, 0)
            return epoch(BATCHES, 1)


def measure(way: str, size: int) -> float:
    """Images per second, measured in a process of its own."""
    command = [sys.executable, __file__, "--worker", way, "--sizes", str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print medians and ratios, or one figure as a worker."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[160, 224])
    parser.add_argument("--worker", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        size = arguments.sizes[0]
        tuned = arguments.worker == "tuned"
        speed = outfold_loop(size) if arguments.worker == "outfold" else bare_loop(size, tuned=tuned)
        print(json.dumps(speed))
        return
    print(f"{MODEL}, batches of {BATCH}, images/s: median of {arguments.rounds} interleaved rounds (min to max)")
    print(f"{'px':>4}  {'default':>18}  {'tuned':>18}  {'outfold':>18}  {'outfold/tuned':>13}  {'outfold/default':>15}")
    for size in arguments.sizes:
        rounds = [{way: measure(way, size) for way in WAYS} for _ in range(arguments.rounds)]
        speeds = {way: [figures[way] for figures in rounds] for way in WAYS}
        median = {way: statistics.median(values) for way, values in speeds.items()}
        cells = [f"{median[way]:.1f} ({min(speeds[way]):.0f} to {max(speeds[way]):.0f})" for way in WAYS]
        ratios = (median["outfold"] / median["tuned"], median["outfold"] / median["default"])
        print(f"{size:>4}  {cells[0]:>18}  {cells[1]:>18}  {cells[2]:>18}  {ratios[0]:>13.2f}  {ratios[1]:>15.2f}")


if __name__ == "__main__":
    main()
