"""Which part of a network trains, and how the rest behaves meanwhile."""

from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from outfold.errors import RecipeError
from outfold.models.network import Network
from outfold.names import nearest
from outfold.settings.learning import Freeze


def set_trainable(network: Network, train: Literal["all", "head"] | Freeze) -> None:
    """Let a part of the network learn and keep the rest as it is.

    Args:
        network: its parts outside the backbone always train.
        train: everything, the head alone, or all but the frozen part of the backbone.

    Raises:
        RecipeError: a named block is not a module of the backbone, or has no parameters.
    """
    frozen = network.fixed | {f"backbone.{name}" for name in frozen_names(network.backbone, train)}
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)
        if name in frozen:
            parameter.grad = None  # of an earlier phase; an optimiser or a clipped norm must not see it


def frozen_names(backbone: nn.Module, train: Literal["all", "head"] | Freeze) -> set[str]:
    """Names of the backbone's parameters that do not train.

    `first` counts parameter tensors (not numbers) in module order and rounds down.
    """
    names = [name for name, _ in backbone.named_parameters()]
    if train == "all":
        return set()
    if train == "head":
        return set(names)
    count = int((train.first or 0.0) * len(names) + 1e-9)  # 0.29 * 100 is 28.999..
    return set(names[:count]).union(*(_block_names(backbone, block) for block in train.blocks))


def set_train_mode(network: Network, batch_norms: Literal["learn", "keep"] = "learn") -> None:
    """Training mode, but for the parts that are wholly frozen: these compute what they compute in prediction.

    A frozen block's batch norms use and keep their running statistics, and its dropout and stochastic depth rest, so
    that training on a frozen backbone equals training on its features computed once.

    Args:
        network: with `set_trainable` applied.
        batch_norms: keep: all batch norms of the backbone use and keep their running statistics.
    """
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
    if batch_norms == "keep":
        for norm in backbone_batch_norms(network):
            norm.eval()


def backbone_batch_norms(network: Network) -> list[BatchNorm]:
    """Batch norms of the backbone, in module order; those of a head or of table inputs begin new and must learn."""
    return [module for module in network.backbone.modules() if isinstance(module, BatchNorm)]


def _block_names(backbone: nn.Module, block: str) -> list[str]:
    """Parameter names inside a named module of the backbone."""
    modules = dict(backbone.named_modules())
    if not block or block not in modules:
        near = nearest(block, [name for name in modules if name])
        top = ", ".join(name for name, _ in backbone.named_children())
        raise RecipeError(
            f"train.blocks: the backbone has no module {block!r}",
            expected=f"did you mean `{near}`?" if near else f"one of {top}, or a module inside them",
        )
    names = [f"{block}.{name}" for name, _ in modules[block].named_parameters()]
    if not names:
        raise RecipeError(f"train.blocks: the module {block!r} of the backbone has no parameters to freeze")
    return names
