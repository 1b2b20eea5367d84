"""Recordings along time: which are shown, which of their classes, and what is drawn."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from outfold.data.audio.clip_columns import clip_columns, clips_in
from outfold.data.audio.rows import RowClips
from outfold.data.targets import TargetCodec
from outfold.metrics import get_metric
from outfold.report.loading import Evaluation
from outfold.report.sections.timeline import timeline
from outfold.report.timelines import MOST_ABSENT, cross_entropy, timelines
from outfold.settings.task import Task, TaskKind

EVIL = "<script>alert(1)</script>"


def evaluation(kind: TaskKind = "multilabel", classes: int = 5, *, infinite: bool = False) -> Evaluation:
    """Three recordings of eight windows, the second predicted worst, and one of a single window, in no order."""
    rng = np.random.default_rng(0)
    count = 25
    names = (*(f"bird{place}" for place in range(classes - 1)), EVIL)
    recording = np.array([*np.repeat(["a.ogg", f"{EVIL}.ogg", "c.ogg"], 8), "lone.ogg"], dtype=object)
    start = np.r_[np.tile(5.0 * np.arange(8), 3), 0.0]
    if kind == "multilabel":
        target = np.zeros((count, classes), dtype=np.float32)
        target[2:5, 0] = target[10:12, classes - 1] = target[20, 1] = 1
        table = pd.DataFrame(target, columns=list(names)).astype(int)
        task = Task(kind=kind, target=names, metric="macro_roc_auc")
    elif kind == "binary":
        table, task = pd.DataFrame({"call": np.arange(count) % 3 == 0}), Task(kind=kind, target=("call",), metric="f1")
    else:
        table = pd.DataFrame({"bird": [names[place % classes] for place in range(count)]})
        task = Task(kind=kind, target=("bird",), metric="accuracy")
    codec = TargetCodec.fit(task, table)
    target = codec.encode(table)
    prediction = np.clip(0.8 * target + rng.uniform(0, 0.2, target.shape), 0.01, 0.99)
    prediction[8:16] = 1 - prediction[8:16]
    if kind == "multiclass":
        prediction /= prediction.sum(axis=1, keepdims=True)
    order = rng.permutation(count)
    end = np.full(count, np.inf) if infinite else start + 5
    clips = RowClips(recording[order], start[order], end[order])
    ids = np.array([f"row{row}" for row in range(count)], dtype=object)
    return Evaluation(ids, ids == "", target[order], prediction[order].astype(np.float32), codec, clips=clips)


def html_of(given: Evaluation | None) -> str | None:
    section = timeline(SimpleNamespace(evaluation=given))  # type: ignore[arg-type]
    return None if section is None else str(section.html())


def test_clips_come_back_from_a_table() -> None:
    clips = evaluation(infinite=True).clips
    assert clips is not None
    table = clip_columns(clips).assign(other=1)
    found = clips_in(table)
    assert found is not None
    assert found.recording.tolist() == clips.recording.tolist()
    assert_array_equal(found.start_s, clips.start_s)
    assert_array_equal(found.end_s, clips.end_s)
    assert clips_in(table.drop(columns="clip_end_s")) is None


@pytest.mark.parametrize("kind", ["multilabel", "multiclass", "binary"])
def test_the_worst_recording_of_several_rows_comes_first(kind: TaskKind) -> None:
    given = evaluation(kind)
    assert given.clips is not None
    found = timelines(given, given.clips)
    assert found[0].recording == f"{EVIL}.ogg"
    assert {one.recording for one in found} == {"a.ogg", f"{EVIL}.ogg", "c.ogg"}
    assert [one.loss for one in found] == sorted((one.loss for one in found), reverse=True)
    assert [one.recording for one in timelines(given, given.clips, most=1)] == [f"{EVIL}.ogg"]
    for one in found:
        assert_array_equal(one.start_s, 5.0 * np.arange(8))
        assert_array_equal(one.end_s, one.start_s + 5)


def test_classes_that_are_there_and_the_highest_of_the_others() -> None:
    given = evaluation(classes=9)
    assert given.clips is not None
    for one in timelines(given, given.clips):
        rows = np.flatnonzero(given.clips.recording == one.recording)
        rows = rows[np.argsort(given.clips.start_s[rows])]
        there = np.flatnonzero(given.target[rows].any(axis=0))
        names = [lane.name for lane in one.lanes]
        assert names[: len(there)] == [given.codec.outputs[place] for place in there]
        others = np.setdiff1d(np.arange(9), there)
        highest = others[np.argsort(-given.prediction[rows][:, others].max(axis=0), kind="stable")][:MOST_ABSENT]
        assert names[len(there) :] == [given.codec.outputs[place] for place in highest]
        for lane in one.lanes:
            place = given.codec.outputs.index(lane.name)
            assert_array_equal(lane.probability, given.prediction[rows, place])
            assert_array_equal(lane.present, given.target[rows, place] == 1)


@pytest.mark.parametrize("kind", ["multilabel", "multiclass", "binary"])
def test_the_loss_is_that_of_the_metric(kind: TaskKind) -> None:
    given = evaluation(kind)
    by_row = cross_entropy(given).sum(axis=1).mean() / (given.target.shape[1] if kind == "multilabel" else 1)
    assert_allclose(by_row, get_metric("log_loss", kind).function(given.target, given.prediction), rtol=1e-6)


def test_rows_that_last_to_the_end_are_cut_at_the_next_one() -> None:
    given = evaluation(infinite=True)
    assert given.clips is not None
    for one in timelines(given, given.clips):
        assert_array_equal(one.end_s, one.start_s + 5)


def test_what_is_drawn() -> None:
    page = html_of(evaluation())
    assert page is not None
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 3
    assert page.count('class="band"') == 3  # one for each stretch in which a class is there
    first = page[page.index("<svg") :]
    steps = re.findall(r'd="(M[^"]*)" class="line', first)[0]
    assert steps.count("L") == 15  # eight rows one after the other: two ends each, one pen


def test_nothing_to_draw() -> None:
    given: Any = evaluation()
    lone = given.clips.recording == "lone.ogg"
    without = Evaluation(given.ids, given.fold, given.target, given.prediction, given.codec)
    ranks = Evaluation(given.ids, given.fold, given.target, given.prediction, given.codec, True, given.clips)
    parts = [part[lone] for part in (given.ids, given.fold, given.target, given.prediction)]
    single = Evaluation(*parts, given.codec, clips=given.clips.take(lone))
    for one in (None, without, ranks, single):
        assert html_of(one) is None
