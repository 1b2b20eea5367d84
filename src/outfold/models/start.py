"""Weights that another network learned as the beginning of a new one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor

from outfold.errors import WeightsError
from outfold.models.network import Network
from outfold.models.weights import read_tensors

Part = Literal["backbone", "all"]
NAMED = 3
"""How many tensors an error names of each kind."""


def load_start(network: Network, path: Path, part: Part) -> None:
    """Load what another network of a run learned.

    Args:
        network: is changed in place.
        path: weights.safetensors of the other network.
        part: its backbone alone, or everything.

    Raises:
        WeightsError: the file cannot be read, or a tensor is missing, unknown or of another shape; names the first few.
    """
    network.load_state_dict(require_start(read_tensors(path), network, part, str(path)), strict=False)


def require_start(state: Mapping[str, Tensor], network: Network, part: Part, origin: str) -> dict[str, Tensor]:
    """The tensors of another network that start this one.

    Args:
        state: of the other network.
        network: which they are for.
        part: its backbone alone, or everything.
        origin: what the other network is called in errors.

    Raises:
        WeightsError: a tensor is missing, unknown or of another shape; names the first few.
    """
    prefix = "backbone." if part == "backbone" else ""
    given = {name: tensor for name, tensor in state.items() if name.startswith(prefix)}
    own = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(prefix)}
    differences = {
        "missing": [name for name in own if name not in given],
        "unknown": [name for name in given if name not in own],
        "of another shape": [name for name in own if name in given and own[name].shape != given[name].shape],
    }
    found = [f"{len(names)} {what}: {_first(names)}" for what, names in differences.items() if names]
    if found:
        raise WeightsError(
            f"the weights of {origin} cannot start this network",
            got="; ".join(found),
            expected="every tensor of the backbone" if part == "backbone" else "every tensor, by name and shape",
            fix="give both the same backbone and view" if part == "backbone" else "take its backbone alone (`part`)",
        )
    return given


def _first(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", .." if len(names) > NAMED else "")
