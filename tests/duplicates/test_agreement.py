"""Copies agree with their originals and other photos do not."""

import numpy as np
import pytest

from outfold.duplicates.agreement import SIDES, agreements, thumbnails, typical_photo
from outfold.duplicates.copies import COPIES, combined


def scene(seed, side=160):
    """A smooth photo with some shapes, uint8 (side, 1.25 side, 3)."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 200, (7, 9, 3), dtype=np.uint8)
    photo = cv2.resize(coarse, (side * 5 // 4, side), interpolation=cv2.INTER_CUBIC)
    for _ in range(6):
        middle = tuple(int(c) for c in rng.integers(10, side - 10, 2))
        cv2.circle(photo, middle, int(rng.integers(5, 25)), rng.integers(0, 255, 3).tolist(), -1)
    return photo


@pytest.fixture(scope="module")
def photos():
    return [scene(seed) for seed in range(12)]


@pytest.mark.parametrize("kind", [*COPIES, "combined"])
def test_copies_agree(photos, kind):
    copy = {**COPIES, "combined": combined}[kind]
    copies = [copy(photo, np.random.default_rng(row)) for row, photo in enumerate(photos)]
    rows = np.arange(len(photos))
    alike = agreements(thumbnails([*photos, *copies]), rows, len(rows) + rows)
    assert np.mean(alike > 0.97) > 0.9


def test_other_photos_do_not(photos):
    first, second = np.triu_indices(len(photos), 1)
    alike = agreements(thumbnails(photos), first, second)
    assert alike.max() < 0.9
    assert alike.min() >= 0


def test_order_and_threads_change_nothing(photos):
    levels = thumbnails([*photos, photos[0][10:, 15:]])
    first, second = np.zeros(300, np.int64), np.full(300, 12)
    one = agreements(levels, first, second, threads=1)
    other = agreements(levels, second, first, threads=3)
    np.testing.assert_array_equal(one, one[0])
    np.testing.assert_allclose(one, other, atol=0.02)
    assert one[0] > 0.97


def test_what_all_photos_share_does_not_count():
    """Photos that share a frame resemble by it alone; copies stay copies."""
    rng = np.random.default_rng(0)
    photos = rng.integers(90, 110, (30, 128, 128, 3), dtype=np.uint8)
    photos[:, 20:108, 20:108] += 100
    copies = photos[:5] + np.uint8(10)
    levels = thumbnails([*photos, *copies])
    others = agreements(levels, np.arange(0, 10), np.arange(10, 20))
    assert others.max() < 0.5
    assert agreements(levels, np.arange(5), 30 + np.arange(5)).min() > 0.99


def test_flat_photos_agree_with_nothing():
    flat = [np.full((40, 40, 3), value, np.uint8) for value in (0, 128, 255)]
    assert not agreements(thumbnails(flat), np.array([0, 0, 1]), np.array([1, 2, 2])).any()


def test_thumbnails_and_typical_photo(photos):
    levels = thumbnails(photos)
    assert [level.shape for level in levels] == [(12, side, side) for side in SIDES]
    assert all(level.dtype == np.uint8 for level in levels)
    typical = typical_photo(levels[-1])
    for view in (np.rot90(typical), typical.T, typical[::-1]):
        np.testing.assert_allclose(typical, view, rtol=1e-6)
    assert typical.mean() == pytest.approx(levels[-1].mean(), rel=1e-5)


def test_no_pairs(photos):
    assert not len(agreements(thumbnails(photos), np.empty(0, np.int64), np.empty(0, np.int64)))
