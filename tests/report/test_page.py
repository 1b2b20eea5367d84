import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from outfold.cli import app
from outfold.errors import RunError
from outfold.report import write_report

MakeRun = Callable[..., Path]
KINDS = {
    "multiclass": {"labels": ("oat", "rye", "wheat", "barley")},
    "binary": {"labels": ("intact", "defective")},
    "multilabel": {"labels": ("crack", "spot", "burn")},
    "regression": {"labels": ("weight_g", "height_cm")},
}
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The visible text, the tags, and whether every element is closed in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.anchors: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.markup = path.read_text(encoding="utf-8")
        self.feed(self.markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.anchors += [value or "" for name, value in attrs if name == "id"]
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "data", "action", "poster")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.words += data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", [False, True])
def test_a_page_of_every_task(make_run: MakeRun, kind: str, groups: bool) -> None:
    run = make_run(kind=kind, groups=groups, rows=120, **KINDS[kind])
    page = Page(write_report(run))
    assert page.open == []
    summary = json.loads((run / "summary.json").read_text())
    entry = summary["scores"][summary["metric"]]
    assert "Out of fold: each of 120 rows was predicted by a model that never saw it" in page.words
    assert ("or its group (field)" in page.words) == groups
    for value in (entry["value"], entry["low"], entry["high"]):
        assert f"{value:.4f}"[:4] in page.words
    parts = {"multiclass": "classes", "binary": "probabilities", "multilabel": "labels", "regression": "values"}
    assert {"scores", "training", parts[kind], "samples", "data", "time", "recipe"} <= set(page.anchors)
    assert page.tags.count("img") > 0


def test_the_page_asks_nothing_of_a_network(make_run: MakeRun) -> None:
    page = Page(write_report(make_run(rows=60)))
    assert all(source.startswith(("data:image/", "#")) for source in page.sources)
    assert not re.search(r"https?://|@import|url\(", page.markup)
    assert not re.search(r"\beval\b|innerHTML|document\.write", page.markup)
    assert "default-src &#x27;none&#x27;" in page.markup
    assert page.tags.count("script") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_text_from_data_stays_text(make_run: MakeRun, kind: str) -> None:
    labels = [f"{EVIL}{place}" for place in range(2)] if kind == "binary" else [f'{EVIL}"{k}' for k in range(4)]
    ids = [f"{row}<img src=x onerror=alert(1)>" for row in range(40)]
    run = make_run(
        kind=kind, labels=labels, rows=40, ids=ids, photos=5, warnings=[EVIL], dropped=[{"id": EVIL, "reason": EVIL}]
    )
    page = Page(write_report(run))
    assert page.open == []
    assert page.tags.count("script") == 1
    assert EVIL in page.words
    assert "onerror=alert" in page.words


def test_hostile_text_of_a_failed_run_stays_text(make_run: MakeRun) -> None:
    run = make_run(rows=30)
    head = {"recipe": "x", "task": "multiclass", "metric": "macro_f1", "status": "failed", "error": EVIL}
    (run / "summary.json").write_text(json.dumps(head))
    (run / "log.jsonl").write_text(json.dumps({"event": EVIL, EVIL: EVIL, "loss": 0.5}) + "\n")
    page = Page(write_report(run))
    assert page.tags.count("script") == 1
    assert page.words.count(EVIL) == 4


@pytest.mark.parametrize(("status", "says"), [("failed", "This run failed."), ("running", "This run is not complete")])
def test_an_unfinished_run_says_so_and_shows_what_there_is(make_run: MakeRun, status: str, says: str) -> None:
    run = make_run(rows=30)
    head = {"recipe": "x", "task": "multiclass", "metric": "macro_f1", "status": status, "error": "disk full"}
    (run / "summary.json").write_text(json.dumps(head))
    page = Page(write_report(run))
    assert says in page.words
    assert ("disk full" in page.words) == (status == "failed")
    assert "3 models finished training" in page.words
    assert "started: recipe made-up" in page.words  # the log's last line was cut off by a kill, and is left out
    assert "training" in page.anchors
    assert "scores" not in page.anchors  # predictions of an earlier, other recipe may still lie there


def test_a_run_that_failed_before_anything_was_made(make_run: MakeRun) -> None:
    run = make_run(rows=30)
    (run / "summary.json").write_text(json.dumps({"recipe": "x", "task": "multiclass", "metric": "macro_f1"}))
    for path in [*run.glob("stages/*/*/*/history.csv"), run / "folds.csv", run / "oof.parquet", run / "log.jsonl"]:
        path.unlink()
    page = Page(write_report(run))
    assert "status: unknown" in page.words
    assert "0 models finished training" in page.words


@pytest.mark.parametrize("name", ["summary.json", "oof.parquet", "folds.csv", "target.json", "recipe.yaml"])
def test_a_missing_file_is_named(make_run: MakeRun, name: str) -> None:
    run = make_run(rows=30)
    (run / name).unlink()
    with pytest.raises(RunError, match=re.escape(name)):
        write_report(run)


def test_a_damaged_table_is_named(make_run: MakeRun) -> None:
    run = make_run(rows=30)
    whole = pd.read_parquet(run / "oof.parquet")
    whole.drop(columns="prob_rye").to_parquet(run / "oof.parquet")
    with pytest.raises(RunError, match=r"oof.parquet lacks columns") as caught:
        write_report(run)
    assert caught.value.expected == ["prob_rye"]
    (run / "oof.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(RunError, match=r"oof.parquet cannot be read"):
        write_report(run)
    (run / "folds.csv").write_text("")
    with pytest.raises(RunError, match=r"folds.csv cannot be read"):
        write_report(run)


def test_a_run_without_histories_says_so(make_run: MakeRun) -> None:
    run = make_run(rows=30)
    for path in run.glob("stages/*/*/*/history.csv"):
        path.unlink()
    assert "3 of the run's models have no history.csv" in Page(write_report(run)).words


def test_no_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no run folder"):
        write_report(tmp_path / "nowhere")


def test_missing_photos_leave_a_note(make_run: MakeRun) -> None:
    run = make_run(rows=60, photos=0)
    page = Page(write_report(run))
    assert "cannot be shown; the first:" in page.words
    assert page.tags.count("img") == 0
    (run.parent / "train.csv").unlink()
    assert "Photos are not shown:" in Page(write_report(run)).words


def test_photos_that_have_moved_are_found_under_a_new_root(make_run: MakeRun) -> None:
    run = make_run(rows=60)
    moved = run.parent.rename(run.parent.with_name("moved"))
    result = CliRunner().invoke(app, ["report", str(moved / "run"), "--data", str(moved)])
    assert result.exit_code == 0, result.output
    assert "report.html" in result.output
    assert Page(moved / "run" / "report.html").tags.count("img") > 0


def test_folds_that_were_not_held_out_are_mentioned(make_run: MakeRun) -> None:
    run = make_run(rows=60)
    table = pd.read_parquet(run / "oof.parquet")
    table[table["fold"] == 0].to_parquet(run / "oof.parquet")
    words = Page(write_report(run)).words
    assert "Only 20 of 60 rows are scored" in words
    assert "each of 20 rows" in words


def test_waiting_for_data_brings_advice(make_run: MakeRun) -> None:
    assert "give more --workers" in Page(write_report(make_run(rows=30, wait_share=0.2))).words
    assert "give more --workers" not in Page(write_report(make_run(rows=30, wait_share=0.05))).words


def test_warnings_and_dropped_rows_are_listed(make_run: MakeRun) -> None:
    dropped = [{"id": f"bad{row}", "reason": "the file is empty"} for row in range(150)]
    words = Page(write_report(make_run(rows=30, dropped=dropped, warnings=["2 files are the same"]))).words
    assert "2 files are the same" in words
    assert "Rows left out: 150, for 1 reason; the first 100 are listed" in words
    assert "bad99" in words
    assert "bad100" not in words


def test_a_run_without_a_score_says_so(make_run: MakeRun) -> None:
    run = make_run(rows=30)
    summary = json.loads((run / "summary.json").read_text())
    summary |= {"score": None, "scores": {}, "stages": {"answer": {"kind": "submit"}}}
    (run / "summary.json").write_text(json.dumps(summary))
    assert "no out-of-fold score" in Page(write_report(run)).words


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "multiclass", "labels": [f"species {k}" for k in range(102)], "epochs": (("all", 30),), "folds": 5},
        {"kind": "regression", "labels": ["clover_g", "dead_g", "green_g"]},
        {"kind": "binary", "labels": ["no", "yes"]},
    ],
    ids=lambda settings: settings["kind"],
)
def test_many_rows_stay_small(make_run: MakeRun, settings: dict) -> None:
    run = make_run(rows=8_000, photos=30, **settings)
    assert write_report(run).stat().st_size < 500_000


def test_more_classes_than_a_picture_can_show(make_run: MakeRun) -> None:
    labels = [f"c{place}" for place in range(1100)]
    words = Page(write_report(make_run(rows=2500, labels=labels, photos=0))).words
    assert "1100 classes are too many for a picture" in words
    assert "(100 more are not listed)" in words
