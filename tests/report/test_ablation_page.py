"""The page of an ablation: what it says, that text stays text, and that it fits a phone."""

import html
import json
import math
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from outfold.metrics.comparison import Estimate
from outfold.metrics.paired import paired_t
from outfold.report.ablation import Ablation, Difference, Variant, in_words, page

ATTACK = "<script>console.error('ran')</script><img src=x onerror=\"console.error('ran')\">"
LOOK = """
<!doctype html><meta charset="utf-8"><iframe width="WIDTH" height="900" srcdoc="PAGE"></iframe><pre id="answer"></pre>
<script>
document.querySelector("iframe").addEventListener("load", (event) => {
  const view = event.target.contentWindow, page = event.target.contentDocument;
  document.getElementById("answer").textContent = JSON.stringify({
    scroll: page.documentElement.scrollWidth,
    requests: view.performance.getEntriesByType("resource").length,
    outside: [...page.querySelectorAll("svg text, svg path")].filter(
      (mark) => mark.getBoundingClientRect().right > view.innerWidth + 0.5).length,
    smallest: Math.min(...[...page.querySelectorAll("svg text")].map(
      (text) => parseFloat(view.getComputedStyle(text).fontSize) * text.getScreenCTM().a)),
  });
});
</script>
"""


def variant(name: str, differences: tuple[float, ...], verdict: Any, half: float = 0.01, **more: Any) -> Variant:
    mean = sum(differences) / len(differences)
    found = Difference(
        rows=1200,
        units=300,
        left_out=(0, 0),
        baseline=0.9,
        variant=0.9 + mean,
        by_fold=dict(enumerate(differences)),
        folds=paired_t(differences, overlap=0.5),
        pooled=Estimate(mean, mean - half, mean + half),
        verdict=verdict,
    )
    by_fold = {fold: 0.9 + value for fold, value in enumerate(differences)}
    return Variant(name, {"fit.batch_size": 8}, score=0.9 + mean, by_fold=by_fold, difference=found, **more)


def ablation(*variants: Variant, **more: Any) -> Ablation:
    scores = {
        "roc_auc": {"value": 0.9, "low": 0.88, "high": 0.92},
        "auc_2020": {"value": 0.8, "low": None, "high": None},
    }
    baseline = Variant("baseline", {}, score=0.9, by_fold={0: 0.89, 1: 0.9, 2: math.nan}, scores=scores)
    settings = {
        "metric": "roc_auc",
        "description": "",
        "greater_is_better": True,
        "level": 0.95,
        "each_level": 0.975,
        "resamples": 2000,
    }
    return Ablation(recipe="trial", baseline=baseline, variants=variants, **settings | more)


WORSE = variant("no-pretraining", (-0.05, -0.06, -0.04), "worse", notes=("compared on 40 rows",))
NOISE = variant("larger", (0.01, -0.01, math.nan), "noise")
FAILED = Variant("odd", {"fit.augment": []}, problem="the loss is not finite")


def test_what_it_says() -> None:
    text = re.sub(r"<[^>]+>", " ", page(ablation(WORSE, NOISE, FAILED)))
    for words in (
        "Worse than the baseline: no-pretraining; noise: larger.",
        "odd did not come to an end: the loss is not finite",
        "\u22120.0500",
        "\u22120.0600 to \u22120.0400",
        "They hold for all 2 variants together with 95% (Bonferroni: 97.50% each).",
        "from 2,000 bootstrap resamples",
        "no-pretraining: compared on 40 rows",
        "fit.augment: []",
        "better: right",
    ):
        assert words in html.unescape(text), words
    assert in_words(ablation(FAILED)) == "no variant was compared"
    assert "better: left" in page(ablation(WORSE, greater_is_better=False))


def test_a_drawing_names_every_variant_for_those_who_cannot_see_it() -> None:
    labels = re.findall(r'aria-label="([^"]*)"', page(ablation(WORSE, NOISE)))
    assert any("no-pretraining: \u22120.0500 worse" in label for label in labels)
    assert any("baseline: 0.8950" in label for label in labels)


def test_nothing_but_failures_and_nothing_known() -> None:
    assert "No variant came to an end." in page(ablation(FAILED))
    unknown = Estimate(math.nan, math.nan, math.nan)
    nothing = variant("nothing", (math.nan,), "noise")
    assert nothing.difference is not None
    blank = Difference(**{**vars(nothing.difference), "pooled": unknown})
    body = page(ablation(Variant("blank", {}, difference=blank))).partition("<body>")[2]
    assert "nan" not in body.partition("<script>")[0]


def test_text_stays_text() -> None:
    attacked = Variant(ATTACK, {ATTACK: ATTACK}, difference=WORSE.difference, notes=(ATTACK,))
    failed = Variant("x", {}, problem=ATTACK)
    text = page(ablation(attacked, failed, description=ATTACK, metric=ATTACK))
    assert "<img" not in text
    assert text.count("<script>") == 1  # the page's own


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_phone_and_desk_and_asks_no_network(width: int, browser: str, tmp_path: Path) -> None:
    long = variant("a-name-that-is-much-longer-than-any-phone-is-wide-" * 2, (0.02, 0.03, 0.05), "better")
    text = page(ablation(WORSE, NOISE, long, FAILED))
    probe = tmp_path / "probe.html"
    probe.write_text(LOOK.replace("WIDTH", str(width)).replace("PAGE", html.escape(text, quote=True)), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [*command, profile, "--virtual-time-budget=5000", probe.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.S)
    assert answer
    seen = json.loads(html.unescape(answer[1]))
    assert seen["scroll"] <= width
    assert seen["requests"] == seen["outside"] == 0
    assert seen["smallest"] >= 9
    assert "CONSOLE" not in done.stderr
