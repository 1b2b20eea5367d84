"""Rows whose targets break a declared sum, in tables and in predictions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from outfold.audit import broken_identities
from outfold.data.breaches import breach, breaches, breaking_rows
from outfold.data.label_checks import identity_findings
from outfold.data.table import Samples, load_samples
from outfold.settings.data import Data
from outfold.settings.task import Task

NAMES = ("green", "dead", "clover", "gdm", "total")
SUMS = {"gdm": ("green", "clover"), "total": ("gdm", "dead")}
TASK = Task(kind="regression", target=NAMES, metric="rmse", identities=SUMS)


def masses(n: int = 40) -> np.ndarray:
    parts = np.random.default_rng(0).gamma(2.0, 5.0, (n, 3))
    gdm = parts[:, 0] + parts[:, 2]
    return np.column_stack([parts, gdm, gdm + parts[:, 1]])


def test_by_how_much_a_sum_is_off() -> None:
    values = masses()
    values[3, 3] += 2
    values[5, 4] -= 0.5
    assert_allclose(breach(values, NAMES, "gdm", SUMS["gdm"])[[3, 4]], [2, 0], atol=1e-12)
    assert breaking_rows(values, NAMES, "total", SUMS["total"]).tolist() == [3, 5]
    found = breaches(values.astype(np.float32), NAMES, SUMS)
    assert_allclose([found["gdm"]["largest"], found["gdm"]["mean"]], [2, 2 / 40], rtol=1e-4)
    assert_allclose(found["total"]["largest"], 2, rtol=1e-5)
    assert (found["gdm"]["rows"], found["total"]["rows"]) == (1, 2)


def test_rows_of_the_table_that_break_a_declared_sum() -> None:
    values = masses()
    values[3, 3] += 2
    frame = pd.DataFrame(values, columns=list(NAMES)).assign(id=range(40), source="t.csv", source_row=range(2, 42))
    samples = Samples(frame, np.array([f"p{row}" for row in range(40)], dtype=object), None, "id")
    first, second = identity_findings(TASK, samples, values)
    assert first.what == "1 row where `gdm = green + clover` does not hold, as task.identities say"
    assert [(place.row, place.id, place.note) for place in first.places] == [("t.csv:5", "p3", "off by 2")]
    assert second.what.startswith("1 row where `total = gdm + dead`")
    assert first.level == "warning"
    assert identity_findings(TASK, samples, masses()) == []


def test_predictions_are_held_against_what_is_declared() -> None:
    few = masses(8)  # too few rows to find sums in the labels
    assert broken_identities(few, few * (1, 1, 1, 2, 1), NAMES, "regression") == []
    found = broken_identities(few, few * (1, 1, 1, 1, 2), NAMES, "regression", declared=SUMS)
    assert [one.what for one in found] == [
        "`total = gdm + dead` is declared and does not hold in the out-of-fold predictions"
    ]
    many = masses()
    told = broken_identities(many, many * (1, 1, 1, 1, 2), NAMES, "regression", declared={"total": ("gdm", "dead")})
    assert len(told) == 1  # and not once more as what the labels show


@pytest.mark.parametrize("declared", [None, {"GDM_g": ("Dry_Green_g", "Dry_Clover_g")}])
def test_the_real_table(shared_data: Callable[[str], Path], declared: dict[str, tuple[str, ...]] | None) -> None:
    folder = shared_data("csiro")
    names = ("Dry_Green_g", "Dry_Dead_g", "Dry_Clover_g", "GDM_g", "Dry_Total_g")
    sums = {"GDM_g": ("Dry_Green_g", "Dry_Clover_g"), "Dry_Total_g": ("GDM_g", "Dry_Dead_g")}
    long = {"row": "sample_id", "name": "target_name", "value": "target", "separator": "__"}
    data = Data.model_validate({"train": "train.csv", "id": "ID", "long": long})
    samples = load_samples(data, folder, targets=names)
    task = Task(kind="regression", target=names, metric="rmse", identities=sums)
    values = samples.frame[list(names)].to_numpy()
    found = identity_findings(task, samples, values)
    assert [one.what for one in found] == [
        "1 row where `Dry_Total_g = GDM_g + Dry_Dead_g` does not hold, as task.identities say"
    ]
    assert found[0].places[0].note == "off by 0.3088"
    oof = pd.read_csv(folder / "oof.csv").set_index("ID").loc[samples.ids, [f"pred_{name}" for name in names]]
    broken = broken_identities(values, oof.to_numpy(), names, "regression", declared=declared)
    assert {one.what.split("`")[1].split(" = ")[0] for one in broken} == {"GDM_g", "Dry_Total_g"}
