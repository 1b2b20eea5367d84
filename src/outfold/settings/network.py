"""The settings of a network: head, pretrained weights, and what its outputs mean."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from outfold.settings.base import Name, Part, Spec, refuse_idle

Share = Annotated[float, Field(ge=0, lt=1)]

Option = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str

RESERVED = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "device",
        "drop_path_rate",
        "dtype",
        "dynamic_img_size",
        "exportable",
        "feature_cfg",
        "feature_cls",
        "features_only",
        "global_pool",
        "img_size",
        "in_chans",
        "model_cfg",
        "no_jit",
        "num_classes",
        "out_indices",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_filter_fn",
        "pretrained_model_args",
        "pretrained_strict",
        "pruned",
        "scriptable",
    }
)
"""Arguments of timm models that other settings give, that read files, or that make no pooled features."""


def reserved_options(options: Iterable[str]) -> list[str]:
    """Those of a backbone's options that are not the user's to give."""
    return [name for name in options if name in RESERVED]


def _users_own(options: dict[str, Option]) -> dict[str, Option]:
    if found := reserved_options(options):
        raise ValueError(f"{found[0]!r} is no option of a backbone: other settings decide it, or nothing may")
    return options


BackboneOptions = Annotated[dict[str, Option], AfterValidator(_users_own)]
"""Further arguments of a timm model, by timm's names."""


class Head(Part):
    """The layers between pooled features and logits."""

    name: Literal["linear", "multi_sample_dropout", "mlp", "sed"] = "linear"
    """sed: attention over time, where the width of a photo is time and its height frequency, as in a mel picture; the
    backbone's features are read before they are pooled, so it needs one that makes maps of them."""
    dropout: Share | tuple[Share, ...] = 0.0
    """Before the linear layer; mlp: after each hidden layer, one number for all or one each; sed: before its hidden
    layer and after it."""
    copies: int = Field(5, ge=1)
    """multi_sample_dropout: how many dropout masks share the linear layer and are averaged."""
    widths: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """mlp: units of each hidden layer, ReLU after each."""
    per_output: bool = False
    """mlp: each output has hidden layers of its own, instead of sharing them with the others."""

    def refuse_conflicts(self) -> None:
        """Refuse hidden layers without an mlp, an mlp without them, and settings of another head.

        Raises:
            ValueError: says which.
        """
        if (self.name == "mlp") != bool(self.widths):
            raise ValueError("`widths` are the hidden layers of `name: mlp`, which needs them")
        if self.per_output and self.name != "mlp":
            raise ValueError("`per_output` is for `name: mlp`")
        if isinstance(self.dropout, tuple) and (self.name != "mlp" or len(self.dropout) != len(self.widths)):
            raise ValueError("several `dropout` values are for `name: mlp`, one for each of `widths`")
        refuse_idle(self, self.name, {"copies": ("multi_sample_dropout",)})

    @property
    def dropouts(self) -> tuple[float, ...]:
        """The share of each dropout: one for each hidden layer of an mlp, else one."""
        return self.dropout if isinstance(self.dropout, tuple) else (self.dropout,) * (len(self.widths) or 1)


class Weights(Spec):
    """Where a backbone's pretrained weights come from: exactly one of the three, or none for random."""

    source: Literal["hub", "file", "package", "none"] = "hub"
    path: str | None = None
    """file: safetensors or torch file, relative to the data root; package: file inside the installed package."""
    package: str | None = None
    """package: import name of the installed package that ships the file."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, values: object) -> object:
        if isinstance(values, str):
            scheme, _, rest = values.partition(":")
            if scheme == "package":
                name, _, path = rest.partition("/")
                return {"source": "package", "package": name, "path": path or None}
            if scheme == "file":
                return {"source": "file", "path": rest}
            return {"source": values}
        return values


class Outputs(Spec):
    """Regression: what the network's outputs are, and how they become values."""

    scale: Literal["standard", "none"] = "standard"
    """`standard`: the loss sees targets with mean 0 and deviation 1 over the fold's training rows; `none`: in the
    user's unit."""
    log: bool = False
    """Learn log(1 + target), before standardising; targets must not be negative. Test-time views are averaged as such
    logarithms, folds as values."""
    sqrt: bool = False
    """Learn the square root of the target, that of its size with its sign, before standardising. Test-time views are
    averaged as such roots, folds as values."""
    positive: Literal["none", "softplus", "clip"] = "none"
    """Keep values from being negative: by a softplus as the last layer, or cut at 0 when predicted."""
    identities: Literal["report", "derive", "construct"] = "report"
    """`task.identities`: leave outputs alone and report by how much they break; learn all outputs but predict sums from
    their parts (`derive`); or give the network the parts alone and let it add them up (`construct`)."""

    @model_validator(mode="after")
    def _sums_are_of_values(self) -> "Outputs":
        if self.log and self.sqrt:
            raise ValueError("`log` and `sqrt` are two scales to learn on; give one")
        if (self.log or self.sqrt) and (self.identities == "construct" or self.positive == "softplus"):
            name = "log" if self.log else "sqrt"
            raise ValueError(
                f"`{name}` outputs are neither added up nor kept positive by the network; use derive and clip"
            )
        return self


class InitFrom(Spec):
    """Weights to start from that an earlier train stage of the run made."""

    stage: Name
    member: Name | None = None
    """Of that stage; the one of the same name when not given, or its only one."""
    part: Literal["backbone", "all"] = "backbone"
    """The backbone alone, or everything: then both networks need the same head and outputs."""
    fold: Literal["same"] | int = "same"
    """`same`: the model that held out the same fold. Another fold's model has seen this fold's validation rows, which
    the audit says."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, values: object) -> object:
        if not isinstance(values, str):
            return values
        stage, slash, member = values.partition("/")
        return {"stage": stage, "member": member} if slash else {"stage": stage}
