"""Copies are what their names say."""

import numpy as np
import pytest

from outfold.duplicates.copies import COPIES, combined

PHOTO = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", [*COPIES, "combined"])
def test_same_seed_same_copy_other_seed_another(kind):
    copy = {**COPIES, "combined": combined}[kind]
    one, same = copy(PHOTO, np.random.default_rng(3)), copy(PHOTO, np.random.default_rng(3))
    np.testing.assert_array_equal(one, same)
    assert one.dtype == np.uint8
    assert not any(
        np.array_equal(copy(PHOTO, np.random.default_rng(seed)), PHOTO) for seed in range(5) if kind != "flipped"
    )


def test_turns_and_flips_are_the_eight_orientations():
    def seen(kind):
        return {COPIES[kind](PHOTO, np.random.default_rng(seed)).tobytes() for seed in range(40)}

    quarters = [np.ascontiguousarray(np.rot90(PHOTO, turns)) for turns in range(4)]
    assert seen("turned") == {view.tobytes() for view in quarters[1:]}
    assert seen("flipped") == {np.ascontiguousarray(view[:, ::-1]).tobytes() for view in quarters}


def test_crops_are_parts_and_sizes_change_within_their_ranges():
    for seed in range(20):
        crop = COPIES["cropped"](PHOTO, np.random.default_rng(seed))
        windows = np.lib.stride_tricks.sliding_window_view(PHOTO[:, :, 0], crop.shape[:2])
        assert (windows == crop[:, :, 0]).all(axis=(2, 3)).any()
        assert all(0.74 <= crop.shape[axis] / PHOTO.shape[axis] <= 0.96 for axis in (0, 1))
        factor = COPIES["rescaled"](PHOTO, np.random.default_rng(seed)).shape[0] / 60
        assert 0.39 <= factor <= 0.81 or 1.24 <= factor <= 2.01
