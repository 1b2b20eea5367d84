"""What luck makes of many equally good models on a leaderboard."""

from dataclasses import dataclass

import numpy as np

from outfold.errors import DataError
from outfold.metrics.leaderboards import Leaderboard

SCORES_AT_ONCE = 2**20
"""Scores of teams that are ranked together: 8 MB of float64."""


@dataclass(frozen=True)
class Ranks:
    """What luck makes of many equally good models, over simulated leaderboards.

    Attributes:
        teams: how many models there are.
        first: mean public score of the first.
        median: mean public score in the middle.
        last: mean public score of the last.
        winner_private: mean private score of the model that is first in public.
        winner_rank: float64 (c,), its rank in private in each leaderboard; 1 is the best.
    """

    teams: int
    first: float
    median: float
    last: float
    winner_private: float
    winner_rank: np.ndarray


def simulate_ranks(
    board: Leaderboard,
    teams: int,
    rival: Leaderboard | None = None,
    *,
    n_leaderboards: int = 1000,
    seed: int = 0,
) -> Ranks:
    """Let equally good models compete: their scores by rank, and what becomes of the public winner.

    Without a rival every team's score is that of a test set of its own. In truth all teams share one test set, and an
    easy one lifts all of them: this is an upper bound on what luck does to ranks.

    With a rival all teams share the test set. A team's score is the model's there, plus a deviation drawn from the
    differences between model and rival on other test sets: centred, with a random sign, and divided by the square
    root of two, so that two teams differ as much as these two do. This assumes that the teams resemble each other as
    much as model and rival.

    Public scores are drawn from the simulated ones, none lies outside them. A team's private score is a straight line
    through its public one (flat, where the parts are independent) plus a residual drawn from all residuals.

    Args:
        board: the simulated scores of a model.
        teams: how many models compete, at least 2.
        rival: scores of a second model on the same test sets, see `leaderboard`.
        n_leaderboards: how many competitions.
        seed: decides the draws.

    Raises:
        DataError: there are more teams than test sets to draw their scores from.
    """
    scores = np.stack([board.public, board.private])
    if rival is not None:
        scores = np.concatenate([scores, [rival.public, rival.private]])
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    if not 2 <= teams <= scores.shape[1]:
        raise DataError(
            "the leaderboard cannot be simulated for so many teams",
            got=f"{teams} teams, scores of {scores.shape[1]} test sets",
            expected="two teams or more, and a test set for each",
            fix="simulate more test sets" if teams > 2 else None,
        )
    if not board.metric.greater_is_better:
        scores = -scores
    ranked = _ranked(scores, teams, n_leaderboards, np.random.default_rng(seed))
    sign = 1 if board.metric.greater_is_better else -1
    first, median, last, private = (sign * float(figure.mean()) for figure in ranked[:4])
    return Ranks(teams, first, median, last, private, ranked[4])


def _ranked(scores: np.ndarray, teams: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """By leaderboard (5, count): first, median and last public score, the public first's private score and rank.

    Args:
        scores: (2, r) public and private, greater is better; with a rival (4, r).
        teams: models that compete.
        count: leaderboards.
        rng: source of the draws.
    """
    common, own = np.zeros((2, 1)), scores
    if len(scores) == 4:
        common, difference = scores[:2], scores[:2] - scores[2:]
        difference -= difference.mean(axis=1, keepdims=True)
        own = np.concatenate([difference, -difference], axis=1) / np.sqrt(2)
    figures, step = [], max(1, SCORES_AT_ONCE // teams)
    for start in range(0, count, step):
        boards = np.arange(min(step, count - start))
        shared = common[:, rng.integers(0, common.shape[1], len(boards)), None]
        public, private = shared + _own_scores(own, (len(boards), teams), rng)
        winner = public.argmax(axis=1)
        its_private = private[boards, winner]
        rank = 1 + (private > its_private[:, None]).sum(axis=1)
        figures.append([public[boards, winner], np.median(public, axis=1), public.min(axis=1), its_private, rank])
    return np.concatenate(figures, axis=1)


def _own_scores(pool: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Public and private scores (2, boards, teams) like those of the pool (2, r), drawn anew for each team.

    Drawing the pairs themselves would give most winners the private score of the pool's one best public score.
    """
    public, private = pool
    variance = public.var()
    slope = np.cov(public, private, bias=True)[0, 1] / variance if variance > 0 else 0.0
    residual = private - slope * public
    drawn = public[rng.integers(0, len(public), shape)]
    return np.stack([drawn, slope * drawn + residual[rng.integers(0, len(residual), shape)]])
