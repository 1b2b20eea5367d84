"""Pages on which a person decides: pairs of photos that may be copies of each other, and crop boxes."""

from outfold.report.review.crops import write_crop_review
from outfold.report.review.page import write_review

__all__ = ["write_crop_review", "write_review"]
