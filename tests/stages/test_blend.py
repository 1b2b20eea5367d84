"""Blend stages in a small run: who is blended, with which weights, and the same for later rows."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from pydantic import ValidationError

import outfold
from outfold.data.folds import FoldTable
from outfold.data.predictions import Predictions
from outfold.errors import RecipeError
from outfold.metrics import get_metric
from outfold.report import write_report
from outfold.runs.diagnose import write_diagnosis
from outfold.settings.recipe import Recipe
from outfold.stages.blend import learned_weights, summary_of
from outfold.stages.blend_sources import given_weights, source_names
from outfold.stages.cross_fit import splits_of

MEMBERS = ["fit/a", "fit/b", "fit/c"]
METHODS: dict[str, dict[str, Any]] = {
    "plain": {"from": "fit"},
    "weighed": {"from": ["fit/a", "fit/b"], "method": "weighted", "weights": {"fit/a": 3, "fit/b": 1}},
    "logits": {"from": "fit", "method": "logit_mean"},
    "ranks": {"from": "fit", "method": "rank_mean"},
    "oof_ranks": {"from": "fit", "method": "rank_mean", "ranks": "oof"},
    "picked": {"from": "fit", "method": "greedy", "rounds": 5},
    "solved": {"from": "fit", "method": "constrained"},
    "both": {"from": ["picked", "solved", "fit/c"], "method": "power_mean", "power": 2},
}


def recipe_of(blends: dict[str, dict[str, Any]], **fit: Any) -> dict[str, Any]:
    """Three tiny members and blends of them."""
    return {
        "name": "tiny",
        "data": {"train": "train.csv", "test": "test.csv", "id": "photo", "image": {"path": "images/{photo}.png"}},
        "task": {"kind": "binary", "target": "is_red", "metric": "roc_auc", "metrics": ["log_loss"]},
        "folds": {"k": 2, "group": "site", "stratify": "is_red"},
        "stages": {
            "fit": {
                "kind": "train",
                "backbone": "test_efficientnet",
                "weights": "none",
                "view": {"size": 32, "resize": "squash"},
                "batch_size": 24,
                "phases": [{"name": "all", "epochs": 1, "lr": 3e-3}],
                "members": {"a": {}, "b": {"view": {"size": 40}}, "c": {"batch_size": 8}},
                **fit,
            },
            **{name: {"kind": "blend", **blend} for name, blend in blends.items()},
        },
    }


@pytest.fixture(scope="module")
def done(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A run with blends of all sorts, and its events."""
    out, events = tmp_path_factory.mktemp("blends") / "run", []
    outfold.run(Recipe.model_validate(recipe_of(METHODS)), out, data=shapes, device="cpu", emit=events.append)
    return out, events


def members_of(run: Path, table: str) -> dict[str, Predictions]:
    """Each member's predictions as their files say."""
    found = {}
    for name in MEMBERS:
        parts = []
        for folder in sorted((run / "stages" / name).iterdir()):
            space = json.loads((folder / f"{table}.json").read_text())["space"]
            frame = pd.read_parquet(folder / f"{table}.parquet")
            parts.append(Predictions.from_frame(frame, list(frame.columns[1:]), space))
        joined = Predictions.concat(parts) if table == "oof" else Predictions.mean(parts)
        found[name] = joined.to_probability("binary")
    return found


def record_of(run: Path, name: str) -> dict[str, Any]:
    return summary_of(run / "stages" / name)


def test_every_blend_leaves_its_weights_and_scores(done: tuple[Path, list[dict[str, Any]]], shapes: Path) -> None:
    run, _ = done
    truth = pd.read_csv(shapes / "train.csv").set_index("photo")["is_red"]
    members = members_of(run, "oof")
    for name in METHODS:
        record = record_of(run, name)
        assert_allclose(sum(record["weights"].values()), 1)
        scores = record["scores"]
        for member in set(scores["members"]) & set(MEMBERS):
            values = members[member]
            target = truth.loc[values.ids].to_numpy(float)[:, None]
            assert_allclose(scores["members"][member], get_metric("roc_auc", "binary").function(target, values.values))
        assert scores["best_member"] == max(scores["members"], key=scores["members"].get)
        assert_allclose(scores["gain_over_best"]["value"], scores["blend"] - max(scores["members"].values()))
    assert record_of(run, "plain")["weights"] == pytest.approx(dict.fromkeys(MEMBERS, 1 / 3))
    assert record_of(run, "weighed")["weights"] == {"fit/a": 0.75, "fit/b": 0.25}
    assert list(record_of(run, "both")["weights"]) == ["picked", "solved", "fit/c"]
    assert record_of(run, "plain")["scores"]["blend"] == record_of(run, "plain")["scores"]["mean"]
    assert "folds" not in record_of(run, "plain")


@pytest.mark.parametrize("name", ["picked", "solved"])
def test_no_row_is_blended_by_weights_that_were_learned_on_it(
    done: tuple[Path, list[dict[str, Any]]], name: str
) -> None:
    run, _ = done
    record = record_of(run, name)
    assert [fold["fold"] for fold in record["folds"]] == [0, 1]
    assert sum(fold["learned_on"] for fold in record["folds"]) == 72
    assert_allclose(record["optimism"], record["in_sample"] - record["scores"]["blend"], atol=1e-6)
    assert_allclose(record["gain_over_mean"]["value"], record["scores"]["blend"] - record["scores"]["mean"], atol=1e-6)


def test_later_rows_are_blended_as_the_test_table_was(
    done: tuple[Path, list[dict[str, Any]]], shapes: Path, tmp_path: Path
) -> None:
    run, _ = done
    later = outfold.load_run(run).predict(shapes / "test.csv", device="cpu")
    table = outfold.load_run(run).predictions
    assert table is not None
    column = next(name for name in table.columns if name.startswith(("prob_", "rank_")))
    assert later["photo"].tolist() == table["id"].tolist()
    assert_allclose(later[column], table[column], atol=1e-5)
    members = members_of(run, "test")
    blended = {}
    for name in ("picked", "solved"):
        weights = record_of(run, name)["weights"]
        blended[name] = sum(weights[member] * members[member].values for member in MEMBERS)
    expected = np.sqrt((blended["picked"] ** 2 + blended["solved"] ** 2 + members["fit/c"].values ** 2) / 3)
    assert_allclose(table[[column]], expected, atol=1e-5)


def test_out_of_fold_rows_are_blended_by_their_folds_weights(
    done: tuple[Path, list[dict[str, Any]]], shapes: Path, tmp_path: Path
) -> None:
    run, _ = done
    recipe = recipe_of({name: METHODS[name] for name in ("plain", "solved")})
    out = tmp_path / "run"
    events: list[dict[str, Any]] = []
    shutil.copytree(run, out)
    again = outfold.run(Recipe.model_validate(recipe), out, data=shapes, device="cpu", emit=events.append)
    assert [event["job"] for event in events if event["event"] == "job"] == []  # only the answer is another
    column = next(name for name in again.oof.columns if name.startswith(("prob_", "rank_")))
    members, oof = members_of(run, "oof"), again.oof.set_index("id")
    for fold in record_of(run, "solved")["folds"]:
        part = oof[oof["fold"] == fold["fold"]]
        expected = sum(
            fold["weights"][name] * members[name].aligned_to(oof.index).values[oof["fold"] == fold["fold"], 0]
            for name in MEMBERS
        )
        assert_allclose(part[column], expected, atol=1e-6)


def test_a_changed_member_is_blended_again_and_the_others_stay(
    done: tuple[Path, list[dict[str, Any]]], shapes: Path, tmp_path: Path
) -> None:
    run, _ = done
    out = tmp_path / "run"
    shutil.copytree(run, out)
    recipe = recipe_of(METHODS)
    recipe["stages"]["fit"]["members"]["c"]["predict"] = {"tta": ["identity", "hflip"]}
    recipe["stages"]["solved"]["seed"] = 1
    events: list[dict[str, Any]] = []
    outfold.run(Recipe.model_validate(recipe), out, data=shapes, device="cpu", emit=events.append)
    jobs = [event["job"] for event in events if event["event"] == "job"]
    assert {job.split()[0].split("/")[1] for job in jobs if job.startswith("fit/")} == {"c"}
    assert {job.split()[0] for job in jobs if job.endswith("weights")} == set(METHODS) - {"weighed"}


def test_weights_follow_members_that_change_their_names(
    done: tuple[Path, list[dict[str, Any]]], shapes: Path, tmp_path: Path
) -> None:
    run, _ = done
    out = tmp_path / "run"
    shutil.copytree(run, out)
    recipe = recipe_of({name: METHODS[name] for name in ("plain", "solved")})
    members = recipe["stages"]["fit"]["members"]
    recipe["stages"]["fit"]["members"] = {"b": members["a"], "a": members["b"], "d": members["c"]}
    outfold.run(Recipe.model_validate(recipe), out, data=shapes, device="cpu")
    before, after = (record_of(folder, "solved") for folder in (run, out))
    renamed = dict(zip(MEMBERS, ("fit/b", "fit/a", "fit/d"), strict=True))
    assert before["weights"]["fit/a"] != before["weights"]["fit/b"]
    assert after["weights"] == {renamed[name]: weight for name, weight in before["weights"].items()}
    assert after["scores"]["blend"] == before["scores"]["blend"]


def test_another_test_table_is_blended_with_the_same_weights(
    done: tuple[Path, list[dict[str, Any]]], shapes: Path, tmp_path: Path
) -> None:
    run, _ = done
    out, data = tmp_path / "run", tmp_path / "data"
    shutil.copytree(run, out)
    shutil.copytree(shapes, data)
    pd.read_csv(shapes / "test.csv")[:7].to_csv(data / "test.csv", index=False)
    events: list[dict[str, Any]] = []
    again = outfold.run(Recipe.model_validate(recipe_of(METHODS)), out, data=data, device="cpu", emit=events.append)
    jobs = [event["job"] for event in events if event["event"] == "job"]
    assert {job.split()[1] for job in jobs} == {"test"}
    assert set(METHODS) <= {job.split()[0] for job in jobs}
    assert again.predictions is not None
    assert len(again.predictions) == 7


def test_ranks_within_a_small_table_are_called_out(
    done: tuple[Path, list[dict[str, Any]]], shapes: Path, tmp_path: Path
) -> None:
    run, events = done
    said = [event["text"] for event in events if event["event"] == "warning"]
    (small,) = [text for text in said if "18 rows" in text]
    assert small.startswith("ranks: ranks within a table of 18 rows")
    assert "`ranks: oof`" in small
    assert len([text for text in said if "log_loss of it means nothing" in text]) == 2
    reference = pd.read_parquet(run / "stages" / "oof_ranks" / "reference.parquet")
    for name, values in members_of(run, "oof").items():
        (column,) = [one for one in reference if one.startswith(f"{name} ")]
        assert_allclose(reference[column], np.sort(values.values[:, 0]), rtol=1e-6)


@pytest.mark.parametrize("ranks", ["table", "oof"])
def test_a_row_of_its_own_has_a_rank_among_out_of_fold_rows_alone(
    done: tuple[Path, list[dict[str, Any]]], shapes: Path, tmp_path: Path, ranks: str
) -> None:
    run, _ = done
    out = tmp_path / "run"
    shutil.copytree(run, out)
    name = {"table": "ranks", "oof": "oof_ranks"}[ranks]
    recipe = Recipe.model_validate(recipe_of({name: METHODS[name]}))
    whole = outfold.run(recipe, out, data=shapes, device="cpu")
    assert whole.predictions is not None
    column = next(one for one in whole.oof.columns if one.startswith(("prob_", "rank_")))
    events: list[dict[str, Any]] = []
    table = pd.read_csv(shapes / "test.csv")[:1]
    alone = whole.predict(table, root=shapes, device="cpu", emit=events.append)
    if ranks == "oof":
        assert_allclose(alone[column], whole.predictions[column][:1], atol=1e-4)
        assert [event for event in events if event["event"] == "warning"] == []
    else:
        assert alone[column].tolist() == [1.0]
        assert any(event["event"] == "warning" and "table of 1 rows" in event["text"] for event in events)


def test_a_blend_of_blends_is_diagnosed_by_its_single_members(
    done: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(done[0], out)
    found = write_diagnosis(out)
    assert [one["name"] for one in found["members"]] == MEMBERS
    assert any("'both' blends blends" in note for note in found["notes"])
    scores = record_of(out, "plain")["scores"]
    assert_allclose(found["blend"]["value"], scores["mean"], atol=1e-6)
    assert_allclose([one["score"]["value"] for one in found["members"]], list(scores["members"].values()), atol=1e-6)
    assert found["adversarial"] is not None
    assert 'id="ensemble"' in write_report(out).read_text()


def test_blends_that_cannot_be(shapes: Path, tmp_path: Path) -> None:
    def refuse(**blend: Any) -> str:
        with pytest.raises((ValidationError, RecipeError)) as raised:
            recipe = recipe_of({"blend": blend})
            recipe["task"]["metric"] = "log_loss"
            outfold.run(Recipe.model_validate(recipe), tmp_path / "run", data=shapes, device="cpu")
        return str(raised.value)

    assert "log_loss looks at more than the order" in refuse(**{"from": "fit", "method": "rank_mean"})
    assert "blends 'fit/a' twice" in refuse(**{"from": ["fit", "fit/a"]})
    assert "the blend is from ['fit']" in refuse(**{"from": "fit", "method": "weighted", "weights": {"fit/a": 1}})
    assert "has no member 'd'" in refuse(**{"from": "fit/d"})


def test_weights_of_a_stage_are_shared_by_its_members() -> None:
    blends = {
        "one": {"from": "fit/a"},
        "two": {"from": ["fit", "one"], "method": "weighted", "weights": {"fit": 3, "one": 1}},
    }
    recipe = Recipe.model_validate(recipe_of(blends))
    names = source_names("two", recipe.stages["two"], recipe)
    assert names == [*MEMBERS, "one"]
    assert_allclose(given_weights(recipe.stages["two"], names), [0.25] * 4)


class Rows:
    """What `splits_of` looks at."""

    def __init__(self, folds: Any, held_out: tuple[int, ...]) -> None:
        self.folds, self.held_out = folds, held_out
        self.scored_rows = folds.judged(held_out)
        self.train = self
        self.samples = self
        self.ids = folds.ids


def test_weights_are_learned_on_rows_that_they_do_not_blend() -> None:
    fold = np.arange(12) % 4
    again = (np.arange(12) // 3 + 4)[:, None]
    ids = np.array([f"r{row}" for row in range(12)], dtype=object)
    stage = Recipe.model_validate(recipe_of(METHODS)).stages["picked"]
    for table, held_out in (
        (FoldTable(ids, fold), (0, 1, 2, 3)),
        (FoldTable(ids, fold), (1, 3)),
        (FoldTable(ids, fold, again=again), tuple(range(8))),
        (FoldTable(ids, np.sort(fold), ordered=True), (1, 2, 3)),
    ):
        rows = Rows(table, held_out)
        splits = splits_of(rows)
        assert sorted(np.concatenate([valid for _, valid in splits.values()])) == list(range(len(rows.scored_rows)))
        found = learned_weights("picked", stage, rows)
        assert [one.name for one in found] == [f"picked/weights/fold{number}" for number in splits]
        for one, number in zip(found, splits, strict=True):
            assert not one.fitted_on & one.judged_on
            assert one.fitted_on <= set(ids[table.split(number)[0]])
        if table.ordered:
            assert found[0].fitted_on == frozenset()  # nothing comes before: its members count alike
    assert learned_weights("plain", Recipe.model_validate(recipe_of(METHODS)).stages["plain"], rows) == []
