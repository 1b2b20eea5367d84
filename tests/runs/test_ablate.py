"""An ablation from start to end on a small folder: what is trained, what is shared, what is said."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.errors import DataError, OutfoldError, RecipeError
from outfold.metrics import get_metric
from outfold.runs.ablate import with_shared_folds
from outfold.runs.ablated import contradicts, difference_of
from outfold.runs.compare import Pair
from outfold.settings.recipe import Recipe

Events = list[dict[str, Any]]


def ablate(recipe: dict[str, Any], variants: dict[str, Any], out: Path, data: Path, **more: Any) -> tuple[Any, Events]:
    events: Events = []
    vary = {"variants": variants}
    emit = more.pop("emit", events.append)
    done = outfold.ablate(Recipe.model_validate(recipe), vary, out, data=data, device="cpu", emit=emit, **more)
    return done, events


def fits(events: Events) -> list[str]:
    return [event["job"] for event in events if event["event"] == "job_done" and event["job"].endswith(" fit")]


@pytest.fixture
def two_tables(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """The tiny recipe with its training rows in two tables, of which a variant can leave one out."""
    root = tmp_path / "data"
    root.mkdir()
    shutil.copytree(shapes / "images", root / "images")
    table = pd.read_csv(shapes / "train.csv")
    table[:36].to_csv(root / "own.csv", index=False)
    table[36:].to_csv(root / "more.csv", index=False)
    tiny_recipe["data"] |= {"train": [{"table": "own.csv"}, {"table": "more.csv"}]}
    del tiny_recipe["data"]["test"]
    tiny_recipe["folds"]["k"] = 2
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    return tiny_recipe, root


@pytest.mark.slow
def test_variants_are_runs_on_the_baselines_folds(two_tables: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    recipe, root = two_tables
    out = tmp_path / "out"
    variants = {
        "slow": {"fit.phases.0.lr": 1e-6},
        "no-tta": {"fit.predict.tta": "none"},
        "less": {"data.train.1": None},
        "other-seed": {"fit.seeds": [1]},
    }
    done, events = ablate(recipe, variants, out, root)
    assert len(fits(events)) == 2 * 4  # another way to predict trains nothing
    assert [one.trained for one in (done.baseline, *done.variants)] == [2, 2, 0, 2, 2]

    folds = {name: pd.read_csv(out / name / "folds.csv").set_index("id")["fold"] for name in ("baseline", *variants)}
    assert all(folds[name].equals(folds["baseline"]) for name in ("slow", "no-tta", "other-seed"))
    assert len(folds["less"]) == 36
    pd.testing.assert_series_equal(folds["less"], folds["baseline"][folds["less"].index])

    slow, no_tta, less, other = done.variants
    assert slow.difference.rows == 72
    assert done.each_level == pytest.approx(1 - 0.05 / 4)
    assert less.difference.rows == 36
    assert less.notes[0].startswith("compared on the 36 rows that both judged (36 only by the baseline)")
    assert "other seeds" in other.notes[0]
    oof = [pd.read_parquet(out / name / "oof.parquet").set_index("id") for name in ("baseline", "less")]
    metric = get_metric("macro_f1", "multiclass")
    scores = []
    for table in (oof[0].loc[oof[1].index], oof[1]):
        names = ["prob_blue", "prob_green", "prob_red"]
        target = np.stack([(table["colour"] == name.removeprefix("prob_")) for name in names], axis=1)
        scores.append(metric.function(target.astype(np.float32), table[names].to_numpy(np.float32)))
    assert (less.difference.baseline, less.difference.variant) == pytest.approx(scores)
    assert no_tta.scores.keys() == {"macro_f1", "accuracy", "log_loss"}

    table = pd.read_csv(out / "ablation.csv")
    assert table["variant"].tolist() == ["baseline", *variants]
    assert table["fold_mean"].tolist() == pytest.approx([one.mean for one in (done.baseline, *done.variants)])
    record = json.loads((out / "ablation.json").read_text())
    assert record["variants"][0]["difference"]["pooled"][0] == slow.difference.pooled.value
    assert "noise" in (out / "ablation.html").read_text()
    assert json.loads((out / "slow" / "summary.json").read_text())["status"] == "complete"

    more = variants | {"fast": {"fit.phases.0.lr": 1e-2}}
    _, events = ablate(recipe, more, out, root, only=["no-tta", "fast"])
    assert len(fits(events)) == 2  # those of the new variant


@pytest.mark.slow
def test_a_stopped_ablation_goes_on(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    tiny_recipe["folds"]["only"] = [0, 1]
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 2
    variants = {"slow": {"fit.phases.0.lr": 1e-6}}
    whole, _ = ablate(tiny_recipe, variants, tmp_path / "whole", shapes)
    events: Events = []

    def stop(event: dict[str, Any]) -> None:
        events.append(event)
        if sum(one["event"] == "epoch" for one in events) == 7:  # in the second of the variant's two models
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(tiny_recipe, variants, tmp_path / "stopped", shapes, emit=stop)
    again, events = ablate(tiny_recipe, variants, tmp_path / "stopped", shapes)
    assert fits(events) == ["fit/a/fold1-seed0 fit"]
    assert any(event["event"] == "resumed" for event in events)
    assert again.variants[0].difference == whole.variants[0].difference


def test_nothing_runs_when_a_variant_is_wrong(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    for changes, said in (
        ({"fit.members.a.backbone": "resnet81"}, "variant 'odd': stage 'fit', member 'a'"),
        ({"fit.augment": ["hflop"]}, "variant 'odd'"),
        ({"data.train.0.table": "nothing.csv"}, "variant 'odd': data.train"),
        ({"fit.view.siz": 3}, "size"),
    ):
        with pytest.raises(OutfoldError) as error:
            ablate(tiny_recipe, {"fine": {}, "odd": changes}, tmp_path / "out", shapes)
        assert said in str(error.value)
        assert not (tmp_path / "out").exists()


def test_rows_that_the_baseline_lacks_are_refused(two_tables: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    recipe, root = two_tables
    sources = recipe["data"]["train"]
    recipe["data"]["train"] = sources[:1]
    with pytest.raises(RecipeError, match="variant 'more': it has rows that the baseline lacks") as error:
        ablate(recipe, {"more": {"data.train": sources}}, tmp_path / "out", root)
    assert "36 rows" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_group_column_that_goes_with_its_table_is_not_missed(
    two_tables: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    recipe, root = two_tables
    more = pd.read_csv(root / "more.csv")
    more.assign(visit=more["site"]).to_csv(root / "more.csv", index=False)
    recipe["folds"]["group"] = ["site", "visit"]
    done, _ = ablate(recipe, {"less": {"data.train.1": None}}, tmp_path / "out", root)
    assert not done.variants[0].problem
    own, whole = (pd.read_csv(tmp_path / "out" / name / "folds.csv").set_index("id") for name in ("less", "baseline"))
    assert len(own) < len(whole)
    assert (own["fold"] == whole["fold"].loc[own.index]).all()


@pytest.mark.parametrize("changes", [{"data.train.1": None}, {"data.on_bad_media": "drop"}])
def test_folds_by_time_are_not_handed_on(
    two_tables: tuple[dict[str, Any], Path], tmp_path: Path, changes: dict[str, Any]
) -> None:
    recipe, root = two_tables
    recipe["folds"] = {"k": 2, "time": "amount"}
    with pytest.raises(RecipeError, match=r"variant 'other': .* folds by time cannot be handed on"):
        ablate(recipe, {"other": changes}, tmp_path / "out", root)
    assert not (tmp_path / "out").exists()


def test_an_assignment_that_the_baseline_does_not_use_cannot_be_shared(
    two_tables: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    recipe, root = two_tables
    recipe["folds"]["variants"] = {"new": {"seed": 1}}
    changes = {"data.train.1": None, "fit.members.a.folds": "new"}
    with pytest.raises(RecipeError, match=r"variant 'less': .* no member of the baseline uses"):
        ablate(recipe, {"less": changes}, tmp_path / "out", root)
    assert not (tmp_path / "out").exists()


def test_rows_that_the_search_for_copies_sees_decide_who_makes_folds_anew(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    """Rows without labels may link training rows, where near-duplicates are looked for and a stage labels them."""
    (tmp_path / "baseline").mkdir()
    ids = pd.read_csv(shapes / "train.csv")["photo"]
    pd.DataFrame({"id": ids, "fold": np.arange(len(ids)) % 3}).to_csv(tmp_path / "baseline/folds.csv", index=False)
    label = {"kind": "label", "from": "fit"}
    taught = {"fit": tiny_recipe["stages"]["fit"], "labels": label}

    def file_of(look: dict[str, Any] | None, stages: dict[str, Any] | None = None, **data: Any) -> str | None:
        own = {**tiny_recipe, "duplicates": look, "data": {**tiny_recipe["data"], "unlabelled": "test.csv"}}
        baseline = Recipe.model_validate(own)
        changed = {**own, "stages": stages or own["stages"], "data": {**own["data"], **data}}
        variant = Recipe.model_validate(changed)
        return with_shared_folds("v", variant, baseline, tmp_path, shapes).folds.file

    assert file_of({}) is None
    assert file_of(None, taught) is None
    assert file_of({}, taught) == str(tmp_path / "folds-of-v.csv")
    assert file_of({}, unlabelled=[]) is None
    assert file_of({}, test=None) is not None
    assert file_of({"test": False}, test=None) is None


def test_a_variant_that_fails_is_said_and_the_others_go_on(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outfold.runs import ablate as module

    tiny_recipe["folds"]["only"] = [0, 1]
    execute = module.execute

    def fail(recipe: Recipe, folder: Path, **more: Any) -> Any:
        if folder.name == "odd":
            raise DataError("nothing goes")
        return execute(recipe, folder, **more)

    monkeypatch.setattr(module, "execute", fail)
    done, events = ablate(tiny_recipe, {"odd": {"fit.batch_size": 4}, "same": {}}, tmp_path / "out", shapes)
    odd, same = done.variants
    assert odd.problem == "nothing goes"
    assert odd.difference is None
    assert same.difference.by_fold == {0: 0.0, 1: 0.0}
    assert same.trained == 0
    assert same.difference.verdict == "noise"
    assert [event["name"] for event in events if event["event"] == "variant_failed"] == ["odd"]
    assert done.each_level == pytest.approx(0.95)


def test_models_taken_over_are_links_that_survive_their_origin(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    tiny_recipe["folds"]["only"] = [0]
    out = tmp_path / "out"
    ablate(tiny_recipe, {"same": {}}, out, shapes)
    place = Path("stages", "fit", "a", "fold0-seed0")
    names = sorted(path.name for path in (out / "baseline" / place).iterdir())
    assert sorted(path.name for path in (out / "same" / place).iterdir()) == names
    assert (out / "same" / place / "weights.safetensors").stat().st_nlink == 2
    before = (out / "same" / place / "weights.safetensors").read_bytes()
    tiny_recipe["stages"]["fit"]["phases"][0]["lr"] = 1e-2
    outfold.run(Recipe.model_validate(tiny_recipe), out / "baseline", data=shapes, device="cpu")
    assert (out / "same" / place / "weights.safetensors").read_bytes() == before
    shutil.rmtree(out / "baseline")
    assert len(outfold.load_run(out / "same").predict(shapes / "test.csv")) == 18


@pytest.mark.slow
def test_a_damaged_sibling_is_not_taken_over(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    tiny_recipe["folds"]["only"] = [0]
    out = tmp_path / "out"
    ablate(tiny_recipe, {"same": {}}, out, shapes)
    shutil.rmtree(out / "same")
    (out / "baseline" / "stages" / "fit" / "a" / "fold0-seed0" / "weights.safetensors").unlink()
    _, events = ablate(tiny_recipe, {"same": {}}, out, shapes)
    assert len(fits(events)) == 1  # the baseline's own, which the variant then takes over


def test_differences_by_fold_and_pooled() -> None:
    rng = np.random.default_rng(0)
    target = (rng.random((300, 1)) < 0.3).astype(np.float32)
    good, bad = (np.clip(target * 0.3 + rng.random((300, 1)) * width, 0, 1) for width in (0.5, 0.9))
    fold = np.arange(300) % 3
    metric = get_metric("roc_auc", "binary")
    pair = Pair(target, good.astype(np.float32), bad.astype(np.float32), None, ("t",), (0, 0), 0, fold)
    found = difference_of(pair, metric, level=0.95, n_resamples=500)
    for number, value in found.by_fold.items():
        rows = fold == number
        scores = [metric.function(target[rows], side[rows].astype(np.float32)) for side in (good, bad)]
        assert value == pytest.approx(scores[1] - scores[0])
    assert found.folds.mean == pytest.approx(np.mean(list(found.by_fold.values())))
    assert found.verdict == "worse"
    same = difference_of(Pair(target, good, good, None, ("t",), (0, 0), 0, fold), metric, level=0.95, n_resamples=500)
    assert same.verdict == "noise"


def test_folds_of_different_scales_are_no_difference() -> None:
    """Within each fold the second orders the rows a little better, but its folds are far apart in scale."""
    rng = np.random.default_rng(0)
    target = (rng.random((300, 1)) < 0.5).astype(np.float32)
    fold = np.arange(300) % 3
    first = (np.clip(target * 0.4 + rng.random((300, 1)), 0, 1.4) / 1.4).astype(np.float32)
    second = ((first + fold[:, None]) / 3).astype(np.float32)
    positive, negative = (np.flatnonzero((fold == 0) & (target[:, 0] == label)) for label in (1, 0))
    swapped = [positive[first[positive, 0].argmin()], negative[first[negative, 0].argmax()]]
    second[swapped] = second[swapped[::-1]]
    pair = Pair(target, first, second, None, ("t",), (0, 0), 0, fold)
    found = difference_of(pair, get_metric("roc_auc", "binary"), level=0.95, n_resamples=500)
    assert found.pooled.high < 0
    assert contradicts(found.folds.mean, found.pooled.value)
    assert found.verdict == "noise"
    assert contradicts(0.001, -0.1)
    assert contradicts(0.0, -0.1)
    assert not contradicts(-0.001, -0.1)
    assert not contradicts(0.0, 0.0)
