"""Weights & Biases offline: the run's own file of records, parsed as its format says."""

import json
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Runs = Callable[..., list[dict[str, Any]]]
BLOCK, HEADER, FILE_HEADER = 32768, 7, 7


def records(run: Path) -> Iterator[Any]:
    """Records of all offline files below a run folder: protocol buffers in LevelDB's log format."""
    from wandb.proto import wandb_internal_pb2

    for path in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        data, place, whole = path.read_bytes(), FILE_HEADER, b""
        assert data.startswith(b":W&B")
        while place + HEADER <= len(data):
            left = BLOCK - place % BLOCK
            if left < HEADER:
                place += left
                continue
            _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
            if place + HEADER + length > len(data):
                return  # a record that is still being written
            whole += data[place + HEADER : place + HEADER + length]
            place += HEADER + length
            if kind in (1, 4):  # a full record, or the last part of one
                record = wandb_internal_pb2.Record()
                record.ParseFromString(whole)
                whole = b""
                yield record


def written(run: Path) -> list[Any]:
    """The records once the last of them is on disk, which the service may write a moment after the run has finished."""
    for _ in range(100):
        found = list(records(run))
        if any(record.WhichOneof("record_type") == "exit" for record in found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"no record of the run's end after 10 s, {len(found)} others")


def values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's own settings is read or written."""
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


@pytest.mark.slow
def test_config_epochs_scores_and_files_are_read_back(tracked: Runs, tmp_path: Path) -> None:
    tracked({"to": "wandb", "project": "colours"})
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    found = written(tmp_path / "run")
    opened = next(record.run for record in found if record.WhichOneof("record_type") == "run")
    assert opened.project == "colours"
    assert opened.display_name == "run"
    assert values(opened.config.update)["stages.fit.phases.0.lr"] == 0.003

    steps = [values(record.history.item) for record in found if record.WhichOneof("record_type") == "history"]
    history = pd.read_csv(tmp_path / "run" / "stages" / "fit" / "a" / "fold1-seed0" / "history.csv")
    name = "fit/a/fold1-seed0"
    told = [(step[f"{name}/epoch"], step[f"{name}/macro_f1"]) for step in steps if f"{name}/epoch" in step]
    assert told == list(zip(history["epoch"], history["macro_f1"], strict=True))

    final: dict[str, Any] = {}
    for record in found:
        final |= values(record.summary.update) if record.WhichOneof("record_type") == "summary" else {}
    score = json.loads((tmp_path / "run" / "summary.json").read_text())["scores"]["macro_f1"]
    ends = {"score": "value", "score_low": "low", "score_high": "high"}
    assert {place: final[f"{place}/macro_f1"] for place in ends} == {place: score[end] for place, end in ends.items()}
    report = folder / "files" / "report.html"
    assert not report.is_symlink()
    assert report.read_bytes() == (tmp_path / "run" / "report.html").read_bytes()


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_same_id(tracked: Runs, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tracked("wandb", stop="job_done")
    tracked("wandb")
    opened = [record.run.run_id for record in records(tmp_path / "run") if record.WhichOneof("record_type") == "run"]
    assert set(opened) == {json.loads((tmp_path / "run" / "tracking.json").read_text())["id"]}
    steps = [values(record.history.item) for record in records(tmp_path / "run") if record.history.item]
    told = [key for step in steps for key in step if key.endswith("/epoch")]
    assert sorted(told) == sorted(f"fit/a/fold{fold}-seed0/epoch" for fold in (0, 0, 1, 1))
