"""What a gallery shows of its samples beside words: pictures, players, and why some have none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from outfold.report.html import Child, Html, tag
from outfold.report.layout import notice
from outfold.report.numbers import counted

ADVICE = (
    "If the files have moved, ",
    tag("code", "outfold report RUN --data FOLDER"),
    " finds them in their new place.",
)


@dataclass(frozen=True)
class Shown:
    """Media of some samples.

    Attributes:
        figures: what stands above the words of a sample, by its row in the evaluation.
        missing: the same for rows whose file gave nothing; None where no row has anything.
        notes: what the reader must know.
        class_: of the lists that hold such samples.
        captions: further words, by row.
        about: sentences for the section's beginning.
    """

    figures: Mapping[int, Html]
    missing: Html | None = None
    notes: tuple[Html, ...] = ()
    class_: str = "samples"
    captions: Mapping[int, str] = field(default_factory=dict)
    about: Child = None


def faults_notice(faults: Collection[str], total: int, noun: str) -> tuple[Html, ...]:
    """How many files cannot be shown, and what is wrong with the first; nothing without any."""
    if not faults:
        return ()
    first = next(iter(faults))
    says = f"{counted(len(faults), noun)} of {total} cannot be shown; the first: {first}"
    return (notice(says, tag("p", ADVICE)),)
