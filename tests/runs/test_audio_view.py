"""Recordings from the table to the answer: training, windows of soundscapes, later rows, going on after a kill."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

import outfold
from outfold.audit import audit_dataset
from outfold.errors import DataError, MediaError, RecipeError
from outfold.runs.check import check_recipe
from outfold.runs.prepare import load_dataset
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute

CPU = torch.device("cpu")


def run(recipe: dict[str, Any], folder: Path, root: Path) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu")


def likeliest(predictions: pd.DataFrame) -> list[str]:
    return [name.removeprefix("prob_") for name in predictions.filter(like="prob_").idxmax(axis=1)]


def truth_of(root: Path, ids: pd.Series) -> list[str]:
    truth = pd.read_csv(root / "solution.csv").set_index("row_id")
    return truth.loc[ids].idxmax(axis=1).tolist()


@pytest.mark.slow
def test_windows_of_soundscapes_are_told_apart(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    done = run(calls_recipe, tmp_path / "run", calls)
    assert done.score > 0.9
    assert done.predictions is not None
    assert done.predictions["id"].tolist() == [f"s{one}_{end}" for one in range(3) for end in (2, 4, 6, 8)]
    assert np.mean(np.array(likeliest(done.predictions)) == truth_of(calls, done.predictions["id"])) > 0.9
    table = pd.DataFrame({"name": ["x"], "file": ["later/s3.wav"], "start_s": [4.0], "end_s": [6.0]})
    later = done.predict(table, root=calls, device="cpu")
    assert later["kind"].tolist() == truth_of(calls, pd.Series(["s3_6"]))
    again = done.predict(table, root=calls, device="cpu", processes=2)
    pd.testing.assert_frame_equal(later, again)


@pytest.mark.slow
def test_equal_runs_give_equal_numbers_and_keep_what_is_done(
    calls_recipe: dict[str, Any], calls: Path, tmp_path: Path
) -> None:
    calls_recipe["stages"]["fit"]["mix"] = {"one_of": ["mixup"], "waveforms": True}
    calls_recipe["stages"]["fit"]["phases"][0]["epochs"] = 2
    first = run(calls_recipe, tmp_path / "one", calls)
    second = run(calls_recipe, tmp_path / "two", calls)
    pd.testing.assert_frame_equal(first.oof, second.oof)
    pd.testing.assert_frame_equal(first.predictions, second.predictions)
    weights = next((tmp_path / "one").glob("stages/fit/a/fold0*/weights.safetensors"))
    written = weights.stat().st_mtime_ns
    third = run(calls_recipe, tmp_path / "one", calls)
    assert weights.stat().st_mtime_ns == written
    pd.testing.assert_frame_equal(first.oof, third.oof)


def test_clips_are_added_up_and_keep_the_labels_of_both(
    calls_recipe: dict[str, Any], calls: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(calls, root)
    table = pd.read_csv(root / "train.csv")
    pd.concat([table, pd.get_dummies(table["kind"]).astype(int)], axis=1).to_csv(root / "train.csv", index=False)
    calls_recipe["task"] = {"kind": "multilabel", "target": ["low", "middle", "high"], "metric": "macro_roc_auc"}
    calls_recipe["folds"] = {"k": 3, "stratify": "kind"}
    calls_recipe["stages"]["fit"]["add_clips"] = {"p": 0.7}
    assert run(calls_recipe, tmp_path / "run", root).score > 0.7


def test_a_frozen_backbone_hears_each_recording_once(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    fit = calls_recipe["stages"]["fit"]
    fit["view"] |= {"patches": {"frames": 16, "hop": 8}, "transpose": True, "channels": "single"}
    fit["augment"] = []
    fit["phases"] = [{"name": "head", "epochs": 3, "train": "head", "augment": False}]
    events: list[dict[str, Any]] = []
    recipe = Recipe.model_validate(calls_recipe)
    done = outfold.run(recipe, tmp_path / "run", data=calls, device="cpu", emit=events.append)
    assert done.summary["status"] == "complete"
    assert any(event["event"] == "recordings" for event in events)


def test_bad_recordings_stop_a_run_or_are_left_out(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(calls, root)
    (root / "train" / "c04.wav").write_bytes(b"nothing to hear")
    calls_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    with pytest.raises(MediaError, match="1 of 36 recordings"):
        run(calls_recipe, tmp_path / "run", root)
    checked = check_recipe(Recipe.model_validate(calls_recipe), root)
    assert not checked.ok
    assert any("no recording, or not allowed" in finding.what for finding in checked.findings)
    calls_recipe["data"]["on_bad_media"] = "drop"
    done = run(calls_recipe, tmp_path / "dropped", root)
    assert len(done.oof) == 35
    assert check_recipe(Recipe.model_validate(calls_recipe), root, device="cpu").ok


def test_a_file_that_is_no_recording_is_dropped_from_tables_of_recordings(
    calls_recipe: dict[str, Any], calls: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(calls, root)
    (root / "soundscapes" / "s1.wav").write_bytes(b"nothing to hear")
    calls_recipe["stages"]["fit"]["phases"] = [{"name": "all", "epochs": 1}]
    with pytest.raises(MediaError, match="1 of 9 recordings") as caught:
        run(calls_recipe, tmp_path / "run", root)
    assert "s1.wav: not a recording" in str(caught.value.got)
    calls_recipe["data"]["on_bad_media"] = "drop"
    found = check_recipe(Recipe.model_validate(calls_recipe), root)
    (bad,) = [one for one in found.findings if "no recording, or not allowed" in one.what]
    assert (found.ok, bad.level) == (True, "warning")
    assert [(place.id, place.file) for place in bad.places] == [("s1_2", "soundscapes/s1.wav")]
    done = run(calls_recipe, tmp_path / "dropped", root)
    assert done.predictions is not None
    assert done.predictions["id"].tolist() == [f"s{one}_{end}" for one in (0, 2) for end in (2, 4, 6, 8)]
    assert done.summary["data"]["dropped"]
    later = done.predict(root / "soundscapes", device="cpu")
    assert later["name"].tolist() == done.predictions["id"].tolist()
    with pytest.raises(DataError, match="no row is left of the new table: the media of all 1") as nothing:
        done.predict(root / "soundscapes" / "s1.wav", device="cpu")
    assert "s1_2" in str(nothing.value.got)


def test_check_tells_of_seconds_that_are_not_there(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(calls, root)
    table = pd.read_csv(root / "train.csv").assign(begin=0.0, end=1.0)
    table.loc[5, "end"] = 20.0
    table.to_csv(root / "train.csv", index=False)
    calls_recipe["data"]["audio"] |= {"start_s": "begin", "end_s": "end"}
    checked = check_recipe(Recipe.model_validate(calls_recipe), root)
    assert [finding.what for finding in checked.findings if finding.level == "error"] == [
        "1 row with seconds behind the end of the recording"
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"predict": {"tta": ["identity", "hflip"]}}, "turns photos"),
        ({"phases": [{"name": "all", "epochs": 1, "size": 64}]}, "`size` is for photos"),
        ({"add_clips": {}}, "joins labels"),
        ({"head": {"name": "sed"}, "view": {"transpose": True}}, "attends to time"),
        ({"head": {"name": "sed"}, "view": {"patches": {"frames": 8, "hop": 4}}}, "attends to time"),
        ({"mix": {"one_of": ["cutmix"]}, "view": {"patches": {"frames": 8, "hop": 4}}}, "this view is in patches"),
        ({"mix": {"one_of": ["cutmix"], "waveforms": True}}, "use mixup alone"),
        ({"view": {"patches": {"frames": 800, "hop": 4}}}, "a window has 65 frames only"),
        ({"view": {"mel": {"sample_rate": 8000, "hop": 20_000}}}, r"a picture of one frame, 2\.5 s from the next"),
        ({"view": {"mel": {"sample_rate": 8000, "size": [64, 1]}}}, "width in mel.size"),
        ({"view": {"span_s": 1}}, "does not fit into span_s"),
        ({"view": {"middle_s": [1.5, 2]}}, "the window's own middle"),
        ({"view": {"kind": "image", "size": 32}, "add_clips": {}}, "adds up sounds"),
        (
            {"view": {"kind": "waveform", "encoder": {"model_type": "hubert"}}},
            "`backbone` is for backbones of pictures",
        ),
    ],
)
def test_settings_that_do_not_go_together(calls_recipe: dict[str, Any], changes: dict[str, Any], says: str) -> None:
    fit = calls_recipe["stages"]["fit"]
    view = changes.pop("view", {})
    fit |= changes
    fit["view"] = view if "kind" in view else fit["view"] | view
    with pytest.raises(ValidationError, match=says):
        Recipe.model_validate(calls_recipe)


def test_who_hears_needs_recordings(calls_recipe: dict[str, Any]) -> None:
    del calls_recipe["data"]["audio"], calls_recipe["data"]["test"]
    with pytest.raises(ValidationError, match=r"set data\.audio"):
        Recipe.model_validate(calls_recipe)


def test_transforms_are_those_of_sound(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    calls_recipe["stages"]["fit"]["augment"] = ["hflip"]
    with pytest.raises(RecipeError, match="no transform of sound 'hflip'"):
        run(calls_recipe, tmp_path / "run", calls)


def test_a_member_of_another_view_has_that_view_alone(calls_recipe: dict[str, Any]) -> None:
    fit = calls_recipe["stages"]["fit"]
    fit["members"]["mel"] = {"view": {"kind": "audio", "mel": {"preset": "yamnet", "hop": 100}}}
    fit["members"]["waves"] = {
        "backbone": None,
        "augment": ["gain"],
        "view": {"kind": "waveform", "encoder": {"model_type": "hubert"}, "window_s": 2},
    }
    settings = Recipe.model_validate(calls_recipe).members_of("fit")
    assert (settings["mel"].view.mel.hop, settings["mel"].view.mel.mels) == (100, 64)
    assert settings["mel"].view.channels == "ramp"
    assert (settings["waves"].view.kind, settings["waves"].view.window_s) == ("waveform", 2)


def test_backgrounds_are_mixed_in_and_change_what_is_learned(
    calls_recipe: dict[str, Any], calls: Path, tmp_path: Path
) -> None:
    fit = calls_recipe["stages"]["fit"]
    fit["phases"] = [{"name": "all", "epochs": 1, "lr": 1e-3}]
    fit["augment"] = [{"background": {"path": "later/*.wav", "snr_db": [0, 5], "p": 1}}]
    root = tmp_path / "data"
    shutil.copytree(calls, root)
    first = run(calls_recipe, tmp_path / "run", root).oof
    shutil.copy(root / "soundscapes" / "s0.wav", root / "later" / "s3.wav")
    assert not run(calls_recipe, tmp_path / "run", root).oof.equals(first)
    fit["augment"] = [{"background": {"path": "nothing/*.wav"}}]
    with pytest.raises(DataError, match="no file fits the pattern 'nothing"):
        run(calls_recipe, tmp_path / "other", root)
    fit["augment"] = ["background"]
    with pytest.raises(RecipeError, match="needs the pattern of its files"):
        run(calls_recipe, tmp_path / "third", root)


def test_damaged_backgrounds_stop_a_run_or_are_left_out_and_told_of(
    calls_recipe: dict[str, Any], calls: Path, tmp_path: Path
) -> None:
    """By the rule for the recordings of rows, and `outfold check` says beforehand what the run will do."""
    root = tmp_path / "data"
    shutil.copytree(calls, root)
    (root / "noise").mkdir()
    shutil.copy(root / "soundscapes" / "s0.wav", root / "noise")
    (root / "noise" / "empty.wav").touch()
    (root / "noise" / "no_sound.wav").write_text("not a recording")
    calls_recipe["stages"]["fit"]["augment"] = [{"background": {"path": "noise/*.wav", "p": 1}}]
    stops = Recipe.model_validate(calls_recipe)
    told = [one for one in check_recipe(stops, root).findings if "background recording" in one.what]
    assert {one.level for one in told} == {"error"}
    assert sorted(place.file for one in told for place in one.places) == ["noise/empty.wav", "noise/no_sound.wav"]
    with pytest.raises(MediaError, match="2 of 3 background recordings cannot be used"):
        load_dataset(stops, root, Compute(CPU))

    calls_recipe["data"]["on_bad_media"] = "drop"
    goes_on = Recipe.model_validate(calls_recipe)
    checked, events = check_recipe(goes_on, root), list[dict[str, Any]]()
    told = [one for one in checked.findings if "background recording" in one.what]
    assert checked.ok and {one.level for one in told} == {"warning"}
    dataset = load_dataset(goes_on, root, Compute(CPU, emit=events.append))
    (sentence,) = [text for text in dataset.warnings if "background" in text]
    assert "2 of 3" in sentence and "noise/empty.wav" in sentence
    assert [event["text"] for event in events if event["event"] == "warning"] == [sentence]
    (drawn,) = dataset.train.backgrounds.values()
    assert all(np.abs(drawn(100, np.random.default_rng(seed))).max() > 0 for seed in range(20))

    (root / "noise" / "s0.wav").unlink()
    assert not check_recipe(goes_on, root).ok
    with pytest.raises(MediaError, match="2 of 2 background recordings cannot be used"):
        load_dataset(goes_on, root, Compute(CPU))


def test_backgrounds_that_are_not_there_are_found_by_a_check(calls_recipe: dict[str, Any], calls: Path) -> None:
    calls_recipe["stages"]["fit"]["augment"] = [{"background": {"path": "nothing/*.wav"}}]
    findings = check_recipe(Recipe.model_validate(calls_recipe), calls).findings
    (error,) = [one for one in findings if one.level == "error"]
    assert "no file fits the pattern 'nothing/*.wav'" in error.what


def test_windows_of_a_recording_are_no_copies_of_each_other(
    calls_recipe: dict[str, Any], calls: Path, tmp_path: Path
) -> None:
    """Where members only read vectors, too; folds still keep the windows of a file together."""
    root = tmp_path / "data"
    shutil.copytree(calls, root)
    table = pd.DataFrame({"name": [f"{one}_{end}" for one in "abc" for end in (2, 4, 6, 8)]})
    table["kind"] = ["low", "high"] * 6
    table["file"], table["from"] = [f"soundscapes/s{row // 4}.wav" for row in range(12)], 2.0 * (table.index % 4)
    table.assign(to=table["from"] + 2).to_csv(root / "train.csv", index=False)
    np.save(root / "vectors.npy", np.random.default_rng(0).normal(size=(12, 4)))
    table[["name"]].to_csv(root / "ids.csv", index=False)
    calls_recipe["data"] = {
        "train": "train.csv",
        "id": "name",
        "audio": {"path": "{file}", "start_s": "from", "end_s": "to"},
    }
    fit = calls_recipe["stages"]["fit"]
    for key in ("backbone", "weights", "augment"):
        del fit[key]
    fit["view"] = {"kind": "embedding", "vectors": "vectors.npy", "ids": "ids.csv"}
    recipe = Recipe.model_validate(calls_recipe)
    dataset = load_dataset(recipe, root, Compute("cpu", 1, lambda event: None))
    assert len(set(dataset.train.media_keys)) == 12
    assert len(set(dataset.train.content)) == 3
    assert [len(set(dataset.folds.fold[4 * one : 4 * one + 4])) for one in range(3)] == [1, 1, 1]
    assert not [said for said in dataset.warnings if "several rows" in said or "several folds" in said]
    calls_recipe["folds"] |= {"duplicates": "ignore"}
    recipe = Recipe.model_validate(calls_recipe)
    torn = load_dataset(recipe, root, Compute("cpu", 1, lambda event: None))
    assert any(said.startswith("3 recordings with rows in several folds, which leaks") for said in torn.warnings)
    found = [*check_recipe(recipe, root).findings, *audit_dataset(recipe, torn)]
    told = {one.level: one for one in found if one.rule == "recordings-across-folds"}
    assert set(told) == {"warning", "error"}
    assert len(told["error"].places) == 12


def test_an_encoder_of_waveforms_from_a_recipe(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    fit = calls_recipe["stages"]["fit"]
    del fit["backbone"]
    encoder = {
        "model_type": "hubert",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "conv_dim": [16, 16],
        "conv_kernel": [10, 8],
        "conv_stride": [20, 8],
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
    }
    fit["view"] = {"kind": "waveform", "encoder": encoder, "sample_rate": 8000, "window_s": 2, "span_s": 3}
    fit["augment"] = ["gain"]
    frozen = {"name": "late", "epochs": 1, "lr": 1e-3, "train": {"blocks": ["feature_extractor"]}}
    fit["phases"] = [{"name": "head", "epochs": 1, "train": "head", "augment": False}, frozen]
    done = run(calls_recipe, tmp_path / "run", calls)
    assert len(done.oof) == 36
    table = pd.DataFrame({"name": ["x"], "file": ["later/s3.wav"], "start_s": [0.0], "end_s": [2.0]})
    assert len(done.predict(table, root=calls, device="cpu")) == 1
    later, known = done.predict(calls / "soundscapes", device="cpu"), done.predictions
    assert known is not None
    np.testing.assert_array_equal(later.filter(like="prob_"), known.filter(like="prob_"))


def test_recordings_without_a_window_are_told(calls_recipe: dict[str, Any], calls: Path, tmp_path: Path) -> None:
    calls_recipe["data"]["test"] = {"recordings": {"path": "train/*.wav", "window_s": 2}}
    calls_recipe["stages"]["fit"]["phases"] = [{"name": "all", "epochs": 1}]
    (told,) = [
        one for one in check_recipe(Recipe.model_validate(calls_recipe), calls).findings if "shorter" in one.what
    ]
    assert told.what.startswith("9 recordings shorter than a window, without a row: train/c00.wav, ")
    done = run(calls_recipe, tmp_path / "run", calls)
    assert any(told.what == warning for warning in done.summary["data"]["warnings"])
