"""Batches of students: labelled clips, and beside them clips that teachers labelled."""

import numpy as np

from outfold.errors import DataError
from outfold.views.batches import PSEUDO, training_batches


def student_batches(
    labelled: np.ndarray,
    pseudo: np.ndarray,
    recording: np.ndarray | None,
    seed: tuple[int, ...],
    *,
    batch_size: int = 128,
    recordings: int | None = None,
    windows: int | None = None,
    weights: np.ndarray | None = None,
) -> list[np.ndarray]:
    """The batches of one epoch: labelled rows first, then all windows of some recordings or some windows at random.

    An epoch goes once through the labelled rows, as `training_batches` does. The pseudo-labelled ones are shuffled and
    dealt out batch by batch, and shuffled again when they run out: none is in a batch twice, and none comes again while
    others would fill a batch. The same seed gives the same batches, whatever was drawn before.

    Args:
        labelled: int64 (n,), rows with labels.
        pseudo: int64 (m,), rows with pseudo-labels, the windows of recordings; numbered as the labelled ones are.
        recording: (m,), whatever names the recording of each of them; None where windows are drawn at random.
        seed: integers that identify this epoch.
        batch_size: labelled rows in a batch; all of them where there are fewer.
        recordings: whole recordings in a batch; batches are of one size where recordings have equally many windows.
        windows: windows at random in a batch, instead of whole recordings.
        weights: float64 (n,), chances of the labelled rows to be drawn; every row once when not given.

    Returns:
        int64 arrays, the rows of each batch.

    Raises:
        DataError: not one of `recordings` and `windows` is given, or there are not as many as a batch needs.
    """
    if (recordings is None) == (windows is None):
        raise DataError(
            "a student's batch has either whole recordings or windows at random",
            got=f"recordings={recordings}, windows={windows}",
            expected="one of them",
        )
    if recordings is not None:
        assert recording is not None  # whoever asks for whole recordings says which they are
        group = np.unique(recording, return_inverse=True)[1]
        parts, size, what = _by_group(pseudo, group), recordings, "recordings"
    else:
        parts, size, what = list(pseudo[:, None]), int(windows or 0), "windows"
    if not 1 <= size <= len(parts):
        raise DataError(
            f"a student's batch cannot be filled with {what}",
            got=f"{size} of {len(parts)}",
            fix="ask for fewer in a batch, or label more rows",
        )
    batches = training_batches(labelled, batch_size, seed, weights)
    dealt = _dealt(len(parts), size, len(batches), np.random.default_rng([*seed, PSEUDO]))
    return [
        np.concatenate([batch, *(parts[place] for place in places)])
        for batch, places in zip(batches, dealt, strict=True)
    ]


def _dealt(count: int, size: int, hands: int, rng: np.random.Generator) -> np.ndarray:
    """int64 (hands, size): `size` of `count` places for each hand; too few for a whole hand are shuffled in again."""
    rounds = -(-hands // (count // size))
    whole = count // size * size
    return np.concatenate([rng.permutation(count)[:whole].reshape(-1, size) for _ in range(rounds)])[:hands]


def _by_group(rows: np.ndarray, group: np.ndarray) -> list[np.ndarray]:
    """The rows of each group 0, 1, .., in their order."""
    order = np.argsort(group, kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(group))[:-1])
