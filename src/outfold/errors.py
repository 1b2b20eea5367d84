"""The errors outfold raises on purpose: each says what is wrong, where, what was expected and what to do."""

import errno


class OutfoldError(Exception):
    """A problem the user can mend.

    Args:
        problem: one sentence that names the file, row, column or key.
        got: what was found.
        expected: what would have been right.
        fix: what to do next.
    """

    def __init__(self, problem: str, *, got: object = None, expected: object = None, fix: str | None = None) -> None:
        self.problem, self.got, self.expected, self.fix = problem, got, expected, fix
        lines = [problem]
        if got is not None:
            lines.append(f"  got:      {got}")
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if fix is not None:
            lines.append(f"  do:       {fix}")
        super().__init__("\n".join(lines))


class RecipeError(OutfoldError):
    """The recipe, an override or a profile is not valid."""


class DataError(OutfoldError):
    """A table, an id, a label or a fold assignment is not usable."""


class MediaError(OutfoldError):
    """A media file is missing, unreadable, truncated or outside the data root."""


class WeightsError(OutfoldError):
    """Weights cannot be found, read, or do not fit the model."""


class TrainingError(OutfoldError):
    """Training cannot go on: the loss is not finite, or memory ran out."""


class RunError(OutfoldError):
    """A run folder is in use, unwritable, incomplete or of another recipe."""


class WorkerError(OutfoldError):
    """Processes that share the work were lost."""


def may_pass(error: MediaError, *, was_read: bool = False) -> bool:
    """Whether the system is to blame, as where too many files are open, and not the file.

    Args:
        error: why the file cannot be used.
        was_read: whether the file could be read a moment ago: then neither its absence nor its permissions are what is
            wrong with it for good.
    """
    code = getattr(error.__cause__, "errno", None)
    return code is not None and (was_read or code not in (errno.ENOENT, errno.EACCES))
