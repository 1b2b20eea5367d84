"""Metrics as competitions compute them, how sure one can be of them, and how far a leaderboard scatters.

Every metric is written once, for weighted rows: the plain score has a weight of one on each row, a bootstrap
resample has the number of times each row was drawn. Many resamples are computed together.
"""

from outfold.metrics.bootstrap import interval, middle
from outfold.metrics.comparison import Comparison, compare
from outfold.metrics.leaderboards import Leaderboard, disagreement, leaderboard
from outfold.metrics.ranking import ByColumn, by_column
from outfold.metrics.ranks import Ranks, simulate_ranks
from outfold.metrics.registry import METRICS, Metric, get_metric, metric_of, score

__all__ = [
    "METRICS",
    "ByColumn",
    "Comparison",
    "Leaderboard",
    "Metric",
    "Ranks",
    "by_column",
    "compare",
    "disagreement",
    "get_metric",
    "interval",
    "leaderboard",
    "metric_of",
    "middle",
    "score",
    "simulate_ranks",
]
