"""Table inputs: cells become numbers by what the training rows show, as in scikit-learn and a published system."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from outfold.data.table_columns import keys_of, log_group_rows, read_columns
from outfold.data.table_encoding import TableEncoder
from outfold.errors import DataError
from outfold.settings.table_inputs import TableInputs

SITES = ["anterior torso", "head/neck", "lateral torso", "lower extremity", "oral/genital"]
SITES += ["palms/soles", "posterior torso", "torso", "upper extremity"]

PUBLISHED = TableInputs.model_validate(
    {
        "numeric": [{"column": "age_approx", "divide": 90, "missing": 0}],
        "categorical": [{"column": "sex", "codes": {"male": 1, "female": 0}, "missing": -1}, "site"],
        "derived": ["log_group_rows", "log_file_bytes"],
        "group": "patient_id",
    }
)
"""The inputs of the winning solution of SIIM-ISIC 2020."""


def encoded(inputs: TableInputs, frame: pd.DataFrame, train: Any = None, **given: Any) -> pd.DataFrame:
    columns = read_columns([inputs], frame, **given)
    rows = np.arange(len(frame)) if train is None else np.asarray(train)
    encoder = TableEncoder.fit(inputs, columns, rows)
    return pd.DataFrame(encoder.transform(columns), columns=list(encoder.names))


def test_the_published_fourteen_inputs(tmp_path: Path) -> None:
    """Rows such as the real tables have, with the numbers that the published rules give them."""
    frame = pd.DataFrame(
        {
            "patient_id": ["IP_7279968", "IP_3075186", "IP_7279968", "-1", "-1", None, *["IP_0"] * 9],
            "sex": ["male", "female", None, "male", "unknown", "female", *["female"] * 9],
            "age_approx": [45.0, 90.0, np.nan, 30.0, 0.0, 85.0, *[45.0] * 9],
            "site": ["head/neck", "upper extremity", None, "torso", "palms/soles", None, *SITES],
        }
    )
    media = [tmp_path / f"{row}.jpg" for row in range(len(frame))]
    for row, path in enumerate(media):
        path.write_bytes(b"x" * (1000 + row))
    inputs = encoded(PUBLISHED, frame, media=media, unknown_group=[-1])
    assert inputs.shape[1] == 14
    assert list(inputs.columns[:2]) == ["age_approx", "sex"]
    np.testing.assert_allclose(inputs["age_approx"][:6], [0.5, 1, 0, 1 / 3, 0, 0.9444444], rtol=1e-6)
    np.testing.assert_array_equal(inputs["sex"][:6], [1, 0, -1, 1, -1, 0])
    log2, log3, log10 = 0.6931472, 1.0986123, 2.3025851
    np.testing.assert_allclose(inputs["log_group_rows"][:7], [log3, log2, log3, log2, log2, log2, log10], rtol=1e-6)
    np.testing.assert_allclose(inputs["log_file_bytes"][[0, 5]], [6.9077554, 6.9127426], rtol=1e-6)
    sites = inputs.filter(like="site")
    assert list(sites.columns) == [*(f"site={name}" for name in SITES), "site missing"]
    np.testing.assert_array_equal(sites.to_numpy()[[0, 2]], np.eye(10)[[1, 9]])


def test_numbers_are_standardised_as_scikit_learn_does() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(40, 12, 50)
    values[generator.permutation(50)[:9]] = np.nan
    train = generator.permutation(50)[:30]
    scaler = StandardScaler().fit(values[train, None])
    expected = scaler.transform(values[:, None])[:, 0]
    inputs = encoded(TableInputs(numeric=["age"]), pd.DataFrame({"age": values}), train)
    np.testing.assert_allclose(inputs["age"], np.nan_to_num(expected), atol=1e-6)
    np.testing.assert_array_equal(inputs["age missing"], np.isnan(values))


def test_names_are_one_hot_as_in_scikit_learn() -> None:
    frame = pd.DataFrame({"site": ["leg", "arm", "leg", "ear", "arm", "eye"]})
    reference = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(frame[["site"]].to_numpy()[:4])
    inputs = encoded(TableInputs(categorical=["site"]), frame, [0, 1, 2, 3])
    assert list(inputs.columns) == ["site=arm", "site=ear", "site=leg", "site missing"]
    np.testing.assert_array_equal(inputs.to_numpy()[:, :3], reference.transform(frame[["site"]].to_numpy()))
    assert not inputs["site missing"].any()  # no training row is missing: the input never fired, and must not now


def test_missing_and_unseen_names_share_a_state_that_training_has_seen() -> None:
    frame = pd.DataFrame({"site": ["leg", None, "arm", "eye", "  "]})
    inputs = encoded(TableInputs(categorical=["site"]), frame, [0, 1, 2])
    np.testing.assert_array_equal(inputs["site missing"], [0, 1, 0, 1, 1])
    np.testing.assert_array_equal(inputs.sum(axis=1), 1)


def test_a_missing_number_where_training_had_none_is_the_mean_and_counted() -> None:
    inputs, frame = TableInputs(numeric=["age"], categorical=["site"]), pd.DataFrame({"age": [1.0, 3.0, None, 2.0]})
    frame["site"] = ["arm", "leg", "eye", None]
    columns = read_columns([inputs], frame)
    encoder = TableEncoder.fit(inputs, columns, np.array([0, 1]))
    np.testing.assert_array_equal(encoder.transform(columns)[2], [0, 0, 0, 0, 0])
    assert encoder.unfamiliar(columns, np.arange(4)) == {"number age": 1, "name site": 2}
    assert encoder.unfamiliar(columns, np.array([0, 1])) == {}


def test_numbers_divided_and_filled_as_the_recipe_says() -> None:
    frame = pd.DataFrame({"age": [45.0, None, 90.0]})
    kept = encoded(TableInputs(numeric=[{"column": "age", "divide": 90}]), frame)
    np.testing.assert_allclose(kept, [[0.5, 0], [0.75, 1], [1, 0]])
    filled = encoded(TableInputs(numeric=[{"column": "age", "missing": -3}]), frame)
    np.testing.assert_allclose(filled, [[-1], [-3], [1]])


def test_logarithms_are_taken_first() -> None:
    """Of sizes, with the sign; gaps are the mean of logarithms."""
    frame = pd.DataFrame({"height": [0.0, 1.0, 70.0, None, -4.0]})
    logs = np.array([0, np.log(2), np.log(71), np.nan, -np.log(5)])
    inputs = encoded(TableInputs(numeric=[{"column": "height", "log": True}]), frame, [0, 1, 2])
    mean, deviation = logs[:3].mean(), logs[:3].std()
    expected = np.where(np.isnan(logs), 0, (logs - mean) / deviation)
    np.testing.assert_allclose(inputs["height"], expected, rtol=1e-6, atol=1e-7)
    divided = encoded(TableInputs(numeric=[{"column": "height", "log": True, "divide": 2}]), frame, [0, 1, 2])
    np.testing.assert_allclose(divided["height"][:3], logs[:3] / 2, rtol=1e-6)


def test_encoders_of_earlier_versions_are_read() -> None:
    columns = read_columns([TableInputs(numeric=["age"])], pd.DataFrame({"age": [1.0, 2.0, 4.0]}))
    encoder = TableEncoder.fit(TableInputs(numeric=["age"]), columns, np.arange(3))
    record = encoder.to_dict()
    del record["columns"][0]["log"]
    np.testing.assert_array_equal(TableEncoder.from_dict(record).transform(columns), encoder.transform(columns))


def test_a_constant_column_is_zero() -> None:
    frame = pd.DataFrame({"age": [0.1 + 0.2] * 7})
    np.testing.assert_allclose(encoded(TableInputs(numeric=["age"]), frame), 0, atol=1e-15)


def test_names_do_not_depend_on_the_type_a_table_gives_them() -> None:
    """Whole numbers are floats wherever a gap or a fraction is beside them; booleans and texts stay what they are."""
    inputs = TableInputs(categorical=["grade"])
    train = read_columns([inputs], pd.DataFrame({"grade": [1.0, 2.0, np.nan]}))
    encoder = TableEncoder.fit(inputs, train, np.arange(3))
    for later in ([2, 1], pd.array([2, 1], dtype="Int64"), ["2", "1"], [2.0, 1.0]):
        columns = read_columns([inputs], pd.DataFrame({"grade": later}))
        np.testing.assert_array_equal(encoder.transform(columns), [[0, 1, 0], [1, 0, 0]])


def test_rows_of_a_group_are_counted_within_the_table() -> None:
    frame = pd.DataFrame({"patient": [1, 2, 1, -1, -1, 1]})
    np.testing.assert_allclose(np.expm1(log_group_rows(frame, "patient", [-1, None])), [3, 1, 3, 1, 1, 3])
    np.testing.assert_allclose(np.expm1(log_group_rows(frame, "patient")), [3, 1, 3, 2, 2, 3])
    nobody = pd.DataFrame({"patient": [None, None]})
    np.testing.assert_allclose(np.expm1(log_group_rows(nobody, "patient")), [1, 1])


def test_what_several_members_read_is_read_once() -> None:
    one = TableInputs(numeric=["age"], categorical=["site"])
    two = TableInputs(numeric=["size"], derived=["log_group_rows"], group="site")
    frame = pd.DataFrame({"age": [1, 2], "size": [3, 4], "site": ["a", "b"]})
    columns = read_columns([one, two, one], frame)
    assert list(columns) == [*keys_of(one), *keys_of(two)]


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ([40.0, "old", 30.0], ["'age'", "row 1", "'old'"]),
        ([40.0, 30.0, np.inf], ["'age'", "row 2", "'inf'"]),
        ([40.0, 1e300, np.nan], ["'age'", "row 1", "1e+300"]),
    ],
)
def test_cells_that_are_no_numbers(cells: list[Any], says: list[str]) -> None:
    with pytest.raises(DataError) as raised:
        read_columns([TableInputs(numeric=["age"])], pd.DataFrame({"age": cells}))
    for part in says:
        assert part in str(raised.value)


def test_columns_and_files_that_are_not_there(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [1.0, 2.0], "sex": [None, None]})
    with pytest.raises(DataError, match="no column 'agee'") as raised:
        read_columns([TableInputs(numeric=["agee"])], frame, table="train.csv")
    assert "train.csv" in str(raised.value)
    assert "did you mean 'age'" in str(raised.value)
    with pytest.raises(DataError, match="needs files"):
        read_columns([TableInputs(derived=["log_file_bytes"])], frame)
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(DataError, match="row 1"):
        read_columns([TableInputs(derived=["log_file_bytes"])], frame, [tmp_path / "a", tmp_path / "b"])
    for inputs in (TableInputs(categorical=["sex"]), TableInputs(numeric=["sex"])):
        with pytest.raises(DataError, match="'sex' is empty in all 2 training rows"):
            TableEncoder.fit(inputs, read_columns([inputs], frame), np.arange(2))


def test_names_of_which_none_has_a_code() -> None:
    inputs = TableInputs(categorical=[{"column": "sex", "codes": {"male": 1, "female": 0}}])
    columns = read_columns([inputs], pd.DataFrame({"sex": ["M", "F", None, "male"]}))
    with pytest.raises(DataError, match="'sex' has a number in `codes`") as raised:
        TableEncoder.fit(inputs, columns, np.arange(3))
    assert "M, F" in str(raised.value)
    encoder = TableEncoder.fit(inputs, columns, np.arange(4))
    np.testing.assert_array_equal(encoder.transform(columns), [[-1], [-1], [-1], [1]])
    assert encoder.unfamiliar(columns, np.arange(4)) == {"name sex": 2}


CELLS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.floats(-1e6, 1e6, allow_subnormal=False)), st.sampled_from(["a", "b", "c", "d", None])
    ),
    min_size=2,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(cells=CELLS, data=st.data())
def test_properties_of_the_encoder(cells: list[tuple[float | None, str | None]], data: st.DataObject) -> None:
    """Order of rows does not matter, other rows are not looked at, and JSON keeps every digit."""
    frame = pd.DataFrame({"age": [1.0, *(age for age, _ in cells)], "site": ["a", *(site for _, site in cells)]})
    inputs = TableInputs(numeric=["age"], categorical=["site"])
    columns = read_columns([inputs], frame)
    train = np.array([0, *data.draw(st.sets(st.integers(1, len(cells))))])
    encoder = TableEncoder.fit(inputs, columns, train)
    rows = encoder.transform(columns)
    assert np.isfinite(rows).all()
    assert set(rows[:, 1:].flatten()) <= {0.0, 1.0}

    order = np.array(data.draw(st.permutations(range(len(frame)))))
    shuffled = {key: column[order] for key, column in columns.items()}
    np.testing.assert_array_equal(encoder.transform(shuffled), rows[order])

    spoilt = {key: column.copy() for key, column in columns.items()}
    others = np.setdiff1d(np.arange(len(frame)), train)
    spoilt["number age"][others], spoilt["name site"][others] = 1e9, "new"
    assert TableEncoder.fit(inputs, spoilt, train) == encoder

    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again == encoder
    np.testing.assert_array_equal(again.transform(columns), rows)


def test_a_real_table(shared_data: Any) -> None:
    """The photos' table of HAM10000: ages as scikit-learn scales them, gaps and sites counted."""
    frame = pd.read_csv(shared_data("ham10000") / "labels.csv")
    inputs = TableInputs(
        numeric=["age"], categorical=["sex", "site_general"], derived=["log_group_rows"], group="lesion_id"
    )
    train = np.arange(0, len(frame), 2)
    rows = encoded(inputs, frame, train)
    expected = StandardScaler().fit(frame[["age"]].to_numpy()[train]).transform(frame[["age"]].to_numpy())[:, 0]
    np.testing.assert_allclose(rows["age"], np.nan_to_num(expected), atol=1e-5)
    counts = frame.groupby("lesion_id")["image_id"].transform("size")
    np.testing.assert_allclose(rows["log_group_rows"], np.log1p(counts), rtol=1e-6)
    assert rows["site_general missing"].sum() == frame["site_general"].isna().sum()
