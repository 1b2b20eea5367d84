"""Crop boxes in a real browser: drawn by mouse, finger and keys, kept, downloaded and read back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from outfold.data.crops import Box, read_crops
from outfold.report.review import write_crop_review

pytestmark = pytest.mark.slow

HOSTILE = ["</script><img src=x onerror=\"console.error('ran')\">", 'a,"b"', "two\nlines", "é中🌾", " x ", "=1+1"]
REFUSED = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }});"
WIDTH, HEIGHT = 1600, 800
PROPOSED = Box(160, 80, 1520, 800)
SHIFT = 8


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., Path]:
    """Writes a page of photos of 1600 x 800 pixels; the second lies on a plain border."""

    def write(names: list[str] | None = None, **settings: Any) -> Path:
        rng = np.random.default_rng(0)
        photos = []
        for place, name in enumerate(names or [f"plot{place}" for place in range(4)]):
            coarse = rng.integers(0, 256, (100, 200, 3), dtype=np.uint8)
            photo = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
            if place == 1:
                inner = photo[PROPOSED.top : PROPOSED.bottom, PROPOSED.left : PROPOSED.right].copy()
                photo[:] = (150, 180, 200)
                photo[PROPOSED.top : PROPOSED.bottom, PROPOSED.left : PROPOSED.right] = inner
            path = tmp_path / f"{place}.jpg"
            cv2.imwrite(str(path), photo)
            photos.append(("train", name, path))
        write_crop_review(tmp_path / "crops.html", photos, **({"title": "Four"} | settings))
        return tmp_path / "crops.html"

    return write


def canvas(tab: Any) -> dict[str, float]:
    """Where the photo lies on the screen, scrolled into view."""
    return tab.evaluate(
        "(() => { const found = document.getElementById('canvas');"
        "found.scrollIntoView({block: 'center', behavior: 'instant'}); const seen = found.getBoundingClientRect();"
        "return {x: seen.x, y: seen.y, width: seen.width, height: seen.height}; })()"
    )


def drag(tab: Any, start: tuple[float, float], end: tuple[float, float], modifiers: int = 0) -> None:
    """Drag the mouse from one pixel of the photo to another."""
    seen = canvas(tab)
    places = [
        {"x": seen["x"] + x / WIDTH * seen["width"], "y": seen["y"] + y / HEIGHT * seen["height"]}
        for x, y in (start, end)
    ]
    options = {"button": "left", "buttons": 1, "clickCount": 1, "modifiers": modifiers}
    tab.call("Input.dispatchMouseEvent", type="mousePressed", **places[0], **options)
    for share in (0.3, 0.7, 1):
        between = {name: places[0][name] + share * (places[1][name] - places[0][name]) for name in "xy"}
        tab.call("Input.dispatchMouseEvent", type="mouseMoved", **between, **options)
    tab.call("Input.dispatchMouseEvent", type="mouseReleased", **places[1], **options)


def numbers(tab: Any) -> list[int]:
    """The box in the number fields."""
    found = tab.evaluate("['left', 'top', 'right', 'bottom'].map((side) => document.getElementById(side).value)")
    return [int(value) if value else -1 for value in found]


def boxes(tab: Any) -> dict[str, Box]:
    tab.press("d")
    return read_crops(tab.downloaded())


def near(found: list[int] | Box, expected: list[int] | Box, pixels: int = 4) -> bool:
    sides = [[one.left, one.top, one.right, one.bottom] if isinstance(one, Box) else one for one in (found, expected)]
    return max(abs(a - b) for a, b in zip(*sides, strict=True)) <= pixels


def test_a_box_is_drawn_a_proposal_accepted_and_both_are_read_back(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page())
    assert tab.text("#progress") == "0 of 4 looked at, 0 boxes"
    assert numbers(tab) == [-1] * 4
    drag(tab, (200, 100), (1400, 700))
    assert near(numbers(tab), [200, 100, 1400, 700])
    drawn = numbers(tab)
    tab.press("a")
    assert tab.text("#photo .id") == "plot1"
    assert "proposed" in tab.text("#facts")
    assert near(numbers(tab), PROPOSED, 8)
    proposed = numbers(tab)
    tab.press("a", "w")
    assert tab.text("#progress") == "3 of 4 looked at, 2 boxes"
    assert boxes(tab) == {"plot0": Box(*drawn), "plot1": Box(*proposed)}
    assert tab.complaints() == []
    assert tab.requests() == []


def test_the_mouse_moves_resizes_and_draws_anew(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page())
    drag(tab, (1400, 700), (400, 200))  # from any corner
    assert near(numbers(tab), [400, 200, 1400, 700])
    drag(tab, (900, 400), (1000, 450))
    assert near(numbers(tab), [500, 250, 1500, 750], 8)
    drag(tab, (900, 400), (1600, 800))  # no further than the photo
    assert numbers(tab)[2:] == [1600, 800]
    left, top, right, bottom = numbers(tab)
    drag(tab, (left, (top + bottom) / 2), (100, 400))
    assert near(numbers(tab), [100, top, right, bottom], 8)
    drag(tab, (right, bottom), (1000, 600))
    assert near(numbers(tab), [100, top, 1000, 600], 12)
    drag(tab, (100, 450), (1300, 450))  # the left side beyond the right one
    assert near(numbers(tab), [1000, top, 1300, 600], 12)
    drag(tab, (1100, 450), (1200, 500), SHIFT)
    assert near(numbers(tab), [1100, 450, 1200, 500], 8)
    before = numbers(tab)
    drag(tab, (50, 50), (51, 51))  # a click draws nothing
    assert numbers(tab) == before
    tab.press("z")
    assert near(numbers(tab), [1000, top, 1300, 600], 12)
    assert tab.complaints() == []


def test_a_finger_draws_too(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page(), 390)
    tab.call("Emulation.setTouchEmulationEnabled", enabled=True)
    seen = canvas(tab)
    for kind, x, y in (("touchStart", 160, 80), ("touchMove", 800, 400), ("touchMove", 1440, 720), ("touchEnd", 0, 0)):
        point = {"x": seen["x"] + x / WIDTH * seen["width"], "y": seen["y"] + y / HEIGHT * seen["height"]}
        tab.call("Input.dispatchTouchEvent", type=kind, touchPoints=[] if kind == "touchEnd" else [point])
    assert near(numbers(tab), [160, 80, 1440, 720], 12)
    assert tab.complaints() == []


def test_the_keyboard_alone_is_enough(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page())
    tab.press("e")
    assert numbers(tab) == [160, 80, 1440, 720]
    assert tab.evaluate("document.activeElement.id") == "box"
    tab.press("ArrowRight", "ArrowRight", "ArrowUp")  # a two-hundredth of each side
    assert numbers(tab) == [176, 76, 1456, 716]
    tab.press("ArrowLeft", "ArrowDown", modifiers=SHIFT)
    assert numbers(tab) == [176, 76, 1448, 720]
    tab.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "left"
    tab.evaluate("document.activeElement.select()")
    tab.press("3", "3", "3", "Enter")
    assert numbers(tab) == [333, 76, 1448, 720]
    tab.evaluate("document.activeElement.select()")
    tab.press("9", "9", "9", "9", "Enter")  # beyond the right side: refused
    assert tab.evaluate("document.getElementById('left').getAttribute('aria-invalid')") == "true"
    tab.evaluate("document.activeElement.blur()")
    tab.press("j")
    assert tab.text("#photo .id") == "plot1"
    tab.press("k", "ArrowRight", "ArrowRight", "ArrowLeft", "c", "w", "w", "w")
    assert tab.text("#progress") == "4 of 4 looked at, 1 box"
    assert boxes(tab) == {"plot0": Box(333, 76, 1448, 720)}
    assert tab.complaints() == []


def test_buttons_do_what_the_keys_do(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page())
    for action in ("edit", "accept", "accept", "whole", "undo", "previous", "clear", "next", "download"):
        tab.click(f"[data-action={action}]")
    assert list(read_crops(tab.downloaded())) == ["plot0"]
    tab.click("#list li:nth-child(4) button")
    assert tab.text("#place") == "Photo 4 of 4"
    assert tab.evaluate("document.querySelector('[data-action=next]').getAttribute('aria-disabled')") == "true"
    tab.click("[data-filter=boxed]")
    assert tab.text("#place") == "Photo 1 of 1"
    tab.click("[data-filter=undecided]")
    assert tab.text("#place") == "Photo 1 of 3"
    assert tab.complaints() == []


def test_a_reload_keeps_what_was_decided(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page())
    drag(tab, (200, 100), (1400, 700))
    drawn = numbers(tab)
    tab.press("a", "w")
    tab.reload()
    assert tab.text("#progress") == "2 of 4 looked at, 1 box"
    assert tab.text("#storage") == "kept in this browser"
    assert boxes(tab) == {"plot0": Box(*drawn)}
    tab.go(page(title="Another"))  # the same photos: the same memory
    assert tab.text("#progress") == "2 of 4 looked at, 1 box"
    tab.go(page(boxes={"plot3": Box(1, 2, 3, 4)}))
    assert tab.text("#progress") == "1 of 4 looked at, 1 box"


def test_damaged_memory_is_left_alone(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page())
    key = "outfold-crops-" + tab.evaluate("document.getElementById('data').dataset.key")
    for stored in ("[]", "{", '["whole", null, null, [0, 0, 1601, 800]]', '["whole", null, null, [0, 0, 1.5, 8]]'):
        tab.evaluate(f"localStorage.setItem({json.dumps(key)}, {json.dumps(stored)})")
        tab.reload()
        assert tab.text("#progress") == "0 of 4 looked at, 0 boxes"
    assert tab.complaints() == []


def test_known_boxes_are_preset_and_those_of_other_photos_kept(devtools: Any, page: Callable[..., Path]) -> None:
    known = {"plot1": Box(10, 20, 30, 40), "old": Box(1, 2, 3, 4)}
    tab = devtools.open(page(boxes=known))
    assert tab.text("#progress") == "1 of 4 looked at, 1 box"
    assert boxes(tab) == known
    tab.click("#list li:nth-child(2) button")
    assert numbers(tab) == [10, 20, 30, 40]
    tab.press("c", "d")
    assert read_crops(tab.downloaded()) == {"old": Box(1, 2, 3, 4)}


def test_hostile_ids_run_nothing_and_survive_the_download(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page(HOSTILE, title=HOSTILE[0]))
    for _ in HOSTILE:
        tab.press("e", "a")
    assert list(boxes(tab)) == HOSTILE
    assert tab.complaints() == []
    assert tab.requests() == []


def test_a_browser_that_refuses_to_store_says_so_and_works(devtools: Any, page: Callable[..., Path]) -> None:
    tab = devtools.open(page(), first=REFUSED)
    assert tab.text("#storage").startswith("not kept by this browser")
    tab.press("e", "d")
    assert list(read_crops(tab.downloaded())) == ["plot0"]
    assert tab.complaints() == []
    tab.press("w")
    tab.call("Page.close")
    devtools.wait_for("Page.javascriptDialogOpening", type="beforeunload")  # it asks before the last one is lost


def test_a_page_without_photos_says_so(devtools: Any, tmp_path: Path) -> None:
    write_crop_review(tmp_path / "none.html", [], title="None")
    tab = devtools.open(tmp_path / "none.html")
    tab.press("a", "w", "e", "c", "j", "k", "z", "d")
    assert tab.text("#nothing") == "There are no photos to look at."
    assert tab.complaints() == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_phone_and_desk(devtools: Any, page: Callable[..., Path], width: int) -> None:
    names = ["plain", "w" * 200, "中" * 80, *HOSTILE]
    tab = devtools.open(page(names, title="t" * 150), width)
    outside = (
        "[...document.querySelectorAll('body *')].filter((one) => !one.closest('#canvas'))"
        ".filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)"
        ".map((one) => one.tagName + '.' + one.className)"
    )
    for _ in names:
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate(outside) == []
        assert tab.evaluate("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")
        tab.press("j")
    assert tab.complaints() == []
