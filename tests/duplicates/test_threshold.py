"""The proposed threshold stands between look-alikes and copies, and says when nothing does."""

import numpy as np
import pytest

from outfold.duplicates.threshold import FALSE, FOUND, judge, propose_cosine, propose_threshold


def lookalikes(count, rng, middle=1.0, spread=0.3):
    return np.tanh(rng.normal(middle, spread, count))


def test_finds_copies_and_few_lookalikes():
    rng = np.random.default_rng(0)
    copies = {kind: np.tanh(rng.normal(4, 0.4, 200)) for kind in ("turned", "cropped")}
    alike, planted = lookalikes(20_000, rng), np.tanh(rng.normal(4, 0.4, 500))
    proposal = propose_threshold(copies, np.concatenate([alike, planted]), 0.5)
    assert min(proposal.found.values()) >= FOUND
    found, false = (planted >= proposal.threshold).sum(), (alike >= proposal.threshold).sum()
    assert found >= 0.95 * len(planted)
    assert false <= FALSE * found
    assert proposal.pairs == found + false
    assert "cropped" in proposal.explanation


def test_holds_where_hardly_anything_looks_alike():
    rng = np.random.default_rng(0)
    copies = {kind: np.tanh(rng.normal(4, 0.2, 200)) for kind in ("turned", "cropped")}
    proposal = propose_threshold(copies, np.concatenate([lookalikes(20_000, rng, 0.4, 0.1), np.full(300, 0.9999)]), 0.5)
    assert proposal.holds
    assert "does not both find" not in proposal.explanation


def test_says_when_no_threshold_does_both():
    rng = np.random.default_rng(0)
    copies = {"cropped": np.tanh(rng.normal(1.2, 0.4, 200)), "turned": np.ones(200)}
    proposal = propose_threshold(copies, lookalikes(20_000, rng), 0.5)
    assert not proposal.holds
    assert "does not both find" in proposal.explanation


def test_kinds_that_are_not_compared_do_not_pull_the_threshold_down():
    """Copies whose cosine was too low are missed at any threshold; what is found of the others decides."""
    rng = np.random.default_rng(0)
    cropped = np.where(np.arange(200) < 30, 0, np.tanh(rng.normal(4, 0.3, 200)))
    proposal = propose_threshold({"cropped": cropped}, lookalikes(5000, rng), 0.5)
    assert proposal.threshold > 0.95
    assert proposal.found["cropped"] == pytest.approx(0.85, abs=0.05)
    assert not proposal.holds


def test_expected_false_pairs_are_about_right():
    rng = np.random.default_rng(1)
    alike = lookalikes(50_000, rng)
    judged = judge(float(np.tanh(2.0)), {"turned": np.ones(10)}, alike, 0.5)
    truth = int((alike >= judged.threshold).sum())
    assert truth / 4 <= judged.false <= 4 * truth


def test_a_cosine_that_all_kinds_reach():
    kinds = {"turned": np.linspace(0.8, 1, 100), "cropped": np.linspace(0.3, 1, 100)}
    cosine = propose_cosine(kinds)
    assert 0.3 < cosine < 0.33
    assert propose_cosine({"cropped": np.full(10, -0.4)}) > 0


def test_no_copies_and_no_pairs():
    assert judge(0.97, {}, np.empty(0), 0.5).holds


def test_copies_among_the_lookalikes_are_mostly_not_counted():
    """Photos of one thing lie at all similarities; what is expected is far fewer than these, and on the safe side."""
    rng = np.random.default_rng(2)
    alike, akin = lookalikes(20_000, rng), np.tanh(rng.uniform(1.5, 3.5, 800))
    copies = {"turned": np.tanh(rng.uniform(2.6, 4, 200))}
    threshold = float(np.tanh(1.9))
    expected = judge(threshold, copies, np.concatenate([alike, akin]), 0.5).false
    assert (alike >= threshold).sum() <= expected <= (akin >= threshold).sum() / 3
