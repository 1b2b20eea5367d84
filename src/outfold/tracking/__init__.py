"""A run's figures told to TensorBoard, MLflow or Weights & Biases while it goes on; one file a tracker.

A tracker is one more listener of the run's events (`tracking_listener`): it is told the recipe as parameters, the
figures of every epoch, and at the end scores with intervals and files. The run folder stays the run's own record; a
tracker that fails is left behind, and the run goes on.
"""

from outfold.tracking.listener import TRACKING, tracking_listener
from outfold.tracking.packages import require_packages

__all__ = ["TRACKING", "require_packages", "tracking_listener"]
