import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose

from outfold.errors import DataError
from outfold.metrics import Leaderboard, Metric, disagreement, get_metric, leaderboard, simulate_ranks
from outfold.metrics.statistic import Statistic

MAE = get_metric("mae", "regression")


def errors(n: int = 500, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A target of zeros and errors between 0 and 1, each (n, 1)."""
    return np.zeros((n, 1)), np.random.default_rng(seed).random((n, 1))


@pytest.fixture
def weights_seen() -> tuple[Metric, list[np.ndarray]]:
    """A metric that keeps the row weights it is asked for: of public parts, of private parts, and again."""
    seen: list[np.ndarray] = []

    def kernel(target: np.ndarray, prediction: np.ndarray) -> Statistic:
        return lambda weights: seen.append(weights) or weights.sum(axis=0)

    return Metric("seen", {"regression": kernel}, "value"), seen


def test_rows_are_drawn_and_split_by_the_share(weights_seen: tuple[Metric, list[np.ndarray]]) -> None:
    metric, seen = weights_seen
    board = leaderboard(metric, *errors(90), n_test=200, public_share=0.25, n_resamples=40)
    assert (board.public == 50).all()
    assert (board.private == 150).all()
    assert (board.rows, board.public_rows) == (200, 50)
    public = np.concatenate(seen[::2], axis=1)
    assert_allclose(public.mean(), 50 / 90)
    assert 0.3 < public.std() < 1.2  # with replacement: close to Poisson


def test_whole_groups_are_drawn_and_split(weights_seen: tuple[Metric, list[np.ndarray]]) -> None:
    metric, seen = weights_seen
    groups = np.repeat(np.arange(20), np.arange(1, 21))  # 210 rows, groups of 1 to 20
    rows = np.random.default_rng(0).permutation(210)
    board = leaderboard(metric, *errors(210), groups[rows], n_test=300, public_share=0.3, n_resamples=50)
    public, private = np.concatenate(seen[::2], axis=1), np.concatenate(seen[1::2], axis=1)
    for part in (public, private):
        for group in range(20):
            assert (np.ptp(part[groups[rows] == group], axis=0) == 0).all()
    assert ((board.public >= 90) & (board.public < 90 + 20)).all()
    total = board.public + board.private
    assert ((total >= 300) & (total < 300 + 20)).all()


def test_rows_of_whole_groups_are_dealt_to_both_parts(weights_seen: tuple[Metric, list[np.ndarray]]) -> None:
    metric, seen = weights_seen
    groups = np.random.default_rng(0).integers(0, 12, 120)
    board = leaderboard(metric, *errors(120), groups, n_test=100, public_share=0.3, split="row", n_resamples=50)
    both = np.concatenate(seen[::2], axis=1) + np.concatenate(seen[1::2], axis=1)
    for group in range(12):
        assert (np.ptp(both[groups == group], axis=0) == 0).all()
    assert (board.public == 30).all()
    assert (board.private >= 70).all()


def test_the_scatter_of_a_mean() -> None:
    target, error = errors()
    board = leaderboard(MAE, target, error, n_test=400, public_share=0.25, n_resamples=3000)
    assert_allclose(board.public.mean(), error.mean(), atol=0.002)
    assert_allclose(board.public.std(), error.std() / np.sqrt(100), rtol=0.06)
    assert_allclose(board.private.std(), error.std() / np.sqrt(300), rtol=0.06)
    assert_allclose(board.gap.std(), error.std() * np.sqrt(1 / 100 + 1 / 300), rtol=0.06)


def test_groups_of_copies_count_as_one_row() -> None:
    target, error = errors(60)
    rows = np.repeat(np.arange(60), 10)
    board = leaderboard(MAE, target[rows], error[rows], rows, n_test=400, public_share=0.25, n_resamples=3000)
    assert_allclose(board.public.std(), error.std() / np.sqrt(10), rtol=0.06)
    mixed = leaderboard(MAE, target[rows], error[rows], rows, n_test=400, split="row", n_resamples=500)
    assert np.corrcoef(board.public, board.private)[0, 1] < 0.1
    assert np.corrcoef(mixed.public, mixed.private)[0, 1] > 0.7
    assert mixed.gap.std() < 0.5 * board.gap.std()


def test_the_seed_decides_and_chunks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    target, error = errors(80)
    groups = np.arange(80) // 3

    def scores(seed: int) -> np.ndarray:
        return leaderboard(MAE, target, error, groups, n_test=50, n_resamples=50, seed=seed).gap

    first = scores(1)
    assert (scores(1) == first).all()
    assert (scores(2) != first).any()
    monkeypatch.setattr("outfold.metrics.leaderboards.WEIGHTS_AT_ONCE", 1)
    assert_allclose(scores(1), first, rtol=1e-12)


def test_parts_of_one_class_are_counted() -> None:
    target = np.zeros((50, 1))
    target[:2] = 1
    prediction = np.random.default_rng(0).random((50, 1))
    board = leaderboard(get_metric("roc_auc", "binary"), target, prediction, n_test=40, n_resamples=500)
    expected = 500 * (1 - (1 - 0.96**12) * (1 - 0.96**28))
    assert board.undefined == pytest.approx(expected, abs=50)


def test_the_order_of_two_models() -> None:
    target, error = errors()

    def board(prediction: np.ndarray, seed: int = 0) -> Leaderboard:
        return leaderboard(MAE, target, prediction, n_test=300, n_resamples=1000, seed=seed)

    other = np.random.default_rng(1).permutation(error)
    assert disagreement(board(error), board(0.5 * error)) == 0
    assert disagreement(board(error), board(error)) == 0.5
    assert disagreement(board(error), board(other)) == pytest.approx(0.5, abs=0.06)
    # Gains of a public and a private part are independent and close to normal.
    better = other - 0.02
    gain = (np.abs(error) - np.abs(better))[:, 0]
    public, private = (scipy.stats.norm.cdf(gain.mean() / (gain.std() / np.sqrt(n))) for n in (90, 210))
    expected = public * (1 - private) + private * (1 - public)
    assert disagreement(board(error), board(better)) == pytest.approx(expected, abs=0.05)


def as_good(scores: np.ndarray) -> Leaderboard:
    return Leaderboard(get_metric("accuracy", "binary"), 100, 30, *scores)


def normal(seed: int, size: tuple[int, ...] = (2, 20_000)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_of_normal_scores(sign: int) -> None:
    board = as_good(0.8 + 0.1 * normal(0))
    if sign < 0:
        board = Leaderboard(MAE, 100, 30, -board.public, -board.private)
    ranks = simulate_ranks(board, 20, n_leaderboards=4000)
    assert_allclose(sign * ranks.first, 0.8 + 0.1 * 1.867, atol=0.005)  # the mean of the largest of 20 normal numbers
    assert_allclose(sign * ranks.median, 0.8, atol=0.005)
    assert_allclose(sign * ranks.last, 0.8 - 0.1 * 1.867, atol=0.005)
    assert_allclose(sign * ranks.winner_private, 0.8, atol=0.006)
    assert_allclose(np.bincount(ranks.winner_rank.astype(int))[1:] / 4000, 1 / 20, atol=0.015)


def test_a_winner_whose_parts_go_together_stays_in_front() -> None:
    common, noise = normal(0)
    same = simulate_ranks(as_good(np.stack([common, common])), 50)
    assert (same.winner_rank == 1).all()
    related = simulate_ranks(as_good(np.stack([common, 0.8 * common + 0.6 * noise])), 50)
    assert_allclose(related.winner_private, 0.8 * related.first, atol=0.05)
    assert 1 < np.median(related.winner_rank) < 10


def test_teams_on_one_test_set_differ_as_much_as_model_and_rival() -> None:
    shared, model, rival = normal(0, (3, 2, 20_000))
    board, other = as_good(shared + 0.1 * model), as_good(5 + shared + 0.1 * rival)
    ranks = simulate_ranks(board, 20, other, n_leaderboards=4000)
    assert_allclose(ranks.first - ranks.median, 0.1 * 1.867, rtol=0.05)
    assert_allclose(ranks.first - ranks.last, 0.1 * 2 * 1.867, rtol=0.05)
    assert np.median(ranks.winner_rank) == pytest.approx(10.5, abs=1)
    alike = simulate_ranks(board, 20, board)
    assert alike.first == alike.last
    assert (alike.winner_rank == 1).all()


@pytest.mark.parametrize("share", [0.0, 0.001, 1.0, 1.5])
def test_a_part_without_rows(share: float) -> None:
    with pytest.raises(DataError, match="would be empty"):
        leaderboard(MAE, *errors(), n_test=100, public_share=share)


@pytest.mark.parametrize("teams", [1, 51])
def test_too_few_or_too_many_teams(teams: int) -> None:
    with pytest.raises(DataError, match="so many teams"):
        simulate_ranks(leaderboard(MAE, *errors(), n_test=100, n_resamples=50), teams)
