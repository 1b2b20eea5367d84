"""What the audit says of columns that members read: at training, and when they serve."""

import numpy as np

from outfold.audit import audit_dataset

N = 200


def columns(rows, **given):
    rng = np.random.default_rng(rows)
    return {
        "age": rng.integers(20, 80, rows).astype(float),
        "sex": rng.choice(["male", "female"], rows),
        "site": rng.choice(["arm", "leg"], rows),
        **given,
    }


INPUTS = {"numeric": ["age"], "categorical": [{"column": "sex", "codes": {"male": 1, "female": 0}}, "site"]}
RULES = {"input-never-varies", "input-without-code", "input-unseen-names", "input-not-served", "input-missing-in-test"}
RULES |= {"input-empty-in-source", "input-of-many-names"}


def findings(dataset, train, test=None):
    target = {"y": np.random.default_rng(5).integers(0, 2, N)}
    recipe, data = dataset(columns(N, **train) | target, "binary", "y", test=test, stage={"table": INPUTS})
    return {one.rule: one for one in audit_dataset(recipe, data) if one.rule in RULES}


def test_nothing_to_say_of_inputs_that_both_tables_have(dataset):
    assert findings(dataset, {}, columns(60)) == {}
    assert findings(dataset, {}) == {}


def test_an_input_that_never_varies(dataset):
    found = findings(dataset, {"site": ["arm"] * N})
    assert found["input-never-varies"].level == "warning"
    assert "`site`" in found["input-never-varies"].what


def test_an_input_that_one_of_the_tables_lacks(dataset):
    train = {"source": ["2020.csv"] * 150 + ["2019.csv"] * 50, "age": [40.0, 50.0] * 75 + [None] * 50}
    found = findings(dataset, train)["input-empty-in-source"]
    assert found.what == "the input `age` is empty in all rows of 2019.csv"


def test_names_of_rows_are_no_inputs(dataset):
    found = findings(dataset, {"site": [f"p{row // 4}" for row in range(N)]})["input-of-many-names"]
    assert "50 names in 200 training rows" in found.what


def test_names_without_a_code(dataset):
    found = findings(dataset, {"sex": ["male"] * (N - 3) + ["f", "f", None]})["input-without-code"]
    assert found.level == "note"
    assert "2 training rows" in found.what
    assert "f (2 rows)" in found.what


def test_names_that_training_never_saw(dataset):
    few = findings(dataset, {}, columns(60, site=["arm"] * 58 + ["eye", "moon"]))["input-unseen-names"]
    assert few.level == "note"
    assert "eye (1 row), moon (1 row)" in few.what
    many = findings(dataset, {}, columns(60, site=["ARM"] * 30 + ["leg"] * 30))["input-unseen-names"]
    assert many.level == "warning"
    assert many.impact == "50.0% of the test rows"


def test_inputs_that_are_not_there_when_they_serve(dataset):
    found = findings(dataset, {}, columns(60, age=[np.nan] * 60))
    assert found["input-not-served"].level == "error"
