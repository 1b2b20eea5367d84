"""One self-contained page about a run."""

from outfold.report.page import write_report

__all__ = ["write_report"]
