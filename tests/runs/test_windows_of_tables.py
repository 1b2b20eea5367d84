"""Rows that are windows of recordings, in tables of any names and of several kinds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from outfold.audit.known import Known, copies_of
from outfold.data.audio.rows import RowClips
from outfold.data.dataset import Rows
from outfold.data.table import Samples, load_samples
from outfold.runs.check import check_recipe
from outfold.runs.later_recordings import place_of, samples_of
from outfold.settings.recipe import Recipe


@pytest.mark.parametrize("name", ["file", "recording", "start_s", "end_s"])
def test_the_id_may_have_the_name_of_a_column_of_windows(calls: Path, calls_recipe: dict[str, Any], name: str) -> None:
    data = calls_recipe["data"]
    data |= {"id": name, "train": {"table": "train.csv", "rename": {"name": name}}}
    data["audio"] = {"path": f"train/{{{name}}}.wav"}
    recipe = Recipe.model_validate(calls_recipe)
    place, told = place_of(calls / "soundscapes"), list[dict[str, Any]]()
    assert place is not None
    for samples in (
        load_samples(recipe.data, calls, "test"),
        samples_of(place, recipe, calls, told.append),
    ):
        assert samples.ids[:4].tolist() == ["s0_2", "s0_4", "s0_6", "s0_8"]
        assert samples.media is not None
        assert {path.name for path in samples.media} == {"s0.wav", "s1.wav", "s2.wav"}
        assert samples.clips is not None
        assert samples.clips.start_s[:4].tolist() == [0, 2, 4, 6]
    assert told == []
    assert not [one.what for one in check_recipe(recipe, calls).findings if one.level == "error"]


def test_windows_filled_with_silence_excuse_no_other_table(calls: Path, calls_recipe: dict[str, Any]) -> None:
    data, beyond = calls_recipe["data"], calls / "beyond.csv"
    rows = pd.DataFrame({"name": [f"w{number}" for number in range(6)], "kind": ["low", "high"] * 3})
    rows.assign(file="soundscapes/s0.wav", begin=[0, 2, 4, 5, 6, 7], end=[2, 4, 6, 7, 8, 9]).to_csv(beyond, index=False)
    data["train"] = "beyond.csv"
    data["audio"] = {"path": "{file}", "start_s": "begin", "end_s": "end"}
    data["test"]["recordings"]["last"] = "pad"
    calls_recipe["folds"] = {"k": 2, "duplicates": "ignore"}
    found = check_recipe(Recipe.model_validate(calls_recipe), calls).findings
    (wrong,) = [one for one in found if one.level == "error"]
    assert [place.id for place in wrong.places] == ["w5"]


def test_windows_of_one_recording_are_no_copies_of_each_other() -> None:
    frame, names = pd.DataFrame({"id": list("abcd")}), np.array(list("abcd"), dtype=object)
    starts = np.array([0.0, 5.0, 0.0, 0.0])
    clips = RowClips(np.array(["x", "x", "x", "y"], dtype=object), starts, starts + 5)
    media = tuple(Path(f"{name}.wav") for name in "xxxy")
    rows = Rows(Samples(frame, names, media, "id", clips=clips), content=("k", "k", "k", "m"))
    sets = copies_of(rows, Known())
    assert sets is not None
    assert sets[0] == sets[2]
    assert len(set(sets.tolist())) == 3
