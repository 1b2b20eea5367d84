"""What members hear of windows: all of them, more than them, or a part; and bands in which there is nothing to hear."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import outfold
from outfold.errors import RecipeError
from outfold.runs.check import check_recipe
from outfold.runs.heard import check_windows, heard_findings
from outfold.settings.audio_view import AudioView
from outfold.settings.recipe import Recipe
from outfold.views.audio.filters import empty_filters


def warnings_of(recipe: dict[str, Any]) -> list[str]:
    return [finding.what for finding in heard_findings(Recipe.model_validate(recipe))]


def test_windows_of_another_length_than_is_heard(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    """Members that hear more than a window are told of; a window of which only the beginning is heard is refused."""
    assert warnings_of(calls_recipe) == []
    calls_recipe["stages"]["fit"]["members"]["b"] = {"view": {"kind": "audio", "window_s": 2.5}}
    (told,) = warnings_of(calls_recipe)
    assert told.startswith(
        "stage 'fit', member 'b' hears 2.5 s at once, and the windows of data.test.recordings last 2 s"
    )
    calls_recipe["data"]["test"]["recordings"]["window_s"] = 2.5
    with pytest.raises(RecipeError, match=r"member 'a' hears the first 2 s of each window of data\.test\.recordings"):
        outfold.run(Recipe.model_validate(calls_recipe), tmp_path / "run", data=calls, device="cpu")
    assert not check_recipe(Recipe.model_validate(calls_recipe), calls).ok
    assert warnings_of(calls_recipe) == []
    calls_recipe["data"]["test"]["recordings"] |= {"window_s": 2, "hop_s": 2.5}
    check_windows(Recipe.model_validate(calls_recipe))


def test_teachers_hear_whole_windows_and_students_parts_of_them(calls_recipe: dict[str, Any]) -> None:
    calls_recipe["data"]["unlabelled"] = {"recordings": {"path": "later/*.wav", "window_s": 4}}
    stages, fit = calls_recipe["stages"], calls_recipe["stages"]["fit"]
    del stages["answer"]
    stages["labels"] = {"kind": "label", "from": "fit"}
    stages["student"] = {**fit, "labels": "labels"}
    with pytest.raises(RecipeError, match=r"stage 'fit', member 'a' hears the first 2 s .* data\.unlabelled"):
        check_windows(Recipe.model_validate(calls_recipe))
    stages["fit"] = {**fit, "view": {**fit["view"], "window_s": 4, "span_s": 4}}
    assert [told[:13] for told in warnings_of(calls_recipe)] == ["stage 'fit', "]  # the teacher, on the test table
    check_windows(Recipe.model_validate(calls_recipe))


def test_silent_mel_bands_are_counted_once(calls_recipe: dict[str, Any]) -> None:
    fit = calls_recipe["stages"]["fit"]
    fit["view"] = {**fit["view"], "mel": {**fit["view"]["mel"], "mels": 128}}
    fit["members"] = {"a": {}, "b": {}}
    (told,) = warnings_of(calls_recipe)
    assert told.startswith("stage 'fit', member 'a' and 1 member more: ")
    view = Recipe.model_validate(calls_recipe).members_of("fit")["a"].view
    assert isinstance(view, AudioView)
    assert f": {len(empty_filters(view.mel))} of 128 mel bands are silent" in told
    assert "31.2 Hz" in told


@pytest.mark.parametrize(("hop_s", "every_s"), [(3, 5), (10, 5), (2, 5)])
def test_answers_between_windows_are_refused(calls_recipe: dict[str, Any], hop_s: float, every_s: float) -> None:
    calls_recipe["data"]["test"]["recordings"]["hop_s"] = hop_s
    calls_recipe["stages"]["answer"]["every_s"] = every_s
    with pytest.raises(ValidationError, match="stage 'answer': `every_s` is 5 and no multiple of the hop"):
        Recipe.model_validate(calls_recipe)
