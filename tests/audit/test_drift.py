import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from outfold.audit import adversarial, embedding_drift, table_drift
from outfold.audit.features import Feature, category


def features(rng, n, m, shift):
    return [
        Feature("`age`", "column", np.r_[rng.normal(50, 10, n), rng.normal(50 + shift, 10, m)]),
        category("`sex`", "column", rng.choice(["m", "f"], n + m).tolist()),
        Feature("`score`", "column", np.where(rng.random(n + m) < 0.1, np.nan, rng.normal(size=n + m))),
    ]


def is_test(n, m):
    return np.arange(n + m) >= n


def test_shifted_columns_are_named(only):
    found = only(table_drift(features(np.random.default_rng(0), 400, 200, 20), is_test(400, 200)), "train-test-drift")
    assert found.level == "warning"
    assert "most of all `age` (0.9" in found.what
    assert "`sex`" not in found.what


@pytest.mark.parametrize("seed", range(8))
def test_tables_from_one_population_do_not_drift(seed):
    rng = np.random.default_rng(seed)
    assert table_drift(features(rng, 300, 150, 0), is_test(300, 150)) == []
    assert embedding_drift(rng.normal(size=(300, 40)), rng.normal(size=(150, 40))) == []


def test_embeddings_of_another_camera(only):
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(300, 64)), rng.normal(size=(150, 64))
    test[:, :8] += 1.0
    assert only(embedding_drift(train, test), "train-test-drift").level == "warning"


def test_a_linear_model_of_one_column_ranks_as_the_column_does():
    rng = np.random.default_rng(0)
    values = np.r_[rng.normal(0, 1, 3000), rng.normal(1, 1, 3000)]
    drift = adversarial(values[:, None], is_test(3000, 3000), np.arange(6000), linear=True)
    assert drift.auc == pytest.approx(roc_auc_score(is_test(3000, 3000), values), abs=0.002)
    assert drift.low < drift.auc < drift.high


def test_rows_of_one_group_do_not_tell_each_other():
    """Each site has its own look, and sites are dealt to the tables at random: knowing sites by heart is no drift."""
    rng = np.random.default_rng(0)
    site = np.arange(600) // 20
    looks = rng.normal(size=(30, 5))[site]
    test = np.isin(site, rng.choice(30, 10, replace=False))
    by_rows = adversarial(looks, test, np.arange(600), linear=False)
    by_sites = adversarial(looks, test, site, linear=False)
    assert by_rows.auc > 0.95
    assert by_sites.auc < 0.75


def test_a_table_of_one_group_cannot_be_judged():
    assert np.isnan(adversarial(np.ones((4, 1)), is_test(3, 1), np.arange(4), linear=True).auc)
