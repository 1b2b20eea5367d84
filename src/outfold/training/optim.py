"""Optimisers and their parameter groups; the learning rates over time come from `schedules`."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from outfold.errors import RecipeError
from outfold.models.backbone import configuration
from outfold.models.network import Network
from outfold.settings.learning import Optimizer, Phase, Rates
from outfold.training.schedules import lr_factor, plateau, warm_restarts

__all__ = [
    "build_optimizer",
    "can_fuse",
    "layers_below_head",
    "lr_factor",
    "parameter_groups",
    "plateau",
    "warm_restarts",
]


def parameter_groups(network: Network, phase: Phase, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters that train in a phase, grouped by rate and by whether they decay.

    Biases, norms (any tensor of at most one dimension) and what the backbone itself lists, such as position embeddings,
    do not decay. With `layer_decay` d a layer n steps below the head learns at d^n times the head's rate; where the
    backbone has a rate of its own, that is its last layer's.

    Args:
        network: with `set_trainable` applied; frozen parameters are left out.
        phase: rates and layer decay.
        weight_decay: of all parameters that decay.

    Returns:
        Groups with `params`, `lr` (the peak rate), `weight_decay` and `name`, from the input to the head.

    Raises:
        RecipeError: layer decay on a backbone that timm knows no layers of.
    """
    exempt = [f"backbone.{pattern}" for pattern in getattr(network.backbone, "no_weight_decay", tuple)()]
    depth = _depth(network.backbone, phase)
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        part, rate = _part_and_rate(name, phase, depth)
        decays = parameter.ndim > 1 and not name.endswith(".bias") and not any(fnmatchcase(name, p) for p in exempt)
        key = f"{part}.{'decay' if decays else 'no_decay'}"
        new = {"params": [], "lr": rate, "weight_decay": weight_decay if decays else 0.0, "name": key}
        groups.setdefault(key, new)["params"].append(parameter)
    return [groups[key] for key in sorted(groups)]


def build_optimizer(
    settings: Optimizer, groups: list[dict[str, Any]], *, fused: bool | None = None
) -> torch.optim.Optimizer:
    """The optimiser a recipe names.

    Args:
        settings: its name and moments; weight decay stands in the groups.
        groups: as `parameter_groups` gives them.
        fused: one kernel for all tensors; None uses it where every tensor's device and type allow. fp16 with clipped
            gradients needs False, for the scaler must undo its scale before the norm is measured.
    """
    fused = can_fuse(groups) if fused is None else fused
    if settings.name == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum, fused=fused)
    kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return kind(groups, betas=settings.betas, fused=fused)


def can_fuse(groups: list[dict[str, Any]]) -> bool:
    """Whether torch has fused optimisers for all of these tensors."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda", "mps") for p in parameters)


def _part_and_rate(name: str, phase: Phase, depth: Mapping[str, int]) -> tuple[str, float]:
    """The part of the network a parameter belongs to, for its group's name, and its peak rate."""
    backbone_rate, head_rate = _rates(phase)
    if not name.startswith("backbone."):
        return "head", head_rate
    if phase.layer_decay is None:
        return "backbone", backbone_rate
    steps = depth[name.removeprefix("backbone.")]
    return f"backbone.layer{max(depth.values()) - steps:03d}", backbone_rate * phase.layer_decay**steps


def _rates(phase: Phase) -> tuple[float, float]:
    return (phase.lr.backbone, phase.lr.head) if isinstance(phase.lr, Rates) else (phase.lr, phase.lr)


def _depth(backbone: nn.Module, phase: Phase) -> dict[str, int]:
    """How many times each of the backbone's parameters is decayed: its layers below the head or the last layer."""
    if phase.layer_decay is None:
        return {}
    below_head = layers_below_head(backbone)
    nearest = min(below_head.values(), default=0) if isinstance(phase.lr, Rates) else 0
    return {name: layers - nearest for name, layers in below_head.items()}


def layers_below_head(backbone: nn.Module) -> dict[str, int]:
    """How many layers below the head each parameter of a timm model lies; 0 for those timm counts to the head.

    Raises:
        RecipeError: the backbone is none of timm's.
    """
    from timm.models._manipulate import group_with_matcher

    matcher = getattr(backbone, "group_matcher", None)
    if matcher is None:
        raise RecipeError(
            f"layer_decay: the layers of {type(backbone).__name__} are not known",
            fix="give `lr: {backbone: .., head: ..}` instead",
        )
    # timm's matchers sort a full model: what they do not know shares a layer with the classifier, so that one is named
    classifier = configuration(backbone).get("classifier") or "classifier"
    head = f"{classifier if isinstance(classifier, str) else classifier[0]}.weight"
    names = [name for name, _ in backbone.named_parameters()]
    order = group_with_matcher(((name, None) for name in [*names, head]), matcher(), reverse=True)
    return {name: order[head] - order[name] for name in names}
