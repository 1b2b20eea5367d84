"""Sums of targets: their matrix, and values with the sums in place."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from outfold.data.identities import add_up, free_targets, sum_matrix

TARGETS = ("green", "dead", "clover", "gdm", "total")
SUMS = {"total": ("gdm", "dead"), "gdm": ("green", "clover")}  # the sum of a sum is written first
GRAMS = arrays(np.float32, (7, 5), elements=st.floats(0, 1e4, width=32))


def test_the_matrix_of_chained_sums() -> None:
    assert free_targets(TARGETS, SUMS) == ("green", "dead", "clover")
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1]]
    assert_array_equal(sum_matrix(TARGETS, SUMS), expected)


def test_a_part_of_two_sums_counts_twice_where_they_meet() -> None:
    sums = {"a": ("x", "y"), "b": ("a", "x")}
    assert_array_equal(sum_matrix(("x", "y", "a", "b"), sums), [[1, 0], [0, 1], [1, 1], [2, 1]])


@given(GRAMS)
def test_sums_in_place_hold_exactly(values: np.ndarray) -> None:
    summed = add_up(values, TARGETS, SUMS)
    assert summed.dtype == np.float32
    green, dead, clover, gdm, total = summed.T
    assert_array_equal(gdm, green + clover)
    assert_array_equal(total, gdm + dead)
    assert_array_equal(summed[:, :3], values[:, :3])
    assert_allclose(summed, values[:, :3].astype(np.float64) @ sum_matrix(TARGETS, SUMS).T, rtol=1e-6)


@given(GRAMS)
def test_the_values_themselves_stay(values: np.ndarray) -> None:
    before = values.copy()
    add_up(values, TARGETS, SUMS)
    assert_array_equal(values, before)
