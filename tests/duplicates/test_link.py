"""Groups are connected components; one row of a group stays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from outfold.duplicates.link import choose_dropped, link_pairs


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_groups_are_what_merging_sets_gives(pairs):
    sets = [{row} for row in range(20)]
    for a, b in pairs:
        merged = sets[a] | sets[b]
        for row in merged:
            sets[row] = merged
    groups = link_pairs(20, np.array([a for a, _ in pairs], np.int64), np.array([b for _, b in pairs], np.int64))
    for row in range(20):
        assert set(np.flatnonzero(groups == groups[row])) == sets[row]
    first_rows = [int(np.flatnonzero(groups == group)[0]) for group in range(groups.max() + 1)]
    assert first_rows == sorted(first_rows)


def test_the_largest_stays_and_of_equals_the_first():
    groups, pixels = np.array([0, 0, 1, 1, 2, 0]), np.array([5, 9, 4, 4, 1, 9])
    dropped = choose_dropped(groups, pixels)
    assert [(one.row, one.kept) for one in dropped] == [(0, 1), (3, 2), (5, 1)]


def test_the_preferred_source_stays_before_the_largest():
    groups, pixels = np.array([0, 0, 0, 1, 1]), np.array([9, 2, 3, 9, 2])
    preferred = np.array([False, True, True, False, False])
    dropped = choose_dropped(groups, pixels, preferred=preferred)
    assert [(one.row, one.kept) for one in dropped] == [(0, 2), (1, 2), (4, 3)]


def test_rows_that_may_not_go_are_left_alone_and_keep_nothing():
    groups, pixels = np.array([0, 0, 0, 1, 1]), np.array([1, 2, 9, 1, 9])
    dropped = choose_dropped(groups, pixels, may_go=np.array([True, True, False, True, False]))
    assert [(one.row, one.kept) for one in dropped] == [(0, 1)]


def test_lost_labels_are_told():
    dropped = choose_dropped(np.zeros(3, int), np.array([3, 2, 1]), labels=["cat", "cat", "dog"])
    assert [one.conflict for one in dropped] == [False, True]
