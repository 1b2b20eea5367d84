"""The audit as a whole: quiet on clean data, in order, and the same again when written and read."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from outfold.audit import FileFacts, Known, audit_dataset, audit_outcome, by_level
from outfold.data.audio.rows import RowClips
from outfold.data.findings import Finding, Place
from outfold.data.predictions import Predictions, softmax

SEEDS = range(6)
"""With 60 seeds for each task, 23 columns, embeddings and a test table, no audit of such data said anything at all."""


def clean(seed, kind, n=300, m=120):
    """Columns of every sort without any bearing on the target; patients are named as the group."""
    rng = np.random.default_rng(seed)

    def columns(rows):
        return {
            "id": [f"ID{number}" for number in rng.choice(10**9, rows, replace=False)],
            "age": rng.integers(0, 90, rows),
            "shade": rng.normal(size=rows),
            "site": rng.choice(["arm", "leg", "head"], rows),
            "camera": [f"cam{number}" for number in rng.integers(0, 40, rows)],
            "visit": [f"2020-{1 + day // 28:02d}-{1 + day % 28:02d}" for day in rng.integers(0, 60, rows)],
        }

    target = {
        "regression": lambda: rng.gamma(2, 20, n),
        "binary": lambda: (rng.random(n) < 0.15).astype(int),
        "multiclass": lambda: rng.choice(list("abcd"), n, p=[0.4, 0.3, 0.2, 0.1]),
    }[kind]()
    train = columns(n) | {"patient": [f"p{number}" for number in rng.integers(0, n // 3, n)], "y": target}
    return train, columns(m), rng


def known(rng, rows):
    sides = np.full(rows, 640.0)
    facts = FileFacts(rng.lognormal(10, 0.3, rows), sides, sides, ("JPEG RGB",) * rows)
    return Known(embeddings=rng.normal(size=(rows, 48)), facts=facts)


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("seed", SEEDS)
def test_clean_data_and_honest_predictions_raise_no_alarm(dataset, kind, seed):
    train, test, rng = clean(seed, kind)
    recipe, data = dataset(train, kind, "y", folds={"group": "patient"}, test=test)
    found = audit_dataset(recipe, data, train=known(rng, 300), test=known(rng, 120))
    noise = rng.normal(size=data.target.shape)
    if kind == "regression":
        values = 0.7 * data.target + 10 + 15 * noise
    else:
        logits = 2 * data.target - 1 + noise
        values = softmax(logits) if kind == "multiclass" else 1 / (1 + np.exp(-logits))
    space = "value" if kind == "regression" else "probability"
    found += audit_outcome(data, Predictions(data.train.samples.ids, values, data.codec.outputs, space))
    assert [one.rule for one in found if one.rule != "label-noise"] == []


@pytest.mark.parametrize(("ends", "told"), [((np.inf, np.inf), True), ((np.inf, 5.0), False), ((5.0, 5.0), True)])
def test_sizes_of_files_are_compared_where_rows_of_both_tables_are_alike(dataset, ends, told):
    """A file of clips is smaller than one that holds many windows, which says nothing of a row."""
    rng = np.random.default_rng(0)
    recipe, data = dataset(
        {"y": rng.integers(0, 2, 300)}, "binary", "y", test={"id": [f"t{row}" for row in range(120)]}
    )

    def cut(rows, end):
        count = len(rows)
        clips = RowClips(np.array([f"{row}.ogg" for row in range(count)], object), np.zeros(count), np.full(count, end))
        return replace(rows, samples=replace(rows.samples, clips=clips))

    data = replace(data, train=cut(data.train, ends[0]), test=cut(data.test, ends[1]))
    nothing = np.full(300, np.nan)
    sizes = [
        FileFacts(rng.normal(mean, 10, n), nothing[:n], nothing[:n], ("",) * n) for mean, n in ((100, 300), (900, 120))
    ]
    train, test = (Known(facts=facts) for facts in sizes)
    found = audit_dataset(recipe, data, train=train, test=test)
    assert ("train-test-drift" in [one.rule for one in found]) == told


def test_errors_come_first():
    findings = [Finding(level, level) for level in ("note", "error", "warning", "note", "error")]
    assert [one.level for one in by_level(findings)] == ["error", "error", "warning", "note", "note"]


def test_findings_are_the_same_when_written_and_read():
    finding = Finding(
        "error", "what", (Place("t.csv:2", "a", "x.png", "n"), Place("t.csv:3", "b")), "do", "rule", "bad"
    )
    assert Finding.from_dict(json.loads(json.dumps(finding.to_dict()))) == finding
    short = finding.to_dict(limit=1)
    assert short["more"] == 1
    assert Finding.from_dict(short).places == finding.places[:1]


def test_predictions_in_another_order_are_audited_by_id(dataset):
    train, _, rng = clean(0, "multiclass")
    _, data = dataset(train, "multiclass", "y")
    values = softmax(3 * data.target + rng.normal(size=data.target.shape))
    order = rng.permutation(len(values))
    oof = Predictions(data.train.samples.ids, values, data.codec.outputs, "probability")
    assert audit_outcome(data, oof.take(order)) == audit_outcome(data, oof)


def test_what_the_test_table_shares_and_how_it_differs(dataset, only):
    train, test, _ = clean(1, "binary")
    test["age"] = test["age"] + 60
    test["patient"] = ["p1", "p2"] * 60
    test["split"], train["split"] = "test", "train"
    recipe, data = dataset(train, "binary", "y", folds={"group": "patient"}, test=test)
    found = audit_dataset(recipe, data)
    assert "`patient`" in only(found, "shared-with-test").what
    assert "`age`" in only(found, "train-test-drift").what


def test_exact_copies_of_test_files(dataset, only):
    frame = pd.DataFrame({"y": np.arange(40) % 2})
    recipe, data = dataset(frame, "binary", "y", folds={"seed": 4}, test={"x": range(5)})
    copies = np.arange(40)
    own, other = Known(copies=copies), Known(copies=np.array([7, 8, 100, -1, -1]))
    assert "2 values of near-copy" in only(audit_dataset(recipe, data, train=own, test=other), "shared-with-test").what


def test_other_patients_in_the_test_table_are_no_drift(dataset):
    train, test, rng = clean(2, "binary")
    train["lesion"] = [f"L{number:04d}" for number in rng.integers(0, 150, 300)]
    test["lesion"] = [f"L{number:04d}" for number in rng.integers(150, 210, 120)]
    test["patient"] = [f"q{number}" for number in rng.integers(0, 40, 120)]
    recipe, data = dataset(train, "binary", "y", folds={"group": "patient"}, test=test)
    assert audit_dataset(recipe, data) == []


def test_a_later_test_table_is_drift(dataset, only):
    train, test, _ = clean(2, "binary")
    test["visit"] = [f"2021/{1 + row % 12}/{1 + row % 28} 10:00:00.5" for row in range(120)]
    recipe, data = dataset(train, "binary", "y", folds={"group": "patient"}, test=test)
    assert "the date `visit` (1.00 alone)" in only(audit_dataset(recipe, data), "train-test-drift").what
