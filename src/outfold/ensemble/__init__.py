"""One prediction from several: averages, ranks, learned weights with an honest score, and what members add.

Members are arrays (m, n, k), or lists of (n, k): m predictions of the same n rows in the same order.
"""

from outfold.ensemble.average import geometric, logit_mean, mean, power_mean, weighted
from outfold.ensemble.diagnose import Worth, rank_correlation, worth
from outfold.ensemble.greedy import greedy
from outfold.ensemble.members import aligned
from outfold.ensemble.methods import METHODS, Method, Options, check_method
from outfold.ensemble.nested import Nested, nested
from outfold.ensemble.ranks import RankReference, percent_ranks, rank_mean
from outfold.ensemble.shift import Adversarial, Divergence, adversarial, as_held_out, divergence, donors
from outfold.ensemble.simplex import constrained

__all__ = [
    "METHODS",
    "Adversarial",
    "Divergence",
    "Method",
    "Nested",
    "Options",
    "RankReference",
    "Worth",
    "adversarial",
    "aligned",
    "as_held_out",
    "check_method",
    "constrained",
    "divergence",
    "donors",
    "geometric",
    "greedy",
    "logit_mean",
    "mean",
    "nested",
    "percent_ranks",
    "power_mean",
    "rank_correlation",
    "rank_mean",
    "weighted",
    "worth",
]
