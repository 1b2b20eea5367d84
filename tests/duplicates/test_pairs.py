"""The pair search gives what comparing everything with everything gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from outfold.duplicates import pairs as module
from outfold.duplicates import sieve
from outfold.duplicates.pairs import Pairs, pairs_over
from outfold.duplicates.sieve import Vectors, make_sieve
from outfold.errors import DataError


def brute_force(left, threshold, right=None):
    other = left if right is None else right
    a, b = np.asarray(left, np.float64), np.asarray(other, np.float64)
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    cosine = np.divide(a @ b.T, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    reached = cosine >= threshold - 1e-7
    first, second = np.nonzero(np.triu(reached, 1) if right is None else reached)
    return Pairs(first, second, cosine[first, second].astype(np.float32))


def same(found, expected):
    np.testing.assert_array_equal(found.first, expected.first)
    np.testing.assert_array_equal(found.second, expected.second)
    np.testing.assert_allclose(found.similarity, expected.similarity, atol=2e-7)


def near(rows, cosine, rng):
    """For each row a vector at exactly this cosine."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    noise = rng.standard_normal(rows.shape)
    noise -= (noise * unit).sum(1, keepdims=True) * unit
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return cosine * unit + np.sqrt(1 - cosine**2) * noise


def clustered(rows, width, seed):
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(rows // 20, 1), width))
    return centres[rng.integers(0, len(centres), rows)] + 0.5 * rng.standard_normal((rows, width)) + 0.3


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 120),
    others=st.none() | st.integers(1, 90),
    width=st.sampled_from([1, 2, 7, 64, 130, 600]),
    threshold=st.sampled_from([0.05, 0.5, 0.8, 0.95, 1.0]),
    miss=st.sampled_from([0, 1e-12]),
    seed=st.integers(0, 5),
)
def test_equal_to_brute_force(rows, others, width, threshold, miss, seed):
    left = clustered(rows, width, seed).astype(np.float32)
    right = None if others is None else np.concatenate([clustered(others, width, seed + 1), left[:3]]).astype("f4")
    same(pairs_over(left, threshold, right, miss=miss), brute_force(left, threshold, right))


@pytest.mark.parametrize("miss", [0, 1e-12])
@pytest.mark.parametrize("others", [False, True])
def test_several_blocks(monkeypatch, miss, others):
    monkeypatch.setattr(module, "BLOCK", 64)
    left, right = clustered(500, 256, 0).astype("f4"), clustered(300, 256, 0).astype("f4")
    expected = brute_force(left, 0.8, right if others else None)
    assert len(expected) > 1000
    same(pairs_over(left, 0.8, right if others else None, miss=miss, threads=3), expected)


@pytest.mark.parametrize("threshold", [0.3, 0.9, 0.99, 0.9999])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("shift", [0, 30])
def test_pairs_just_above_and_below_the_threshold(monkeypatch, threshold, kind, shift):
    import torch

    monkeypatch.setattr(sieve, "fast_type", lambda: getattr(torch, kind))
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((400, 640)) + shift / 640
    above, below = near(rows, threshold + 2e-6, rng), near(rows, threshold - 2e-6, rng)
    vectors = np.concatenate([rows, above, below]).astype(np.float32)
    found = pairs_over(vectors, threshold)
    planted = set(zip(range(400), range(400, 800), strict=True))
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert planted <= pairs
    assert not pairs & set(zip(range(400), range(800, 1200), strict=True))


def test_zero_vectors_pair_with_nothing_and_lengths_do_not_matter():
    vectors = np.zeros((6, 8), dtype=np.float32)
    vectors[1], vectors[3], vectors[4] = 1e-18, 1.0, 1e18
    found = pairs_over(vectors, 0.99)
    assert list(zip(found.first, found.second, strict=True)) == [(1, 3), (1, 4), (3, 4)]
    assert not len(pairs_over(np.zeros((5, 8), np.float32), 0.5))
    assert not len(pairs_over(np.zeros((0, 8), np.float32), 0.5))


def test_copies_of_whole_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 32)
    block = np.random.default_rng(0).standard_normal((32, 300)).astype(np.float32)
    found = pairs_over(np.concatenate([block, 3 * block, block]), 1.0)
    assert len(found) == 3 * 32
    assert set((found.second - found.first).tolist()) == {32, 64}


def test_the_sieve_keeps_what_its_law_says():
    """Of pairs at exactly the threshold, the share `miss` may be lost, and no more; here with a miss of one in ten."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4000, 256)).astype(np.float32)
    copies = near(rows, 0.9, rng).astype(np.float32)
    lost = []
    for seed in range(3):
        made = make_sieve(_vectors(rows), _vectors(copies), 0.9, 0.1, seed)
        assert made.dimensions == 32
        products = (made.left.float() * made.right.float()).sum(dim=1)
        lost.append(float((products < 0).float().mean()))
    assert 0.03 < np.mean(lost) <= 0.11
    assert beta.isf(0.1, 16, 112) > 32 / 256  # the projection keeps 32 of 256 dimensions, and more with a margin


def test_collapsed_vectors_take_more_dimensions():
    rng = np.random.default_rng(0)
    spread = rng.standard_normal((3000, 512)).astype(np.float32)
    collapsed = 2 + rng.standard_normal((3000, 512)).astype(np.float32)
    wide, narrow = (make_sieve(_vectors(rows), None, 0.9, 1e-12, 0).dimensions for rows in (collapsed, spread))
    assert narrow < wide
    assert make_sieve(_vectors(spread), None, 0.9, 0, 0).dimensions == 512


def test_result_depends_on_no_seed_and_no_thread():
    vectors = clustered(700, 256, 3).astype(np.float32)
    first = pairs_over(vectors, 0.8, seed=0, threads=1)
    second = pairs_over(vectors, 0.8, seed=9, threads=4)
    np.testing.assert_array_equal(first.similarity, second.similarity)
    np.testing.assert_array_equal(first.second, second.second)


def test_progress_counts_pairs(monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 32)
    told = []
    pairs_over(clustered(100, 16, 0), 0.9, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (4950, 4950)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threshold": 0.0}, "above 0"),
        ({"threshold": 1.1}, "at most 1"),
        ({"others": np.ones((3, 5))}, "equal width"),
        ({"embeddings": np.array([[1.0, np.nan], [1, 1]])}, r"not finite[\s\S]*rows \[0\]"),
        ({"most": 10}, r"more than 10 pairs[\s\S]*raise the threshold"),
    ],
)
def test_errors(change, words):
    arguments = {"embeddings": np.ones((20, 4)), "threshold": 0.9} | change
    with pytest.raises(DataError, match=words):
        pairs_over(**arguments)


def _vectors(rows):
    return Vectors(rows, np.linalg.norm(rows.astype(np.float64), axis=1))
