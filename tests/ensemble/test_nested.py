import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from outfold.ensemble import constrained, greedy, mean, nested, weighted
from outfold.ensemble.methods import METHODS, Options, check_method
from outfold.errors import DataError, RecipeError
from outfold.metrics import get_metric

AUC, LOSS = get_metric("roc_auc", "binary"), get_metric("log_loss", "binary")


def splits(n, k=5):
    fold = np.arange(n) % k
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(k)]


def noise(seed, n=300, count=12):
    rng = np.random.default_rng(seed)
    return (rng.random((n, 1)) < 0.3).astype(float), rng.random((count, n, 1))


@pytest.mark.parametrize("learn", [greedy, constrained])
def test_members_of_pure_noise_gain_nothing(learn):
    gains, optimism, sure = [], [], 0
    for seed in range(12):
        target, members = noise(seed)
        found = nested(members, target, splits(300), AUC, learn, n_resamples=100)
        gains.append(found.gain.difference.value)
        optimism.append(found.optimism)
        sure += found.gain.difference.low > 0
    assert abs(np.mean(gains)) < 3 * np.std(gains) / np.sqrt(12)  # nothing, but for chance
    assert sure <= 2
    assert min(optimism) > 0  # where the in-sample score pretends a gain every time
    assert np.mean(optimism) > 0.04


@pytest.mark.parametrize("learn", [greedy, constrained])
def test_a_real_difference_between_members_is_gained(learn):
    target, members = noise(1, n=1500, count=6)
    members[:2] = 1 / (1 + np.exp(1.5 - 2 * target - np.random.default_rng(2).normal(size=(2, 1500, 1))))
    found = nested(members, target, splits(1500), AUC, learn, groups=np.arange(1500) // 3)
    assert found.gain.difference.low > 0
    assert found.gain.units == 500
    assert found.score > found.members.max()
    assert abs(found.optimism) < 0.01
    assert found.weights[:2].sum() > 0.9
    assert_allclose(found.plain, AUC.function(target, mean(members)))


def test_each_fold_is_blended_as_if_it_were_not_there():
    target, members = noise(3, count=4)
    found = nested(members, target, splits(300), LOSS, constrained)
    for weights, (train, valid) in zip(found.by_fold, splits(300), strict=True):
        assert_allclose(weights, constrained(members[:, train], target[train], LOSS))
        assert_allclose(found.prediction[valid], weighted(members[:, valid], weights))
    upside_down = target.copy()
    valid = splits(300)[2][1]
    upside_down[valid] = 1 - target[valid]
    assert_allclose(
        nested(members, upside_down, splits(300), LOSS, constrained).prediction[valid], found.prediction[valid]
    )
    assert_allclose(found.weights, constrained(members, target, LOSS))
    assert_allclose(found.in_sample, LOSS.function(target, weighted(members, found.weights)))
    assert found.learned_on == (240,) * 5


def test_the_first_fold_in_time_has_nothing_to_learn_from():
    target, members = noise(3, count=3)
    ordered = [(np.arange(start), np.arange(start, start + 100)) for start in (0, 100, 200)]
    found = nested(members, target, ordered, LOSS, constrained)
    assert_allclose(found.by_fold[0], [1 / 3] * 3)
    assert_allclose(found.prediction[:100], mean(members)[:100])
    assert found.learned_on == (0, 100, 200)


def test_rows_that_are_blended_twice_or_never():
    target, members = noise(3, count=3)
    for wrong in (splits(300)[1:], splits(300) + splits(300)[:1]):
        with pytest.raises(DataError, match="held out by one split"):
            nested(members, target, wrong, LOSS, greedy)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_makes_a_blend_by_its_name(name):
    target, members = noise(1, count=3)
    method, options = METHODS[name], Options("binary", power=2, rounds=3)
    weights = np.full(3, 1 / 3) if method.learn is None else method.learn(members, target, AUC, options)
    blend = method.combine(members, weights, options)
    assert blend.shape == target.shape
    assert (blend >= members.min(axis=0) - 1e-9).all()
    assert (blend <= members.max(axis=0) + 1e-9).all()
    check_method(name, AUC, "binary")


def test_methods_that_do_not_fit():
    with pytest.raises(RecipeError, match="looks at more than the order"):
        check_method("rank_mean", LOSS, "binary")
    with pytest.raises(RecipeError, match="the task is a regression"):
        check_method("logit_mean", get_metric("rmse", "regression"), "regression")


def test_on_real_out_of_fold_predictions(shared_data):
    """The 8th place's own predictions of pasture masses, and a ridge regression on image features beside them."""
    from sklearn.linear_model import Ridge

    folder = shared_data("csiro")
    published = pd.read_csv(folder / "oof.csv").set_index("ID")
    folds = pd.read_csv(folder / "train_with_published_folds.csv").set_index("ID")
    published = published.loc[published.index.intersection(folds.index)]
    folds = folds.loc[published.index]
    ids = pd.read_csv(folder / "features_ids.csv").iloc[:, 0]
    features = pd.DataFrame(np.load(folder / "features.npy"), index=ids.str.extract(r"(ID\d+)")[0]).loc[published.index]
    masses = ["Dry_Green_g", "Dry_Dead_g", "Dry_Clover_g", "GDM_g", "Dry_Total_g"]
    target, fold = published[masses].to_numpy(), folds["fold"].to_numpy()
    held_out = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in np.unique(fold)]
    ridge = np.zeros_like(target)
    for train, valid in held_out:
        ridge[valid] = Ridge(alpha=300).fit(features.iloc[train], target[train]).predict(features.iloc[valid])
    members = np.stack([published[[f"pred_{mass}" for mass in masses]].to_numpy(), ridge])
    metric = get_metric("weighted_r2", "regression", [0.1, 0.1, 0.1, 0.2, 0.5])
    groups = folds["GroupID"].to_numpy()
    found = nested(members, target, held_out, metric, constrained, groups=groups, n_resamples=300)
    assert found.members[0] > found.members[1] + 0.05  # a fine-tuned network against frozen features
    assert found.weights[0] > 0.5
    assert found.gain.difference.low > 0  # equal weights would give the weaker one too much
    assert found.members[0] - 0.01 < found.score <= found.in_sample
