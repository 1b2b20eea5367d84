import numpy as np
import pytest

from outfold.audit import neighbour_findings, splits_by
from outfold.audit.neighbours import closeness, serial_order


def series(seed, *, length=5, n=300, blend=0.8):
    """Photos in series of `length`, each with a look of its own, in three classes."""
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(n // length + 1, 8))[np.arange(n) // length]
    return blend * looks + (1 - blend) * rng.normal(size=(n, 8)), np.arange(n) * 3 // n


def test_natural_order_of_names():
    assert serial_order(["img10", "img2", "img1"]).tolist() == [2, 1, 0]


def test_series_across_random_folds_are_found(samples, only):
    features, classes = series(0)
    names = [f"shelf_{row}.jpg" for row in range(300)]
    rows = samples({"label": classes})
    fold = np.random.default_rng(1).permutation(np.arange(300) % 5)
    found = only(
        neighbour_findings(rows, names, features, classes, splits_by(fold), seen_by="embeddings"),
        "series-across-folds",
    )
    assert found.level == "warning"
    blocks = splits_by(np.arange(300) // 5 % 5)  # whole series: only their ends have a neighbour elsewhere
    linked = np.arange(300) // 5
    assert neighbour_findings(rows, names, features, classes, blocks, linked, seen_by="embeddings") == []


@pytest.mark.parametrize("seed", range(10))
def test_unrelated_neighbours_are_no_series(samples, seed):
    features, classes = series(seed, blend=0.0)
    names = [f"photo_{row}.jpg" for row in range(300)]
    fold = np.arange(300) % 5
    assert neighbour_findings(samples({"label": classes}), names, features, classes, splits_by(fold), seen_by="x") == []


def test_nothing_to_compare():
    assert np.isnan(closeness(np.full((4, 2), np.nan), np.arange(4), np.zeros(4))[0])
    assert np.isnan(closeness(np.eye(3), np.arange(3), np.arange(3))[0])
