"""What outputs mean: the way to the loss and back, signs and sums, and records of earlier versions."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from outfold.data.target_space import TargetSpace, refuse_negative
from outfold.data.targets import TargetScaler
from outfold.errors import DataError
from outfold.settings.network import Outputs

TARGETS = ("green", "dead", "clover", "gdm", "total")
SUMS = {"gdm": ("green", "clover"), "total": ("gdm", "dead")}
GRAMS = np.random.default_rng(0).gamma(2.0, (10.0, 5.0, 2.0, 12.0, 17.0), (60, 5)).astype(np.float32)
WILD = arrays(np.float32, (9, 5), elements=st.floats(-50, 50, width=32))

SIGNS, RULES = ("none", "softplus", "clip"), ("report", "derive", "construct")
EVERY = [
    Outputs(scale=scale, **{curve: True} if curve else {}, positive=sign, identities=rule)
    for scale in ("standard", "none")
    for curve in ("", "log", "sqrt")
    for sign in SIGNS
    for rule in RULES
    if not (curve and (rule == "construct" or sign == "softplus"))
]


def space_of(outputs: Outputs, values: np.ndarray = GRAMS) -> TargetSpace:
    return TargetSpace.fit(values, TARGETS, outputs, SUMS)


def test_without_settings_it_is_the_scaler_bit_for_bit() -> None:
    space, scaler = space_of(Outputs()), TargetScaler.fit(GRAMS)
    outputs = np.random.default_rng(1).normal(size=GRAMS.shape).astype(np.float32)
    assert_array_equal(space.encode(GRAMS), scaler.transform(GRAMS))
    assert_array_equal(space.decode(outputs), scaler.inverse(outputs))


def test_nothing_is_scaled_where_the_loss_sees_the_users_unit() -> None:
    space = space_of(Outputs(scale="none"))
    assert_array_equal(space.encode(GRAMS), GRAMS)
    assert_array_equal(space.decode(GRAMS - 10), GRAMS - 10)


@pytest.mark.parametrize("outputs", EVERY, ids=str)
def test_there_and_back(outputs: Outputs) -> None:
    space = space_of(outputs)
    values = GRAMS if outputs.identities == "report" else space.decode(space.encode(GRAMS))  # labels may break sums
    back = space.decode(space.encode(values))
    assert back.dtype == np.float32
    assert_allclose(back, values, rtol=3e-6, atol=1e-5)


@pytest.mark.parametrize("outputs", [one for one in EVERY if one.log], ids=str)
def test_logarithms_are_what_is_standardised(outputs: Outputs) -> None:
    logs = np.log1p(GRAMS.astype(np.float64))
    expected = (logs - logs.mean(axis=0)) / logs.std(axis=0) if outputs.scale == "standard" else logs
    assert_allclose(space_of(outputs).encode(GRAMS), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outputs", [one for one in EVERY if one.sqrt], ids=str)
def test_roots_are_what_is_standardised(outputs: Outputs) -> None:
    roots = np.sqrt(GRAMS.astype(np.float64))
    expected = (roots - roots.mean(axis=0)) / roots.std(axis=0) if outputs.scale == "standard" else roots
    assert_allclose(space_of(outputs).encode(GRAMS), expected, rtol=1e-5, atol=1e-6)


@given(arrays(np.float32, (9, 5), elements=st.floats(-1e6, 1e6, width=32)))
def test_roots_keep_the_sign_of_any_number(values: np.ndarray) -> None:
    space = space_of(Outputs(sqrt=True, scale="none"))
    learned = space.encode(values)
    assert_array_equal(np.sign(learned), np.sign(values))
    assert_allclose(space.decode(learned), values, rtol=1e-6)


@pytest.mark.parametrize(
    ("outputs", "named"),
    [
        ({"log": True, "sqrt": True}, "two scales"),
        ({"sqrt": True, "identities": "construct"}, "`sqrt` outputs"),
        ({"sqrt": True, "positive": "softplus"}, "`sqrt` outputs"),
        ({"log": True, "positive": "softplus"}, "`log` outputs"),
    ],
)
def test_scales_that_do_not_go_with_others_are_refused(outputs: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Outputs.model_validate(outputs)


@pytest.mark.parametrize("outputs", EVERY, ids=str)
@settings(max_examples=15)
@given(WILD)
def test_signs_and_sums_hold_whatever_the_network_gives(outputs: Outputs, wild: np.ndarray) -> None:
    values = space_of(outputs).decode(wild)
    assert np.isfinite(values).all()
    if outputs.positive != "none":
        assert values.min() >= 0
    if outputs.identities != "report":
        green, dead, clover, gdm, total = values.T
        assert_array_equal(gdm, green + clover)
        assert_array_equal(total, gdm + dead)


def test_the_head_makes_the_parts_alone_where_the_network_adds_up() -> None:
    construct = space_of(Outputs(identities="construct"))
    assert construct.raw_columns == ("green", "dead", "clover")
    assert construct.sums is not None
    assert construct.sums.shape == (5, 3)
    derive = space_of(Outputs(identities="derive"))
    assert (derive.raw_columns, derive.sums) == (TARGETS, None)


@pytest.mark.parametrize("curve", ["log", "sqrt"])
def test_an_overflow_stays_a_number(curve: str) -> None:
    space = space_of(Outputs.model_validate({curve: True}))
    assert np.isfinite(space.decode(np.full((1, 5), 1e30, np.float32))).all()


@pytest.mark.parametrize("outputs", EVERY, ids=str)
def test_through_json_and_back(outputs: Outputs) -> None:
    space = space_of(outputs)
    record = json.loads(json.dumps({"space": space.to_dict()}))
    restored = TargetSpace.of_record(record, TARGETS)
    assert restored is not None
    wild = np.random.default_rng(2).normal(0, 3, (20, 5)).astype(np.float32)
    assert_array_equal(restored.decode(wild), space.decode(wild))
    assert_array_equal(restored.encode(GRAMS), space.encode(GRAMS))


def test_records_of_earlier_versions_are_read() -> None:
    scaler = TargetScaler.fit(GRAMS)
    old = TargetSpace.of_record(json.loads(json.dumps({"scaler": scaler.to_dict()})), TARGETS)
    assert old is not None
    assert_array_equal(old.decode(GRAMS), scaler.inverse(GRAMS))
    assert TargetSpace.of_record({"scaler": None}, ("cat", "dog")) is None
    assert TargetSpace.of_record({"space": None}, ("cat", "dog")) is None


def test_negative_targets_have_no_logarithm() -> None:
    values = GRAMS.copy()
    values[3, 1] = -0.5
    with pytest.raises(DataError, match="1 values of target 'dead' are negative") as error:
        TargetSpace.fit(values, TARGETS, Outputs(log=True), SUMS)
    assert "-0.5" in str(error.value)
    with pytest.raises(DataError, match="'dead'"):
        space_of(Outputs(log=True)).encode(values)
    frame = pd.DataFrame({"source": "plots.csv", "source_row": range(2, 62)})
    with pytest.raises(DataError, match=r"plots\.csv:5"):
        refuse_negative(values, TARGETS, frame)
