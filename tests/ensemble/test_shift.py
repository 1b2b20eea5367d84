"""Train against test: clean data raises no alarm, a planted shift does, and smoother test means are no shift."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge

from outfold.data.folds import group_kfold
from outfold.data.predictions import softmax
from outfold.ensemble.shift import adversarial, as_held_out, divergence, donors
from outfold.errors import DataError

CLASSES, MODELS = 4, 5


def simulated(seed, *, n=1500, t=900, members=3, shift=0.0, drift_of=0, twins=0.0):
    """Rows that models of five folds see with noise of their own.

    Returns:
        By member: out-of-fold probabilities (n, k), all models' test logits (f, t, k), held_out bool (f, n).
    """
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n + t, CLASSES)) * [1.5, 1, 1, 0.5]
    rows[n:, 1] += twins * (rows[n:, 0] - rows[n:, 1])  # classes 0 and 1 look alike in the test table
    held_out = np.arange(n)[None] % MODELS == np.arange(MODELS)[:, None]
    oof, test = [], []
    for member in range(members):
        seen = rows + rng.normal(size=(MODELS, n + t, CLASSES)) * 0.8
        if member == drift_of:
            seen[:, n:, 2] += shift
        oof.append(softmax(seen[:, :n][held_out.argmax(axis=0), np.arange(n)]))
        test.append(seen[:, n:])
    return oof, test, held_out


def fair(test, held_out, seed=0):
    donor = donors(held_out.shape[1], test[0].shape[1], seed)
    return [softmax(as_held_out(one, held_out, donor)) for one in test]


@pytest.mark.parametrize("seed", range(4))
def test_clean_data_raises_no_alarm_and_fold_means_are_not_mistaken_for_a_shift(seed):
    oof, test, held_out = simulated(seed)
    found = adversarial(oof, fair(test, held_out))
    assert not found.alarming
    assert abs(found.auc - 0.5) < 0.05
    assert np.abs(found.importance).max() < 0.03
    smoother = adversarial(oof, [softmax(one.mean(axis=0)) for one in test])
    assert smoother.auc > 0.6  # what a comparison with plain fold means would have called a shift
    assert smoother.alarming
    for before, after in zip(oof, fair(test, held_out), strict=True):
        assert not divergence(before, after, n_resamples=100).flagged.any()


def test_a_planted_shift_is_found_and_belongs_to_its_member():
    oof, test, held_out = simulated(1, shift=1.0, drift_of=1)
    found = adversarial(oof, fair(test, held_out))
    assert found.alarming
    assert found.low > 0.6
    assert found.importance.argmax() == 1
    assert found.importance[1] > 5 * np.abs(found.importance[[0, 2]]).max()
    assert found.rows == (1500, 900)


def test_classes_that_look_alike_in_the_test_table_are_flagged():
    oof, test, held_out = simulated(2, twins=0.8)
    for before, after in zip(oof, fair(test, held_out), strict=True):
        found = divergence(before, after, n_resamples=100)
        assert found.flagged[0, 1]
        assert found.difference[0, 1] < -0.2
        assert_allclose(found.train, np.corrcoef(before.T))
        assert_allclose(found.test, np.corrcoef(after.T))
        assert_allclose(found.difference, found.difference.T)


def test_chance_is_wider_among_groups_of_copies():
    oof, test, held_out = simulated(3, n=150, t=900)
    copies = np.arange(1500) % 150
    by_row, by_group = (
        divergence(oof[0][copies], fair(test, held_out)[0], groups, n_resamples=100) for groups in (None, copies)
    )
    assert (by_group.limit[0, 1:] > 1.3 * by_row.limit[0, 1:]).all()
    assert_allclose(by_group.difference, by_row.difference)


def test_false_alarms_of_the_divergence_are_rare():
    flagged = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        mix = rng.normal(size=(6, 6))
        flagged += divergence(*(rng.normal(size=(n, 6)) @ mix for n in (300, 200)), n_resamples=100).flagged.any()
    assert flagged <= 7  # 5% of 40, and what 100 resamples leave


def pasture_members(folder, is_test):
    """Three ridge regressions of pasture masses on image features, of five folds by date; the groups of all rows."""
    table = pd.read_csv(folder / "train_with_published_folds.csv")
    rows = pd.read_csv(folder / "features_ids.csv")["ID"]
    features = pd.DataFrame(np.load(folder / "features.npy"), index=rows).loc[table["ID"]].to_numpy()
    masses = table[["Dry_Green_g", "Dry_Dead_g", "Dry_Clover_g"]].to_numpy()
    groups, apart = table["GroupID"].to_numpy(), is_test(table)
    train, test = np.flatnonzero(~apart), np.flatnonzero(apart)
    fold = group_kfold(groups[train], MODELS, 0)
    held_out = fold == np.arange(MODELS)[:, None]
    oof, later = [], []
    for alpha, columns in ((30, slice(0, 768, 2)), (300, slice(1, 768, 2)), (3000, slice(None))):
        inputs, own, new = features[:, columns], np.zeros((len(train), 3)), []
        for valid in held_out:
            model = Ridge(alpha=alpha).fit(inputs[train[~valid]], masses[train[~valid]])
            own[valid] = model.predict(inputs[train[valid]])
            new.append(model.predict(inputs[test]))
        oof.append(own)
        later.append(np.stack(new))
    donor = donors(len(train), len(test))
    return oof, [as_held_out(one, held_out, donor) for one in later], groups[train], groups[test]


def test_real_pastures_of_another_state_are_told_from_those_of_the_training_rows(shared_data):
    folder = shared_data("csiro")

    def alarming(is_test):
        return adversarial(*pasture_members(folder, is_test)).alarming

    def at_random(seed):
        """Two fifths of the 28 dates."""
        chosen = np.random.default_rng(seed).permutation(28)[:11]
        return lambda table: np.isin(pd.factorize(table["GroupID"])[0], chosen)

    assert sum(alarming(at_random(seed)) for seed in range(8)) <= 1  # intervals over so few groups are narrow
    assert alarming(lambda table: (table["State"] == "Vic").to_numpy())


def test_a_test_row_gets_the_models_of_its_donor():
    rng = np.random.default_rng(0)
    test = rng.random((4, 5, 2))
    held_out = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 0], [0, 1, 1, 1]], dtype=bool)  # two seeds of two folds
    donor = np.array([0, 3, 1, 2, 0])
    expected = [test[held_out[:, one], row].mean(axis=0) for row, one in enumerate(donor)]
    assert_allclose(as_held_out(test, held_out, donor), expected)
    drawn = donors(7, 23, seed=3)
    assert np.bincount(drawn, minlength=7).min() == 3
    assert np.bincount(drawn, minlength=7).max() == 4
    with pytest.raises(DataError, match="held out by no model"):
        as_held_out(test, held_out & (np.arange(4) != 2), donor)


def test_an_output_that_never_changes_has_no_correlation():
    rng = np.random.default_rng(0)
    values = rng.random((200, 3))
    values[:, 1] = 0.25
    found = divergence(values, values[:100], n_resamples=50)
    assert np.isnan(found.difference[1]).all()
    assert not found.flagged.any()
    assert np.isfinite(found.limit[0, 2])


def test_too_few_groups_say_nothing():
    rng = np.random.default_rng(0)
    found = adversarial([rng.random((50, 2))], [rng.random((50, 2))], np.arange(50) // 25)
    assert np.isnan(found.auc)
    assert not found.alarming
