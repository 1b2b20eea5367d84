"""Weights of at least 0 and of sum 1 that make a metric best.

Losses that are smooth and convex in the weights are solved exactly; for the others (ranks, labels) the simplex is
searched by steps that grow finer.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy.optimize import minimize

from outfold.ensemble.average import EDGE
from outfold.ensemble.greedy import best_first, greedy
from outfold.ensemble.members import Judge, Members, checked, judge
from outfold.metrics import Metric
from outfold.metrics.comparison import ROUNDING

Descent = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Weights (m,) -> loss and gradient (m,)."""

FIRST_STEP, LAST_STEP = 1 / 4, 1 / 256
"""Shares of the whole by which weights are moved."""
RANDOM_STARTS, SEARCHED = 8, 2


def constrained(members: Members, target: np.ndarray, metric: Metric, *, seed: int = 0) -> np.ndarray:
    """Weights on the simplex that make the metric of the weighted mean best.

    `log_loss` is the likelihood of a mixture, `rmse` a sum of norms, `r2` and `weighted_r2` are quadratic forms; they
    are convex and solved by sequential quadratic programming (Kraft 1988, scipy's SLSQP) with their gradients. All
    other metrics are raised by a pattern search (Torczon 1997; with bounds and a sum, Lewis and Torczon 2000): each
    weight in turn is raised or lowered by a step while the others keep their proportions, the best such move is taken,
    and the step is halved when none helps. It starts from the two best of: equal weights, each member alone, the greedy
    selection, random weights. It finds a local optimum.

    Args:
        members: (m, n, k) probabilities or values, as a rule out of fold.
        target: (n, k) as encoded by `TargetCodec`.
        metric: what the weighted mean is to be good at.
        seed: decides the random starts.

    Returns:
        float64 (m,), from 0 on, with a sum of one.

    Raises:
        DataError: members and target do not fit or are not finite, or the metric is not defined on these rows.
    """
    values, score = checked(members, target), judge(metric, target)
    loss = LOSSES.get(metric.name)
    if loss is not None:
        found = _solved(loss(values, target, metric), len(values))
    else:
        order = best_first(values, score)
        found = _searched(values[order], target, metric, score, seed)[np.argsort(order)]
    return _best([found, *_plain(len(values))], values, score)


def _solved(descent: Descent, count: int) -> np.ndarray:
    """The minimum over the simplex of a convex loss."""
    answer = minimize(
        descent,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * count,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda weights: np.ones(count)},
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    return _on_simplex(answer.x)


def _mixture(values: np.ndarray, target: np.ndarray, metric: Metric) -> Descent:
    """Log loss: every row (and label) is a draw from a mixture of what the members thought of the true answer."""
    inside = np.clip(values, EDGE, 1 - EDGE)
    if metric.kind == "multiclass":
        likelihood = np.einsum("mnk,nk->nm", inside, target)
    else:
        likelihood = np.where(target >= 0.5, inside, 1 - inside).reshape(len(values), -1).T

    def descent(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = likelihood @ weights
        return float(-np.log(mixed).mean()), -(likelihood / mixed[:, None]).mean(axis=0)

    return descent


def _norms(values: np.ndarray, target: np.ndarray, metric: Metric) -> Descent:
    """Root mean squared error: the mean over targets of sqrt(w' G w)."""
    errors = values - target
    grams = np.einsum("ink,jnk->kij", errors, errors) / len(target)
    scale = np.sqrt(grams[:, *np.diag_indices(len(values))].mean()) or 1.0

    def descent(weights: np.ndarray) -> tuple[float, np.ndarray]:
        slopes = grams @ weights
        norms = np.sqrt(np.maximum(slopes @ weights, 0)) + np.finfo(np.float64).tiny
        return float(norms.mean() / scale), (slopes / norms[:, None]).mean(axis=0) / scale

    return descent


def _quadratic(values: np.ndarray, target: np.ndarray, metric: Metric) -> Descent:
    """1 - score as w' H w, with H from the scores of the members and of the means of any two of them (polarisation).

    The weights sum to one, so that the blend's error is the weighted sum of the members' errors.
    """

    def loss(prediction: np.ndarray) -> float:
        return 1 - metric.function(target, prediction)

    form = np.diag([loss(value) for value in values])
    for i, j in combinations(range(len(values)), 2):
        form[i, j] = form[j, i] = 2 * loss((values[i] + values[j]) / 2) - (form[i, i] + form[j, j]) / 2
    form /= np.diag(form).mean() or 1.0
    return lambda weights: (float(weights @ form @ weights), 2 * form @ weights)


LOSSES: dict[str, Callable[[np.ndarray, np.ndarray, Metric], Descent]] = {
    "log_loss": _mixture,
    "rmse": _norms,
    "r2": _quadratic,
    "weighted_r2": _quadratic,
}
"""By metric, what is solved exactly."""


def _searched(values: np.ndarray, target: np.ndarray, metric: Metric, score: Judge, seed: int) -> np.ndarray:
    """Weights (m,) from a pattern search; the members come best first."""
    starts = [*_plain(len(values)), greedy(values, target, metric)]
    starts += list(np.random.default_rng(seed).dirichlet(np.ones(len(values)), RANDOM_STARTS))
    order = np.argsort([-score(_blend(values, weights)) for weights in starts], kind="stable")
    return _best([_climbed(values, starts[place], score) for place in order[:SEARCHED]], values, score)


def _climbed(values: np.ndarray, start: np.ndarray, score: Judge) -> np.ndarray:
    """Follow the best move of each step's size until none gains."""
    weights, best, step = start, score(_blend(values, start)), FIRST_STEP
    while step >= LAST_STEP:
        moves = [_on_simplex(move) for move in _moves(weights, step)]
        scores = [score(_blend(values, move)) for move in moves]
        place = int(np.argmax(scores))
        if scores[place] > best + ROUNDING * abs(best):
            weights, best = moves[place], scores[place]
        else:
            step /= 2
    return weights


def _moves(weights: np.ndarray, step: float) -> list[np.ndarray]:
    """Each weight a step up and a step down, the others keeping their proportions; a weight of 1 leaves them none."""
    moves = []
    for member, share in enumerate(weights):
        for moved in dict.fromkeys((min(share + step, 1.0), max(share - step, 0.0))):
            if share < 1 and moved != share:
                trial = weights * ((1 - moved) / (1 - share))
                trial[member] = moved
                moves.append(trial)
    return moves or [weights]


def _plain(count: int) -> list[np.ndarray]:
    """Equal weights, and each member alone."""
    return [np.full(count, 1 / count), *np.eye(count)]


def _best(choices: list[np.ndarray], values: np.ndarray, score: Judge) -> np.ndarray:
    return choices[int(np.argmax([score(_blend(values, weights)) for weights in choices]))]


def _blend(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.tensordot(weights, values, axes=1)


def _on_simplex(weights: np.ndarray) -> np.ndarray:
    """Weights without what rounding left below 0, with a sum of one."""
    kept = np.maximum(weights, 0)
    return kept / kept.sum()
