"""Which tensor of a weights file belongs to which tensor of a model; every difference is reported."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from outfold.errors import WeightsError
from outfold.models.conventions import CONVENTIONS, Table

OPTIONAL = ("num_batches_tracked",)
"""Buffers that old files lack and that no result depends on."""

POSITIONS = "pos_embed"
"""timm's name of a learned position embedding, (1, tokens, c)."""


@dataclass(frozen=True)
class MatchReport:
    """How a weights file and a model fit together.

    Attributes:
        convention: whose names the file uses, a key of `CONVENTIONS`.
        prefix: what stands before every name in the file, e.g. `state_dict.module.`; "" for nothing.
        loaded: the model's tensors that the file gives.
        missing: the model's tensors that the file does not give.
        unexpected: the file's tensors that the model does not have.
        mismatched: (name in the model, shape in the file, shape in the model).
        left_out: the file's tensors that are not part of a backbone by design: a classifier, a second copy.
        adapted: tensors changed to fit: the first convolution for another number of channels, a transformer's position
            embedding for photos of another size.
    """

    convention: str
    prefix: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    left_out: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether every tensor that matters was given in the right shape, and nothing is left unexplained."""
        serious = [name for name in self.missing if not name.endswith(OPTIONAL)]
        return bool(self.loaded) and not serious and not self.unexpected and not self.mismatched

    def __str__(self) -> str:
        """One line a kind of difference, for logs and errors."""
        lines = [f"{len(self.loaded)} tensors loaded"]
        if self.convention != "timm":
            lines.append(f"names are those of {self.convention}")
        if self.prefix:
            lines.append(f"prefix {self.prefix!r} removed")
        shapes = [f"{name} is {_by(given)}, the model's is {_by(own)}" for name, given, own in self.mismatched]
        for label, names in (
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("of another shape", shapes),
            ("left out", self.left_out),
            ("adapted", self.adapted),
        ):
            if names:
                lines.append(f"{len(names)} {label}: {_first(names)}")
        return "; ".join(lines)


def match_state(
    state: Mapping[str, Tensor], model: nn.Module, *, classifier: Iterable[str] = (), first_conv: Iterable[str] = ()
) -> tuple[dict[str, Tensor], MatchReport]:
    """Rename a file's tensors to a model's and compare shapes.

    Args:
        state: the file's tensors by name, as `load_state` gives them.
        model: the model they are for.
        classifier: layers of the full model that this one lacks on purpose; their tensors are left out.
        first_conv: convolutions whose input channels may be adapted: those for three as timm does (summed for one
            channel, repeated and scaled for others), those for one repeated and scaled, so that equal channels give
            what the one gave.

    Returns:
        The tensors that fit, by the model's names, and the report. Nothing is raised for what does not fit.

    Raises:
        WeightsError: the file holds the model several times and none of the copies is an average of weights.
    """
    own = model.state_dict()
    heads = [f"{layer}.{leaf}" for layer in classifier for leaf in ("weight", "bias")]
    left_out_by_design = set(heads) - set(own)
    convention, table, prefix = _explain(state, list(dict.fromkeys([*own, *heads])))
    target = {name: table.get(name[len(prefix) :]) for name in state if name.startswith(prefix)}
    given, adapted = _adapt_channels({to: state[name] for name, to in target.items() if to in own}, own, first_conv)
    given, resampled = _adapt_positions(given, own, model)
    matched = {name: tensor for name, tensor in given.items() if tensor.shape == own[name].shape}
    return matched, MatchReport(
        convention=convention,
        prefix=prefix,
        loaded=tuple(name for name in own if name in matched),
        missing=tuple(name for name in own if name not in given),
        unexpected=tuple(name for name, to in target.items() if to is None),
        mismatched=tuple(
            (name, tuple(given[name].shape), tuple(own[name].shape))
            for name in own
            if name in given and name not in matched
        ),
        left_out=tuple(name for name in state if name not in target or target[name] in left_out_by_design),
        adapted=(*adapted, *resampled),
    )


def require_fit(report: MatchReport, file: str, model: str) -> None:
    """Refuse weights that do not fit a model in full.

    Raises:
        WeightsError: tensors are missing, unexpected or of another shape; names the first few.
    """
    if not report.fits:
        raise WeightsError(
            f"the weights in {file} do not fit {model}",
            got=str(report),
            expected="every tensor of the backbone, by name and shape, and nothing else but a classifier",
            fix="check that the file and the backbone's name are of the same model",
        )


def _explain(state: Mapping[str, Tensor], names: list[str]) -> tuple[str, Table, str]:
    """The convention, its table and the prefix that together explain most of the file's names."""
    tables = {convention: table_of(names) for convention, table_of in CONVENTIONS.items()}
    counts = Counter(
        (convention, prefix)
        for convention, table in tables.items()
        for name in state
        for prefix in _prefixes(name, table)
    )
    most = max(counts.values(), default=0)
    if 2 * most < len(names):  # names that models have in common by chance are no copy of this one
        return "timm", tables["timm"], ""
    convention = next(c for c in CONVENTIONS for (other, _), count in counts.items() if other == c and count == most)
    prefixes = [prefix for (other, prefix), count in counts.items() if other == convention and count == most]
    return convention, tables[convention], _one_copy(prefixes)


def _prefixes(name: str, table: Table) -> Iterator[str]:
    """All that may stand before a known name at the end of this name."""
    start = 0
    while True:
        if name[start:] in table:
            yield name[:start]
        start = name.find(".", start) + 1
        if start == 0:
            return


def _one_copy(prefixes: list[str]) -> str:
    """Of several equally complete copies the averaged one, as timm chooses too."""
    averaged = [prefix for prefix in prefixes if "ema" in prefix]
    if len(prefixes) == 1 or len(averaged) == 1:
        return (averaged or prefixes)[0]
    raise WeightsError(
        "the file holds the model's tensors several times",
        got=f"prefixes {', '.join(map(repr, prefixes))}",
        fix="save the one to use in a file of its own",
    )


def _adapt_channels(
    given: dict[str, Tensor], own: Mapping[str, Tensor], first_conv: Iterable[str]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Fit first convolutions trained on three channels, or on one, to the model's number of channels."""
    from timm.models import adapt_input_conv

    adapted = {}
    for name in (f"{layer}.weight" for layer in first_conv):
        channels = own[name].shape[1] if name in own else None
        if name not in given or given[name].ndim != 4 or not channels or given[name].shape[1] == channels:
            continue
        if given[name].shape[1] == 3:
            adapted[name] = adapt_input_conv(channels, given[name])
        elif given[name].shape[1] == 1:
            adapted[name] = given[name].expand(-1, channels, -1, -1) / channels
    return given | adapted, tuple(adapted)


def _adapt_positions(
    given: dict[str, Tensor], own: Mapping[str, Tensor], model: nn.Module
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Resample the position embedding of a transformer, learned on square photos of another size, to its own patches.

    Tokens before those of the patches (class, registers) stay as they are.
    """
    from timm.layers import resample_abs_pos_embed

    theirs, ours = given.get(POSITIONS), own.get(POSITIONS)
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if theirs is None or ours is None or grid is None or theirs.shape == ours.shape or theirs.ndim != 3:
        return given, ()
    prefix = ours.shape[1] - grid[0] * grid[1]
    side = math.isqrt(max(theirs.shape[1] - prefix, 0))
    if prefix < 0 or side * side + prefix != theirs.shape[1]:
        return given, ()
    resampled = resample_abs_pos_embed(theirs, list(grid), [side, side], num_prefix_tokens=prefix)
    return given | {POSITIONS: resampled}, (POSITIONS,)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def _first(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (", .." if len(names) > count else "")
