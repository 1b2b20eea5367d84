"""The ensemble's part of the report: what it says, and how it looks in a browser."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outfold.report import write_report
from outfold.report.sections.ensemble import ensemble_section

NONE = {"value": None, "low": None, "high": None}


def estimate(value: float, half: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def diagnosis(members: int = 3, *, alarming: bool = False, flagged: int = 0, **changes: Any) -> dict[str, Any]:
    """What `outfold.runs.diagnose` would write."""
    rng = np.random.default_rng(0)
    likeness = np.corrcoef(rng.normal(size=(members, 40)) + 2 * rng.normal(size=40))
    pairs = [
        {"outputs": [f"<i>one{k}", "other"], "train": 0.42, "test": -0.11, "limit": 0.08, "flagged": k < flagged}
        for k in range(4)
    ]
    return {
        "run_score": 0.5,
        "metric": "roc_auc",
        "greater_is_better": True,
        "rows": 1200,
        "groups": 300,
        "method": "rank_mean",
        "learning": None,
        "blend": estimate(0.94),
        "members": [
            {
                "name": f"fit/b{k}_a_rather_long_name",
                "score": estimate(0.9 + 0.001 * k),
                "gain": estimate(0.002 - 0.0005 * k, 0.001),
                "weight": 1 / members,
                "importance": 0.2 if k == 1 and alarming else 0.001,
            }
            for k in range(members)
        ],
        "rank_correlation": likeness.tolist(),
        "divergence": [{"flagged": flagged, "pairs": pairs}] + [None] * (members - 1),
        "adversarial": {
            "auc": estimate(0.71 if alarming else 0.51),
            "alarming": alarming,
            "train_rows": 1200,
            "test_rows": 800,
        },
        "notes": ["groups of the test rows are not known"],
    } | changes


def html(found: dict[str, Any]) -> str:
    return str(ensemble_section(json.loads(json.dumps(found))).html())


def test_members_with_scores_weights_and_what_they_add() -> None:
    page = html(diagnosis())
    for words in ("blended by rank mean", "0.9010", "0.8910 to 0.9110", "0.333", "+0.0020", "+0.0010 to +0.0030"):
        assert words in page
    assert "Groups of the test rows are not known." in page
    assert "see both tables alike" in page
    assert "In no member do they differ" in page


def test_findings_are_told() -> None:
    page = html(diagnosis(alarming=True, flagged=2))
    assert "It is carried by fit/b1_a_rather_long_name: look" in page
    assert "2 pairs whose correlation differs by more than chance" in page
    assert "&lt;i&gt;one1" in page
    assert "one2" not in page
    assert "<i>one" not in page


def test_learned_weights_are_told_with_what_they_gained() -> None:
    learning = {"in_sample": 0.951, "optimism": 0.011, "gain_over_mean": estimate(0.003, 0.002)}
    page = html(diagnosis(learning=learning))
    assert "changed the score by +0.0030 (95% interval +0.0010 to +0.0050)" in page
    assert "seemed to score 0.9510" in page


def test_what_is_not_known_leaves_dashes() -> None:
    found = diagnosis(divergence=[None] * 3, adversarial=None, blend=NONE)
    for one in found["members"]:
        one |= {"score": NONE, "gain": NONE, "importance": None}
    found["rank_correlation"][0][1] = found["rank_correlation"][1][0] = None
    page = html(found)
    assert "Train against test" not in page
    assert "Correlations between outputs" not in page
    assert "None" not in page


def put(run: Path, found: dict[str, Any]) -> Path:
    (run / "diagnosis.json").write_text(json.dumps(found))
    return write_report(run)


def test_a_diagnosis_of_an_earlier_state_is_not_shown(make_run: Callable[..., Path]) -> None:
    run = make_run(kind="binary", labels=("no", "yes"))
    score = json.loads((run / "summary.json").read_text())["score"]
    assert 'id="ensemble"' not in write_report(run).read_text()
    assert 'id="ensemble"' not in put(run, diagnosis(run_score=score + 0.01)).read_text()
    assert 'id="ensemble"' in put(run, diagnosis(run_score=score)).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("members", [2, 8, 30])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_phone_and_desk(make_run: Callable[..., Path], devtools: Any, members: int, width: int) -> None:
    run = make_run(kind="binary", labels=("no", "yes"))
    score = json.loads((run / "summary.json").read_text())["score"]
    tab = devtools.open(put(run, diagnosis(members, alarming=True, flagged=2, run_score=score)), width, 900)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    smallest = tab.evaluate(
        "Math.min(...[...document.querySelectorAll('#ensemble svg text')].map("
        "(text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a))"
    )
    assert smallest >= 9
    assert tab.complaints() == []
    assert tab.requests() == []
