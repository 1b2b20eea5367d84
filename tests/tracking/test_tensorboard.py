"""TensorBoard: event files read back by its own accumulator."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Runs = Callable[..., list[dict[str, Any]]]


def events_of(run: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = (run / "tensorboard").iterdir()
    return EventAccumulator(str(folder)).Reload()


def test_epochs_scores_and_the_recipe_are_read_back(tracked: Runs, tmp_path: Path) -> None:
    tracked("tensorboard")
    events = events_of(tmp_path / "run")
    history = pd.read_csv(tmp_path / "run" / "stages" / "fit" / "a" / "fold0-seed0" / "history.csv")
    told = events.Scalars("fit/a/fold0-seed0/valid_loss")
    assert [point.step for point in told] == history["epoch"].tolist()
    assert [point.value for point in told] == pytest.approx(history["valid_loss"].tolist())

    scores = json.loads((tmp_path / "run" / "summary.json").read_text())["scores"]["macro_f1"]
    for place, end in (("score", "value"), ("score_low", "low"), ("score_high", "high")):
        assert events.Scalars(f"{place}/macro_f1")[0].value == pytest.approx(scores[end])
    (recipe,) = events.Tensors("recipe/text_summary")
    assert "backbone: test_efficientnet" in recipe.tensor_proto.string_val[0].decode()


def test_a_stopped_run_goes_on_in_the_same_folder(tracked: Runs, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tracked("tensorboard", stop="job_done")
    tracked("tensorboard")
    events = events_of(tmp_path / "run")
    for fold in (0, 1):
        assert [point.step for point in events.Scalars(f"fit/a/fold{fold}-seed0/lr")] == [1, 2]
