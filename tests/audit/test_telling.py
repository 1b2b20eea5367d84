import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import TargetEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from outfold.audit import audit_dataset, splits_by, telling
from outfold.audit.features import Feature, FileFacts, category, column_features, name_features
from outfold.audit.telling import auc_by_column, predict_alone, r2_by_column, told_by


def test_auc_and_r2_against_scikit_learn():
    rng = np.random.default_rng(0)
    target = (rng.random((200, 3)) < [0.1, 0.5, 0.9]).astype(float)
    scores = np.round(rng.normal(size=(200, 3)) + target, 1)  # with ties
    assert auc_by_column(target, scores) == pytest.approx(
        [roc_auc_score(*pair) for pair in zip(target.T, scores.T, strict=True)]
    )
    values = rng.normal(size=(200, 3))
    assert r2_by_column(values, scores) == pytest.approx(
        [r2_score(*pair) for pair in zip(values.T, scores.T, strict=True)]
    )
    assert np.isnan(auc_by_column(np.ones((5, 1)), scores[:5, :1]))


def test_a_categorys_prediction_is_target_encoding():
    rng = np.random.default_rng(0)
    codes, fold = rng.integers(0, 6, 300), np.arange(300) % 3
    target = (rng.random(300) < codes / 6).astype(float)
    mine = predict_alone(codes, target[:, None], splits_by(fold))[:, 0]
    for number in range(3):
        train = fold != number
        encoder = TargetEncoder(smooth=5.0, target_type="continuous").fit(codes[train, None], target[train])
        theirs = encoder.transform(codes[~train, None])[:, 0] - target[train].mean()
        assert mine[~train] == pytest.approx(theirs)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_quantity_predicts_as_well_as_a_decision_tree(kind):
    rng = np.random.default_rng(1)
    size, fold = rng.lognormal(10, 0.5, 1500), np.arange(1500) % 5
    signal = np.sin(2 * np.log(size))  # not monotonous
    if kind == "binary":
        target = (rng.random(1500) < 1 / (1 + np.exp(-2 * signal))).astype(float)
        tree = DecisionTreeClassifier(min_samples_leaf=30)
        guess = cross_val_predict(tree, size[:, None], target, cv=PredefinedSplit(fold), method="predict_proba")[:, 1]
        reference = roc_auc_score(target, guess)
    else:
        target = signal + rng.normal(0, 0.5, 1500)
        tree = DecisionTreeRegressor(min_samples_leaf=30)
        reference = r2_score(target, cross_val_predict(tree, size[:, None], target, cv=PredefinedSplit(fold)))
    told = told_by(Feature("size", "file", size), target[:, None], ["y"], kind, splits_by(fold))
    assert told.score == pytest.approx(reference, abs=0.03)
    assert told.low < told.score < told.high


def test_an_id_of_a_group_is_not_telling_by_heart():
    rng = np.random.default_rng(0)
    group = np.arange(400) // 4
    target = rng.integers(0, 2, 100)[group].astype(float)[:, None]
    feature = category("`patient`", "column", [f"p{number}" for number in group])
    torn = told_by(feature, target, ["y"], "binary", splits_by(np.arange(400) % 5), with_interval=False)
    whole = told_by(feature, target, ["y"], "binary", splits_by(group % 5), with_interval=False)
    assert torn.score > 0.95
    assert whole.score == pytest.approx(0.5)


def test_file_facts_are_warnings_inputs_may_predict_and_the_answer_is_an_error(dataset, only):
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, 400)
    frame = pd.DataFrame({"age": rng.normal(2.2 * target, 1), "result": target * 2 + 1, "target": target})
    recipe, data = dataset(frame, "binary", "target")
    found = audit_dataset(recipe, data, inputs=["age", "result"])
    assert only(found, "input-is-the-answer").level == "error"
    assert only(found, "input-tells-target").level == "note"
    as_columns = only(audit_dataset(recipe, data), "column-tells-target")
    assert as_columns.level == "note"
    assert "2 things" in as_columns.what


def test_names_are_read_in_parts():
    features = {one.name: one for one in name_features("`file`", ["a/img_2.png", "a/img_10.png", "b/scan_7.jpg"] * 2)}
    assert set(features) == {
        "the folder of `file`",
        "the letters of `file`",
        "the ending of `file`",
        "the length of `file`",
        "the number in `file`",
    }
    assert features["the number in `file`"].values.tolist() == [2, 10, 7] * 2


def test_dates_are_days_and_words_are_categories():
    (date,) = column_features(pd.DataFrame({"day": ["2015/9/4", "2015/4/1", None] * 5}), "day")
    assert date.values[0] - date.values[1] == 156
    assert np.isnan(date.values[2])
    (word,) = column_features(pd.DataFrame({"site": ["a", "b", "a"] * 5}), "site")
    assert word.categories == ("a", "b")


def test_a_value_with_one_label_only_is_told_on_real_data(dataset, shared_data, only):
    frame = (
        pd.read_csv(shared_data("ham10000") / "labels.csv").rename(columns={"image_id": "id"}).drop(columns="target")
    )
    found = only(
        audit_dataset(*dataset(frame, "multiclass", "dx", folds={"group": "lesion_id"})), "column-tells-target"
    )
    assert found.level == "note"
    assert "1 thing in the table" in found.what
    assert "`dx_type`" in found.what
    assert "all 3,704 rows with 'follow_up' are nv" in found.impact


def test_files_that_are_all_alike_are_no_features():
    facts = FileFacts(np.full(5, 100.0), np.full(5, 8.0), np.full(5, 8.0), ("PNG RGB",) * 5)
    assert facts.features() == []
    assert telling([], np.ones((5, 1)), ["y"], "binary", splits_by(np.arange(5) % 2)) == []
