"""The page of an ablation: variants of a recipe against their baseline."""

from outfold.report.ablation.content import Ablation, Difference, Variant
from outfold.report.ablation.page import in_words, page

__all__ = ["Ablation", "Difference", "Variant", "in_words", "page"]
