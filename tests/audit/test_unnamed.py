import numpy as np
import pandas as pd
import pytest

from outfold.audit import audit_dataset, group_like_columns, splits_by, unnamed_groups
from outfold.audit.resemblance import intraclass_correlation, resemblance


def onehot(labels):
    return (np.asarray(labels)[:, None] == np.unique(labels)).astype(float)


def test_intraclass_correlation_against_the_anova_table():
    # Shrout and Fleiss (1979), table 2: six targets rated by four judges; ICC(1,1) is 0.17.
    ratings = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
    )
    codes = np.repeat(np.arange(6), 4)
    assert intraclass_correlation(codes, ratings.reshape(-1, 1)) == pytest.approx(0.17, abs=0.005)


def test_equal_rows_agree_fully_and_random_ones_not_at_all():
    rng = np.random.default_rng(0)
    codes = np.arange(300) // 3
    assert resemblance(codes, onehot(rng.integers(0, 4, 100)[codes])).agreement == pytest.approx(1)
    assert abs(resemblance(codes, onehot(rng.integers(0, 4, 300))).z) < 4


def test_constant_targets_and_single_rows_say_nothing():
    assert np.isnan(intraclass_correlation(np.arange(5), np.eye(5)))
    assert np.isnan(intraclass_correlation(np.array([0, 0, 1, 1]), np.ones((4, 1))))
    assert np.isnan(resemblance(np.full(4, -1), np.eye(4)).agreement)


def planted(seed=0, n=400):
    """Sixty patients with a label each; beside them quantities, categories, ids and unrelated groups."""
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, 60, n)
    label = rng.integers(0, 3, 60)[patient]
    age = 20 + label * 15 + rng.integers(-10, 10, n)
    columns = {
        "patient": [f"P-{number:03d}" for number in patient],
        "clinic": [f"C-{number // 4:02d}" for number in patient],
        "age": age,
        "where": np.array(["arm", "leg", "head"])[label],
        "room": [f"R{number}" for number in rng.integers(0, 30, n)],
        "shade": rng.normal(label, 1, n),
        "label": label,
    }
    return pd.DataFrame(columns)


@pytest.mark.parametrize("seed", range(5))
def test_only_the_planted_group_is_found(samples, seed):
    frame = planted(seed)
    rows = samples(frame)
    target = onehot(frame["label"])
    found = {one.name for one in group_like_columns(rows, target, ignore={"id", "label", "source", "source_row"})}
    assert found == {"patient", "clinic"}


def test_a_finer_column_is_named_with_the_coarser_one(samples, only):
    frame = planted()
    rows, target = samples(frame), onehot(frame["label"])
    columns = group_like_columns(rows, target, ignore={"id", "label"})
    found = unnamed_groups(rows, columns, splits_by(np.arange(len(frame)) % 5))
    assert len(found) == 1
    assert "`clinic` (and of `patient`)" in found[0].what


def test_a_group_that_folds_respect_is_no_finding(dataset):
    frame = planted()
    recipe, data = dataset(frame, "multiclass", "label", folds={"group": "clinic"})
    assert "unnamed-group" not in {one.rule for one in audit_dataset(recipe, data)}


@pytest.mark.parametrize(
    ("name", "target", "group"),
    [("ham10000", "dx", "lesion_id"), ("esc10", "label", "src_file"), ("ecustfd", "weight_g", "group_id")],
)
def test_real_groups_that_nobody_named(dataset, shared_data, only, name, target, group):
    frame = pd.read_csv(shared_data(name) / "labels.csv").rename(columns={"file": "id"})
    frame = frame.drop(columns=["fold"], errors="ignore")
    kind = "regression" if target == "weight_g" else "multiclass"
    found = only(audit_dataset(*dataset(frame, kind, target)), "unnamed-group")
    assert f"`{group}`" in found.what
    clean = audit_dataset(*dataset(frame, kind, target, folds={"group": group}))
    assert {one.level for one in clean} <= {"note"}


def test_object_id_is_too_fine_a_group_where_group_id_is_right(dataset, shared_data, only):
    frame = pd.read_csv(shared_data("ecustfd") / "labels.csv").rename(columns={"file": "id"})
    found = only(
        audit_dataset(*dataset(frame, "regression", "weight_g", folds={"group": "object_id"})), "unnamed-group"
    )
    assert "`group_id`" in found.what
    assert found.impact.startswith("427 judged rows of 1,667")
