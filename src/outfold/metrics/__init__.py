"""Metrics as competitions compute them, and bootstrap intervals around them.

Every metric is written once, for weighted rows: the plain score has a weight of one on each row, a bootstrap
resample has the number of times each row was drawn. Many resamples are computed together.
"""

from outfold.metrics.bootstrap import interval
from outfold.metrics.registry import METRICS, Metric, get_metric, metric_of, score

__all__ = ["METRICS", "Metric", "get_metric", "interval", "metric_of", "score"]
