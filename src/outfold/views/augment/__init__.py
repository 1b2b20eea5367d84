"""Random transforms of photos, composed into one warp and one lookup table."""

from outfold.views.augment.chain import Chain, build_chain
from outfold.views.augment.parse import TRANSFORMS, transform_names

__all__ = ["TRANSFORMS", "Chain", "build_chain", "transform_names"]
