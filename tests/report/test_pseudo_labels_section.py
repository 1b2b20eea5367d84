from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from outfold.data.pseudo import REASONS
from outfold.report.document import asset, document
from outfold.report.html import tag
from outfold.report.sections.pseudo_labels import LEFT_OUT, pseudo_labels


def run_with(stages: dict[str, Any]) -> Any:
    return SimpleNamespace(summary={"stages": stages})


def fold(number: int, kept: int) -> dict[str, Any]:
    left_out = {"held_out": 7, "seen": 11, "unsure": 1300, "surplus": 2}
    counts = {"rows": 2000, "kept": kept, "learned": 3000}
    classes = [{"class": name, **counts, **left_out} for name in ("<b>", "nevus")]
    return {"fold": number, "teachers": [], **counts, "left_out": left_out, "classes": classes}


def test_nothing_to_say_without_label_stages() -> None:
    assert pseudo_labels(run_with({"fit": {"kind": "train", "score": 0.5}})) is None


def test_every_row_is_counted_by_fold_and_by_class() -> None:
    entry = {"kind": "label", "rows": 2000, "not_compared": ["column 'site'"], "labels": [fold(0, 680), fold(1, 684)]}
    section = pseudo_labels(run_with({"labels": entry}))
    assert section is not None
    html = str(section.html())
    for text in ("2,000", "1,300", "680", "684", "682", "3,000", "&lt;b&gt;", "nevus"):  # 682: the mean of the folds
        assert text in html, text
    assert "<b>" not in html
    assert "could not be compared" in html


def test_labels_of_one_seed_and_of_whole_recordings() -> None:
    labels = [{**fold(-1, 680), "seed": seed} for seed in (3, 5)]
    for one in labels:
        for counts in (one["left_out"], *one["classes"]):
            counts["incomplete"] = 96
    section = pseudo_labels(run_with({"labels": {"kind": "label", "rows": 2000, "not_compared": [], "labels": labels}}))
    assert section is not None
    html = str(section.html())
    for text in ("by held-out fold and seed", ">none<", ">5<", "of incomplete recordings", ">96<"):
        assert text in html, text
    earlier = pseudo_labels(run_with({"labels": {"labels": [fold(0, 680)], "not_compared": []}}))
    assert earlier is not None
    assert "incomplete" not in str(earlier.html())


def test_the_largest_class_is_first_and_what_never_happens_has_no_column() -> None:
    counts = {"held_out": 0, "seen": 0, "unsure": 0, "surplus": 0}
    classes = [
        {"class": name, "rows": rows, "kept": rows, "learned": rows, **counts, "mean": mean}
        for name, rows, mean in (("wren", 3, 0.125), ("owl", 40, 0.6), ("lark", 0, None))
    ]
    one = {"fold": -1, "teachers": [], "rows": 43, "kept": 43, "learned": 43, "left_out": counts, "classes": classes}
    section = pseudo_labels(run_with({"labels": {"kind": "label", "rows": 43, "not_compared": [], "labels": [one]}}))
    assert section is not None
    html = str(section.html())
    assert html.index(">owl<") < html.index(">wren<") < html.index(">lark<")
    assert "0.125" in html and "mean label" in html and "100%" in html
    for never in ("below the confidence", "with repetitions", "more than needed"):
        assert never not in html, never


def test_every_reason_has_a_column() -> None:
    assert list(LEFT_OUT) == list(REASONS)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1300])
def test_names_stay_whole_and_the_table_in_its_box(devtools: Any, tmp_path: Path, width: int) -> None:
    names = ["fire_crackling_far_away", "person_sneeze", *(f"Genus_species_{number:03d}" for number in range(180))]
    counts = dict.fromkeys(REASONS, 1200)
    whole = {"rows": 2000, "kept": 680, "learned": 3000}
    classes = [{"class": name, **whole, **counts, "mean": 0.25} for name in names]
    one = {"fold": 0, "teachers": [], **whole, "left_out": counts, "classes": classes}
    section = pseudo_labels(run_with({"labels": {"kind": "label", "rows": 2000, "not_compared": [], "labels": [one]}}))
    assert section is not None
    page = tmp_path / "page.html"
    page.write_text(document("page", tag("body", tag("main", section.html())), styles=asset("style.css"), script=""))
    tab = devtools.open(page, width)
    lines = """[...document.querySelectorAll("td.text")].map((cell) => {
        const words = document.createRange();
        words.selectNodeContents(cell);
        return words.getClientRects().length;
    })"""
    assert set(tab.evaluate(lines)) == {1}
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate("Math.max(...[...document.querySelectorAll('.scroll')].map((box) => box.offsetHeight))") < 700
