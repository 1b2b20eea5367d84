"""The ways to blend, by the names that recipes use."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from outfold.ensemble.average import geometric, logit_mean, power_mean, weighted
from outfold.ensemble.greedy import greedy
from outfold.ensemble.simplex import constrained
from outfold.errors import RecipeError
from outfold.metrics import Metric
from outfold.settings.blend import Method as Name
from outfold.settings.task import TaskKind


@dataclass(frozen=True)
class Options:
    """What some methods need besides the members.

    Attributes:
        kind: the task.
        power: exponent of the power mean.
        rounds: picks of the greedy selection at most.
        bags: selections of the greedy selection.
        seed: decides its parts and random starts.
    """

    kind: TaskKind
    power: float = 1.0
    rounds: int = 50
    bags: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Method:
    """One way to blend.

    Attributes:
        combine: members (m, n, k), weights (m,) and options -> blend (n, k).
        learn: members, target (n, k), metric and options -> weights (m,); None where nothing is learned.
        of_ranks: the members are turned into ranks first.
        of_logits: members must be probabilities.
    """

    combine: Callable[[np.ndarray, np.ndarray, Options], np.ndarray] = lambda values, weights, _: weighted(
        values, weights
    )
    learn: Callable[[np.ndarray, np.ndarray, Metric, Options], np.ndarray] | None = None
    of_ranks: bool = False
    of_logits: bool = False


METHODS: dict[Name, Method] = {
    "mean": Method(),
    "weighted": Method(),
    "logit_mean": Method(lambda values, weights, o: logit_mean(values, o.kind, weights), of_logits=True),
    "geometric": Method(lambda values, weights, o: geometric(values, o.kind, weights)),
    "rank_mean": Method(of_ranks=True),
    "power_mean": Method(lambda values, weights, o: power_mean(values, o.power, o.kind, weights)),
    "greedy": Method(
        learn=lambda values, target, metric, o: greedy(
            values, target, metric, rounds=o.rounds, bags=o.bags, seed=o.seed
        )
    ),
    "constrained": Method(learn=lambda values, target, metric, o: constrained(values, target, metric, seed=o.seed)),
}
"""Every method by name."""


def check_method(name: Name, metric: Metric, kind: TaskKind) -> None:
    """Refuse a method whose blends the metric cannot judge.

    Raises:
        RecipeError: ranks for a metric that looks at values, logits of a regression.
    """
    method = METHODS[name]
    if method.of_ranks and not metric.by_order:
        raise RecipeError(
            f"`{name}` gives ranks, but {metric.name} looks at more than the order of predictions",
            fix="use `mean` or `logit_mean`, or a metric of the order such as roc_auc",
        )
    if method.of_logits and kind == "regression":
        raise RecipeError(f"`{name}` is for probabilities, but the task is a regression", fix="use `mean`")
