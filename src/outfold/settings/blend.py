"""The settings of a blend stage: whose predictions become one, and how."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from outfold.settings.base import Spec

Method = Literal["mean", "weighted", "logit_mean", "geometric", "rank_mean", "power_mean", "greedy", "constrained"]
LEARNED: tuple[Method, ...] = ("greedy", "constrained")
"""Methods whose weights are learned on out-of-fold predictions."""


class BlendStage(Spec):
    """One prediction from several: of the members of train stages, or of whole stages."""

    kind: Literal["blend"]
    sources: tuple[str, ...] = Field(alias="from", min_length=1)
    """Names of train stages, each standing for all its members, of single members: `fit/b3`, or of other blends."""
    method: Method = "mean"
    """`mean`, `weighted` and `power_mean` of probabilities or values; `logit_mean`; `geometric` mean of probabilities;
    `rank_mean`: every prediction as its rank, 0 to 1; `greedy`: forward selection with replacement by the metric;
    `constrained`: weights of at least 0 and of sum 1 that optimise the metric."""
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    """`weighted`: of each source; those of a stage's members add up to it. They need not sum to 1."""
    power: float = Field(1.0, allow_inf_nan=False)
    """`power_mean`: its exponent."""
    ranks: Literal["table", "oof"] = "table"
    """`rank_mean`: ranks within the table that is predicted, or among the out-of-fold predictions, which also suits
    tables of few rows."""
    rounds: int = Field(50, ge=1)
    """`greedy`: how many picks at most."""
    bags: int = Field(1, ge=1)
    """`greedy`: the mean of so many selections, each among a random half of the members."""
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="before")
    @classmethod
    def _sources_as_list(cls, values: object) -> object:
        if isinstance(values, dict) and isinstance(values.get("from"), str):
            values = {**values, "from": [values["from"]]}
        return values

    @model_validator(mode="after")
    def _settings_of_the_method(self) -> "BlendStage":
        if len(set(self.sources)) < len(self.sources):
            raise ValueError(f"a blend names a source twice: {list(self.sources)}")
        if bool(self.weights) != (self.method == "weighted"):
            raise ValueError("`weights` are for `method: weighted`, which needs them")
        if self.weights and set(self.weights) != set(self.sources):
            raise ValueError(f"`weights` are for {sorted(self.weights)}, but the blend is from {sorted(self.sources)}")
        if self.weights and not any(self.weights.values()):
            raise ValueError("all weights are 0")
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages it reads from, each once."""
        return tuple(dict.fromkeys(source.partition("/")[0] for source in self.sources))
