"""The review in a real browser: keys pressed, buttons clicked, the download read back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from outfold.report.review import write_review

pytestmark = pytest.mark.slow

HOSTILE = ["</script><img src=x onerror=\"console.error('ran')\">", 'a,"b"', "two\nlines", "cr\r\nlf", "é中🌾", " x "]
REFUSED = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }});"


@pytest.fixture
def review(tmp_path: Path) -> Callable[..., Path]:
    """Writes a page of six pairs, similarity 0.99, 0.98, ..; the last one's labels differ, so it comes first."""

    def write(names: list[str] | None = None, **settings: Any) -> Path:
        firsts = names or [f"plot{place}" for place in range(6)]
        media = {}
        for place, name in enumerate(firsts):
            photo = np.full((90, 120, 3), 30 * place, dtype=np.uint8)
            photo[:30, :60] = (40, 200, 240)
            for version, pixels in (("", photo), (" copy", np.rot90(photo))):
                path = tmp_path / f"{place}{version}.png"
                cv2.imwrite(str(path), pixels)
                media["train" if version == "" else "test", name + version] = path
        pairs = pd.DataFrame(
            {
                "first": firsts,
                "second": [f"{name} copy" for name in firsts],
                "first_table": "train",
                "second_table": "test",
                "similarity": [0.99 - place / 100 for place in range(len(firsts))],
                "exact": [place == 0 for place in range(len(firsts))],
                "label_first": "oat",
                "label_second": ["oat"] * (len(firsts) - 1) + ["rye"],
                "conflict": [False] * (len(firsts) - 1) + [True],
            }
        )
        return write_review(tmp_path / "review.html", pairs, media, **({"threshold": 0.9, "title": "Six"} | settings))

    return write


def decisions_in(path: Path) -> list[list[str]]:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert list(table.columns) == ["first", "second", "decision", "similarity"]
    return table.to_numpy().tolist()


def test_keys_decide_and_the_download_says_what_was_pressed(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review())
    assert tab.text("#progress") == "0 of 6 decided"
    assert tab.text("#first .id") == "plot5"  # its labels differ
    assert "labels differ" in tab.text("#facts")
    tab.press("s")
    assert tab.text("#first .id") == "plot0"
    assert "exact copy" in tab.text("#facts")
    tab.press("d", "j", "ArrowRight", "u", "k", "k", "ArrowLeft", "S")
    assert tab.text("#progress") == "4 of 6 decided"
    tab.press("s", "z", "w")
    assert decisions_in(tab.downloaded()) == [
        ["plot5", "plot5 copy", "same", "0.94"],
        ["plot0", "plot0 copy", "different", "0.99"],
        ["plot1", "plot1 copy", "same", "0.98"],
        ["plot3", "plot3 copy", "unsure", "0.96"],
    ]
    assert tab.complaints() == []
    assert tab.requests() == []


def test_a_key_with_control_belongs_to_the_browser(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review())
    tab.press("d", modifiers=2)
    assert tab.text("#progress") == "0 of 6 decided"


def test_undo_brings_back_the_pair_and_what_was_decided_before(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review())
    tab.press("s", "d", "k", "u", "z")
    assert tab.text("#place") == "Pair 2 of 6"
    assert tab.evaluate("document.querySelector('[data-action=different]').getAttribute('aria-pressed')") == "true"
    tab.press("z", "z", "z")
    assert tab.text("#progress") == "0 of 6 decided"
    assert tab.text("#place") == "Pair 1 of 6"


def test_the_mouse_does_what_the_keys_do(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review())
    for action in ("same", "next", "different", "previous", "unsure", "undo", "download"):
        tab.click(f"[data-action={action}]")
    assert [row[2] for row in decisions_in(tab.downloaded())] == ["same", "different"]
    tab.click("#list li:nth-child(5) button")
    assert tab.text("#place") == "Pair 5 of 6"
    assert tab.complaints() == []


def test_buttons_are_reached_and_pressed_by_keyboard(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review())
    focused = []
    for _ in range(12):
        tab.press("Tab")
        focused.append(tab.evaluate("document.activeElement.dataset.action ?? document.activeElement.dataset.filter"))
    assert focused == [
        "all", "undecided", "conflicting", "download", "turn", "mirror", "same", "different", "unsure", "previous",
        "next", "undo",
    ]  # fmt: skip
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.evaluate("document.querySelector('[data-action=unsure]').focus()")
    tab.press("Enter")
    assert tab.text("#progress") == "1 of 6 decided"


def test_filters_show_some_of_the_pairs(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review())
    visible = "[...document.querySelectorAll('#list li')].filter((item) => !item.hidden).length"
    tab.click("[data-filter=conflicting]")
    assert (tab.text("#place"), tab.evaluate(visible)) == ("Pair 1 of 1", 1)
    tab.press("s")
    tab.click("[data-filter=undecided]")
    assert (tab.text("#place"), tab.evaluate(visible)) == ("Pair 1 of 5", 5)
    tab.press("s", "s", "s", "s", "s")
    assert tab.evaluate("document.getElementById('pair').hidden")
    assert tab.text("#nothing") == "No pair is left to show here."
    assert tab.text("#progress") == "6 of 6 decided"
    tab.press("d", "j", "k", "r", "x")  # nothing to decide, move or turn
    tab.press("z")
    assert tab.text("#place") == "Pair 1 of 1"
    tab.click("[data-filter=all]")
    assert tab.evaluate(visible) == 6
    assert tab.complaints() == []


def test_the_second_photo_turns_as_seen_and_stays_in_its_frame(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review())
    matrix = "(() => { const m = new DOMMatrix(getComputedStyle(document.querySelector('#second img')).transform);"
    matrix += "return [m.a, m.b, m.c, m.d].map(Math.round); })()"
    inside = "(() => { const [i, f] = ['img', '.frame'].map((name) => document.querySelector('#second ' + name)"
    inside += ".getBoundingClientRect()); return Math.abs(i.width - f.width) + Math.abs(i.height - f.height); })()"
    tab.press("r")
    assert tab.evaluate(matrix) == [0, 1, -1, 0]  # a quarter turn clockwise
    assert tab.evaluate(inside) < 1
    tab.press("x", "r")
    assert tab.evaluate(matrix) == [-1, 0, 0, 1]  # a turn before and one after a mirror undo each other
    tab.press("j")
    assert tab.evaluate(matrix) == [1, 0, 0, 1]
    assert tab.evaluate("document.querySelector('#second img').alt") == "second photo, plot0 copy"


def test_a_reload_keeps_decisions_and_another_page_does_not_share_them(
    devtools: Any, review: Callable[..., Path]
) -> None:
    tab = devtools.open(review())
    tab.press("s", "d")
    tab.reload()
    assert tab.text("#progress") == "2 of 6 decided"
    assert tab.text("#place") == "Pair 3 of 6"
    assert tab.text("#storage") == "kept in this browser"
    tab.go(review(decisions={("plot0 copy", "plot0"): "unsure"}))
    assert tab.text("#progress") == "1 of 6 decided"
    tab.press("w")
    assert [row[2] for row in decisions_in(tab.downloaded())] == ["unsure"]


def test_earlier_decisions_about_other_pairs_go_into_the_download(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review(decisions={("old", "older"): "different"}))
    tab.press("s", "w")
    assert decisions_in(tab.downloaded()) == [
        ["plot5", "plot5 copy", "same", "0.94"],
        ["old", "older", "different", ""],
    ]


def test_a_browser_that_refuses_to_store_says_so_and_works(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review(), first=REFUSED)
    assert tab.text("#storage").startswith("not kept by this browser")
    tab.press("s", "w")
    assert len(decisions_in(tab.downloaded())) == 1
    assert tab.complaints() == []
    tab.press("d")
    tab.call("Page.close")
    devtools.wait_for("Page.javascriptDialogOpening", type="beforeunload")  # it asks before the last one is lost


def test_hostile_ids_run_nothing_and_survive_the_download(devtools: Any, review: Callable[..., Path]) -> None:
    tab = devtools.open(review(HOSTILE, title=HOSTILE[0]))
    tab.press(*"ssssssw")
    rows = decisions_in(tab.downloaded())
    assert sorted(row[0] for row in rows) == sorted(HOSTILE)
    assert all(second == f"{first} copy" for first, second, _, _ in rows)
    assert tab.complaints() == []
    assert tab.requests() == []


def test_a_page_without_pairs_says_so(devtools: Any, tmp_path: Path) -> None:
    from outfold.report.review.pairs import COLUMNS

    page = write_review(tmp_path / "r.html", pd.DataFrame(columns=list(COLUMNS)), {}, threshold=None, title="None")
    tab = devtools.open(page)
    tab.press("s", "z", "r", "j", "w")
    assert tab.text("#nothing") == "There are no pairs to look at."
    assert tab.complaints() == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_phone_and_desk(devtools: Any, review: Callable[..., Path], width: int) -> None:
    names = ["w" * 200, "中" * 80, *HOSTILE]
    tab = devtools.open(review(names, title="t" * 150), width)
    outside = (
        "[...document.querySelectorAll('body *')].filter((one) => !one.closest('.frame'))"
        ".filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)"
        ".map((one) => one.tagName + '.' + one.className)"
    )
    for _ in names:
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate(outside) == []
        assert tab.evaluate("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
        tab.press("j")
    assert tab.evaluate("document.images.length") == 2
    assert tab.complaints() == []


def test_the_policy_stops_a_script_that_slipped_in(devtools: Any, review: Callable[..., Path]) -> None:
    page = review()
    slipped = "<script>console.error('it ran')</script><img src=https://example.org/x.png></body>"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", slipped), encoding="utf-8")
    complaints = "".join(devtools.open(page).complaints())
    assert "it ran" not in complaints
    assert complaints.count("Content Security Policy") >= 2  # the script and the image
