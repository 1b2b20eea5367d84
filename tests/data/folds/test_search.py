import itertools
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from outfold.data.folds import stratified_group_kfold
from outfold.data.folds.objective import imbalance
from outfold.data.folds.scan import scan
from outfold.data.folds.search import search
from outfold.data.folds.strata import read_strata
from outfold.data.folds.swaps import swaps_kernel
from outfold.data.folds.tally import tally_rows
from outfold.errors import DataError

METHODS = ["greedy", "balanced"]


def table(made, k, surplus, classes=3):
    """Groups of different sizes, each with its own mixture of classes, and a second column of two classes."""
    rng = np.random.default_rng(made)
    groups = k + surplus
    group = np.append(np.arange(groups), rng.choice(groups, 4 * groups, p=rng.dirichlet(np.ones(groups))))
    mixtures = rng.dirichlet(np.full(classes, 0.5), groups)
    label = np.array([rng.choice(classes, p=mixtures[number]) for number in group])
    label[:2] = [0, 1]
    return group, pd.DataFrame({"label": label.astype(str), "positive": rng.integers(0, 2, len(group))})


cases = st.tuples(st.integers(0, 2**20), st.integers(2, 6), st.integers(0, 20), st.integers(0, 2**32 - 20))


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25, deadline=None)
@given(cases)
def test_whole_groups_no_empty_fold_and_the_seed_gives_the_folds_again(method, case):
    made, k, surplus, first = case
    groups, strata = table(made, k, surplus)
    found = search(groups, strata, k, seeds=12, first_seed=first, method=method, threads=2)
    assert found.fold.dtype == np.int64
    assert set(found.fold) == set(range(k))
    assert pd.Series(found.fold).groupby(groups).nunique().max() == 1
    assert found.imbalance.total == pytest.approx(imbalance(found.fold, strata).total, abs=1e-12)
    assert first <= found.seed < first + 12
    again = search(groups, strata, k, seeds=1, first_seed=found.seed, method=method)
    assert_array_equal(again.fold, found.fold)


@pytest.mark.parametrize("method", METHODS)
def test_the_number_of_threads_changes_nothing(method):
    groups, strata = table(0, 4, 12)
    found = [search(groups, strata, 4, seeds=1000, method=method, threads=threads) for threads in (1, 2, 5)]
    for other in found[1:]:
        assert other.seed == found[0].seed
        assert other.seeds_tried == found[0].seeds_tried
        assert_array_equal(other.fold, found[0].fold)


def test_greedy_finds_the_best_seed_there_is_and_the_smallest_of_equals():
    groups, strata = table(3, 3, 6)
    product = (strata["label"] + " | " + strata["positive"].astype(str)).to_numpy()
    folds = [stratified_group_kfold(product, groups, 3, seed) for seed in range(300)]
    totals = np.round([imbalance(fold, strata).total for fold in folds], 9)
    found = search(groups, strata, 3, seeds=300, method="greedy")
    assert found.seed == np.argmin(totals)
    assert_array_equal(found.fold, folds[found.seed])
    assert found.imbalance.total == pytest.approx(totals.min())
    assert found.reference["scikit-learn"].total == pytest.approx(totals[0])
    assert found.reference["scikit-learn, median seed"].total == pytest.approx(np.median(totals[:201]))


@pytest.mark.parametrize("made", range(4))
def test_balanced_finds_the_best_folds_there_are(made):
    groups, strata = table(made, 2, 6)
    best = min(
        imbalance(np.array(fold)[groups], strata).total
        for fold in itertools.product(range(2), repeat=8)
        if len(set(fold)) == 2
    )
    assert search(groups, strata, 2, seeds=200, patience=200).imbalance.total == pytest.approx(best, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(cases, st.sampled_from([0, 1, 50, 3000]))
def test_the_incremental_objective_is_the_plain_one(case, steps):
    made, k, surplus, first = case
    groups, strata = table(made, k, surplus)
    weights = {"label": 0.3, "rows": 2.0}
    tally = tally_rows(groups, read_strata(strata, len(groups), k=k), k, weights)
    values, fold_of_group = np.empty(3), np.empty(tally.n_groups, dtype=np.int64)
    swaps_kernel(tally, steps)(first, values, fold_of_group)
    expected = imbalance(fold_of_group[tally.group_of_row], strata, weights=weights).total
    assert values[-1] == pytest.approx(expected, abs=1e-12)
    assert tally.imbalance(fold_of_group) == pytest.approx(expected, abs=1e-12)


def test_weights_say_what_matters():
    groups, strata = table(1, 3, 9)
    even = search(groups, strata, 3, seeds=50, weights={"label": 0, "positive": 0}).imbalance
    alike = search(groups, strata, 3, seeds=50, weights={"rows": 0, "positive": 0}).imbalance
    assert even.rows < alike.rows
    assert alike.column("label") < even.column("label")


def test_group_sizes_are_spread_evenly():
    """Four large and sixteen small groups: sizes of folds alone would not part the large from the small."""
    groups = np.concatenate([np.repeat(np.arange(4), 8), np.repeat(np.arange(4, 20), 2)])
    found = search(groups, None, 2, seeds=20, group_sizes=True)
    assert found.imbalance.total == imbalance(found.fold, groups=groups).total == 0
    assert [len(set(groups[(found.fold == fold) & (groups < 4)])) for fold in (0, 1)] == [2, 2]


def test_group_sizes_are_cut_so_that_every_part_can_be_in_every_fold():
    groups = np.repeat(np.arange(12), np.arange(1, 13))
    strata = read_strata(None, len(groups), k=4, groups=groups)
    assert strata.columns == ("group_size",)
    assert set(strata.labels[0]) == {"1 to 4 rows", "5 to 8 rows", "9 to 12 rows"}
    alike = read_strata(None, 12, k=4, groups=np.repeat(np.arange(6), 2))
    assert alike.labels == (("2 rows",),)


def test_forms_of_strata_and_groups():
    groups, strata = table(2, 3, 5)
    label = strata["label"]
    found = [
        search(pd.Series(groups), given, 3, seeds=5)
        for given in (label, label.tolist(), {"strata": label}, pd.DataFrame({"strata": label.to_numpy()}))
    ]
    assert len({tuple(one.fold) for one in found}) == 1
    multilabel = search(groups, np.eye(3, dtype=int)[label.astype(int)], 3, seeds=5)
    assert list(multilabel.imbalance.strata) == ["0", "1", "2"]
    assert set(search(None, strata, 3, seeds=2).fold) == {0, 1, 2}


def test_rows_without_a_group_are_their_own():
    groups = ["a", "a", None, None, None, float("nan")]
    found = search(groups, None, 5, seeds=5)
    assert len(set(found.fold)) == 5
    assert found.fold[0] == found.fold[1]


def test_stopping_gives_the_best_so_far_of_a_range_without_gaps():
    groups, strata = table(5, 5, 20)
    seen = []
    stopped = search(
        groups,
        strata,
        5,
        seeds=10_000_000,
        method="greedy",
        threads=2,
        progress=lambda done, best: seen.append((done, best)),
        should_stop=lambda: len(seen) >= 3,
    )
    assert stopped.stopped
    assert stopped.seeds_tried < 10_000_000
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == stopped.seeds_tried
    assert seen[-1][1] == pytest.approx(stopped.imbalance.total)
    whole = search(groups, strata, 5, seeds=stopped.seeds_tried, method="greedy")
    assert whole.seed == stopped.seed
    assert whole.ending == "all"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 10), st.integers(1, 4))
def test_patience_runs_out_at_the_same_seed_whatever_the_chunks(values, patience, threads):
    def kernel(first, out, fold_of_group):
        time.sleep(0.0001)
        out[:] = [values[seed - 100] for seed in range(first, first + len(out))]

    best, ending, tried = 0, "all", len(values)
    for place, value in enumerate(values):
        if value < values[best] and place - best <= patience:
            best = place
        elif place - best == patience:
            ending, tried = "settled", place + 1
            break
    found = scan(kernel, 1, 100, len(values), threads=threads, patience=patience)
    assert (found.seed, found.value, found.tried) == (100 + best, values[best], tried)
    assert found.ending in (ending, "all") if tried == len(values) else found.ending == ending


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 1}, "cannot make 1 folds"),
        ({"k": 4}, "3 groups cannot make 4 folds"),
        ({"seeds": 0}, "range of seeds"),
        ({"first_seed": 2**32 - 1, "seeds": 2}, "range of seeds"),
        ({"method": "best"}, "no method 'best'"),
        ({"patience": 0}, "patience"),
        ({"strata": ["a", "b"]}, "different lengths"),
        ({"method": "greedy"}, "all rows are of one"),
        ({"weights": {"state": 1.0}}, "'state'"),
    ],
)
def test_nonsense_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        search([1, 1, 2, 3], **{"strata": None, "k": 2, "seeds": 2, **arguments})


def test_the_real_table_is_better_balanced_than_the_published_folds(shared_data):
    table = pd.read_csv(shared_data("csiro") / "train_with_published_folds.csv")
    state, dates = table[["State"]], table["Sampling_Date"]
    balanced = search(dates, state, seeds=400)
    greedy = search(dates, state, seeds=2000, method="greedy")
    published = imbalance(table["fold"], state)
    assert balanced.imbalance.total < greedy.imbalance.total < published.total
    assert balanced.imbalance.column("State") < 0.157
    assert round(greedy.imbalance.column("State"), 3) == 0.166
