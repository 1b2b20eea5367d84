"""A page on which a person looks at pairs of photos that may be copies of each other, and decides."""

from outfold.report.review.page import write_review

__all__ = ["write_review"]
