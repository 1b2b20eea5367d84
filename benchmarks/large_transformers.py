"""One training step of large vision transformers on this machine: time and peak memory.

    uv run python benchmarks/large_transformers.py [--size 64 128] [--batch 2] [--freeze 0.8] [--names ...]

Each network is built from random weights as a recipe builds it: two halves of a photo through one shared backbone, five
heads of their own behind a softplus, sums added up by the network, the loss 1 - R2, AdamW, the first share of the
backbone's parameter tensors frozen. Each is measured in a process of its own, for its peak memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

NAMES = ("vit_large_patch16_dinov3", "vit_huge_plus_patch16_dinov3")


def step(name: str, size: tuple[int, int], batch: int, freeze: float) -> dict[str, float]:
    """Build a network and take one training step."""
    import numpy as np
    import torch

    from outfold.data.target_space import TargetSpace
    from outfold.models.freeze import set_train_mode, set_trainable
    from outfold.models.network import build_network
    from outfold.models.target_layer import units_of
    from outfold.settings.learning import Loss, Phase
    from outfold.settings.train import TrainSettings
    from outfold.training.losses import build_loss
    from outfold.training.optim import build_optimizer, parameter_groups

    columns, sums = ("green", "dead", "clover", "gdm", "total"), {"gdm": ("green", "clover"), "total": ("gdm", "dead")}
    settings = TrainSettings.model_validate(
        {
            "backbone": name,
            "weights": "none",
            "view": {"size": size, "resize": "squash", "tiles": [1, 2]},
            "head": {"name": "mlp", "widths": [512, 128], "dropout": [0.3, 0.0], "per_output": True},
            "outputs": {"positive": "softplus", "identities": "construct"},
            "phases": [{"name": "all", "epochs": 1, "train": {"first": freeze}, "lr": 1e-4}],
        }
    )
    grams = np.random.default_rng(0).gamma(2.0, 10.0, (max(batch, 8), 5)).astype(np.float32)
    space = TargetSpace.fit(grams, columns, settings.outputs, sums)
    started = time.perf_counter()
    network, _ = build_network(settings, 5, space=space)
    built = time.perf_counter() - started
    phase: Phase = settings.phases[0]
    set_trainable(network, phase.train)
    set_train_mode(network)
    groups = parameter_groups(network, phase, settings.optimizer.weight_decay)
    optimizer = build_optimizer(settings.optimizer, groups)
    weights = torch.tensor([0.1, 0.1, 0.1, 0.2, 0.5])
    loss_of = build_loss(Loss(name="weighted_r2"), "regression", target_weight=weights, units=units_of(space))
    inputs, target = {"image": torch.randn(batch, 3, *size)}, torch.from_numpy(space.encode(grams[:batch]))
    started = time.perf_counter()
    loss = loss_of(network(inputs), target, None)
    loss.backward()
    optimizer.step()
    seconds = time.perf_counter() - started
    parameters = [(p.numel(), p.requires_grad) for p in network.parameters()]
    again = loss_of(network(inputs), target, None)
    return {
        "parameters": sum(count for count, _ in parameters) / 1e6,
        "trained": sum(count for count, learns in parameters if learns) / 1e6,
        "build_s": built,
        "step_s": seconds,
        "loss": float(loss),
        "loss_after": float(again),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    """Measure each network in a process of its own and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(64, 128), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--freeze", type=float, default=0.8)
    parser.add_argument("--names", nargs="+", default=NAMES)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(step(given.one, tuple(given.size), given.batch, given.freeze)))
        return
    print(f"batch {given.batch}, {given.size[0]} x {given.size[1]} in two halves, first {given.freeze:.0%} frozen")
    for name in given.names:
        command = [sys.executable, __file__, "--one", name, "--batch", str(given.batch), "--freeze", str(given.freeze)]
        done = subprocess.run([*command, "--size", *map(str, given.size)], capture_output=True, text=True, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{name}: {told['parameters']:.0f} M parameters, {told['trained']:.0f} M trained; built in "
            f"{told['build_s']:.1f} s, one step {told['step_s']:.1f} s, peak {told['peak_gib']:.1f} GiB; "
            f"loss {told['loss']:.4f}, after the step {told['loss_after']:.4f}"
        )


if __name__ == "__main__":
    main()
