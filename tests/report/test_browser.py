"""The page in a real browser, driven by its command line; the probe runs outside the page, around a frame of its size.

A browser window cannot be made as narrow as a phone, a frame can; media queries look at the frame.
"""

import html
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outfold.report import write_report

PROBE = """
<!doctype html><meta charset="utf-8">
<iframe width="WIDTH" height="900" srcdoc="PAGE"></iframe><pre id="answer"></pre>
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {
  const view = frame.contentWindow, page = frame.contentDocument;
  const column = (table, place) => [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);
  const table = page.querySelector("table[data-sortable]");
  const button = table && table.querySelectorAll("th button")[SORTED];
  const sorted = button ? [1, 2].map(() => { button.click(); return column(table, SORTED); }) : [];
  const widest = [...page.querySelectorAll("body *")].filter((element) => !element.closest(".scroll, pre, svg"))
    .filter((element) => element.getBoundingClientRect().right > view.innerWidth + 0.5);
  document.getElementById("answer").textContent = JSON.stringify({
    width: view.innerWidth,
    scroll: page.documentElement.scrollWidth,
    outside: widest.map((element) => element.tagName + "." + element.className),
    requests: view.performance.getEntriesByType("resource").map((entry) => entry.name)
      .filter((name) => !name.startsWith("data:")),
    photos: [...page.images].filter((image) => image.complete && image.naturalWidth > 0).length,
    smallest: Math.min(...[...page.querySelectorAll("svg text")].map(
      (text) => parseFloat(view.getComputedStyle(text).fontSize) * text.getScreenCTM().a)),
    sorted,
  });
});
</script>
"""
RUNS = {
    "102 classes": {
        "labels": ["Brassica oleracea var. capitata f. alba", *(f"species {k}" for k in range(101))],
        "rows": 1500,
        "members": ("b3", "lite0"),
        "epochs": (("head", 3), ("all", 30)),
    },
    "binary": {"kind": "binary", "labels": ("intact", "defective"), "groups": True, "wait_share": 0.3},
    "multilabel": {"kind": "multilabel", "labels": [f"pathology {k}" for k in range(30)], "photos": 0},
    "regression": {"kind": "regression", "labels": ("clover_g", "dead_g"), "rows": 2400},
    "long names": {
        "labels": ["x" * 120, "a b " * 40, "中" * 60, "ok"],
        "ids": ["i" * 90 + str(row) for row in range(300)],
        "warnings": ["/a/very/long/path" * 12],
        "dropped": [{"id": "i" * 150, "reason": "r" * 150}],
    },
}


def look(browser: str, page: Path, width: int, *, sorted_column: int = 0) -> dict[str, Any]:
    """What the browser sees of a page in a frame of this width, and what it complains about."""
    probe = page.with_name(f"probe{width}.html")
    escaped = html.escape(page.read_text(encoding="utf-8"), quote=True)
    probe.write_text(
        PROBE.replace("WIDTH", str(width)).replace("SORTED", str(sorted_column)).replace("PAGE", escaped),
        encoding="utf-8",
    )
    command = [browser, "--headless", "--disable-gpu", "--enable-logging=stderr", "--dump-dom", probe.as_uri()]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(1, "--no-sandbox")  # a browser refuses to sandbox itself as root, as in containers
    done = subprocess.run(
        [*command[:-1], f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=5000", command[-1]],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.S)
    assert answer and answer[1], done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(answer[1])) | {"console": console}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_phone_and_desk(make_run: Callable[..., Path], browser: str, name: str, width: int) -> None:
    page = write_report(make_run(**RUNS[name]))
    seen = look(browser, page, width)
    assert seen["width"] == width
    assert seen["outside"] == []
    assert seen["scroll"] <= width
    assert seen["requests"] == []
    assert seen["console"] == []
    assert seen["smallest"] >= 9  # pixels of the smallest text in a chart
    if RUNS[name].get("photos") != 0:
        assert seen["photos"] > 10


@pytest.mark.slow
def test_a_click_sorts_a_table_and_another_turns_it_round(make_run: Callable[..., Path], browser: str) -> None:
    page = write_report(make_run(labels=[f"c{place}" for place in range(12)], rows=600))
    up, down = look(browser, page, 1280, sorted_column=2)["sorted"]
    assert len(up) == 12
    assert [float(value) for value in up] == sorted(map(float, up))
    assert down == up[::-1] or [float(value) for value in down] == sorted(map(float, up), reverse=True)


@pytest.mark.slow
def test_the_browser_runs_no_script_from_data(make_run: Callable[..., Path], browser: str) -> None:
    attack = "<script>console.error('ran')</script><img src=x onerror=\"console.error('ran')\">"
    page = write_report(make_run(labels=[attack + str(k) for k in range(3)], warnings=[attack], rows=60))
    assert look(browser, page, 390)["console"] == []


@pytest.mark.slow
def test_the_policy_stops_a_script_that_slipped_in(make_run: Callable[..., Path], browser: str) -> None:
    page = write_report(make_run(rows=60))
    slipped = "<script>console.error('it ran')</script><img src=https://example.org/x.png></body>"
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", slipped), encoding="utf-8")
    console = "".join(look(browser, page, 390)["console"])
    assert "it ran" not in console
    assert console.count("Content Security Policy") >= 2  # the script and the image
