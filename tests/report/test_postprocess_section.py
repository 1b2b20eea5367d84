from types import SimpleNamespace
from typing import Any

from outfold.report.sections.postprocess import postprocess

GAIN = {"value": -0.0006, "low": -0.09, "high": 0.08, "probability": 0.5}
SCORES = {"metric": "weighted_r2", "before": 0.6, "after": 0.5994, "gain": GAIN}


def html_of(entries: dict[str, Any], status: str = "complete") -> str | None:
    stages = {"fit": {"kind": "train"}} | {name: {"postprocess": entry} for name, entry in entries.items()}
    section = postprocess(SimpleNamespace(summary={"stages": stages}, status=status))  # type: ignore[arg-type]
    return None if section is None else str(section.html())


def test_nothing_to_say_without_steps() -> None:
    assert html_of({}) is None
    assert html_of({"post": {"steps": [{"zero_below": 1}], "scores": SCORES}}, "running") is None


def test_given_steps() -> None:
    steps = [
        {"multiply": {"<clover>": 0.8}},
        {"clip": {"min": 0}},
        {"clip": {"max": 50, "columns": ["dead"]}},
        {"sum": {"total": ["gdm", "dead"]}},
        {"sum": "identities"},
    ]
    page = html_of({"post": {"steps": steps, "scores": SCORES}})
    assert page is not None
    for text in ("&lt;clover&gt;", "0.8000", "min 0", "max 50", "gdm + dead", "as task.identities say", "0.5994"):
        assert text in page, text
    assert "<clover>" not in page
    assert "by fold" not in page
    assert "would show" not in page


def test_learned_numbers_by_fold() -> None:
    def steps(factor: float, cut: dict[str, float]) -> list[dict[str, Any]]:
        return [{"multiply": {"clover": factor, "green": 0.5}}, {"zero_below": cut}, {"zero_below": {}}]

    folds = [{"fold": 0, "steps": steps(0.9, {}), "learned_on": 9}, {"fold": 1, "steps": steps(0.7, {"dead": 1.25})}]
    entry = {"steps": steps(0.8, {}), "folds": folds, "scores": SCORES | {"in_sample": 0.61, "optimism": 0.0106}}
    page = html_of({"post": entry})
    assert page is not None
    for text in ("0.9000, 0.7000", "\u2013, 1.2500", "all targets", "would show 0.6100", "\u22120.0900 to +0.0800"):
        assert text in page, text
    assert page.count("0.5000") == 1  # given: the same in all folds


def test_without_a_score() -> None:
    page = html_of({"post": {"steps": [{"zero_below": 0.1}]}})
    assert page is not None
    assert "what the steps gain is not known" in page


def test_steps_in_time() -> None:
    def steps(weight: float, kernel: list[float]) -> list[dict[str, Any]]:
        return [{"boost": {"weight": weight}}, {"smooth": {"kernel": kernel}}]

    folds = [{"fold": 0, "steps": steps(0, [1]), "learned_on": 9}, {"fold": 1, "steps": steps(1.1, [0.25, 0.5, 0.25])}]
    notes = ["step `smooth`: each row is alone in its recording"]
    page = html_of({"post": {"steps": steps(0.7, [0, 1, 0]), "folds": folds, "scores": SCORES, "notes": notes}})
    assert page is not None
    dashes = ("\u2013, 1.1000", "1.0000, 0.5000", "\u2013, 0.2500")
    for text in ("all classes", "0.7000", *dashes, "1 before or after", "Out of fold: step <code>smooth</code>: each"):
        assert text in page, text


def test_a_kernel_that_looks_back_more_than_ahead() -> None:
    page = html_of({"post": {"steps": [{"smooth": {"kernel": [0.1, 0.6, 0.3]}}], "scores": SCORES}})
    assert page is not None
    for text in ("the row itself", "0.6000", "1 before", "0.1000", "1 after", "0.3000"):
        assert text in page, text
