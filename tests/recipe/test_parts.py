"""A part of a recipe that a stage and its members share is judged as the two together set it."""

import json
from pathlib import Path
from typing import Any

import pytest

from outfold.errors import RecipeError
from outfold.recipe.load import dump_recipe, load_recipe
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings

TEXT = """\
name: parts
data: {{train: train.csv, id: plot, image: {{path: "{{plot}}.jpg"}}}}
task: {{kind: regression, target: mass, metric: r2}}
folds: {{k: 3}}
stages:
  fit:
    kind: train
    backbone: test_resnet
    phases: [{{name: all, epochs: 2, train: {train}}}]
{shared}
    members:
      plain: {{}}
      own: {own}
  adapted: {{kind: adapt, from: fit, labels: fit, phases: [{{name: on, epochs: 1}}], {adapted}}}
"""


def load(
    folder: Path, shared: dict[str, Any], own: dict[str, Any], *, train: str = "all", adapted: str = "seed: 0"
) -> Recipe:
    """The recipe whose stage sets `shared`, one part a line from line 10 on, and whose second member sets `own`."""
    lines = "\n".join(f"    {key}: {json.dumps(value)}" for key, value in shared.items()) or "    batch_size: 8"
    path = folder / "recipe.yaml"
    path.write_text(TEXT.format(shared=lines, own=json.dumps(own), train=train, adapted=adapted))
    return load_recipe(path)


def member(recipe: Recipe, name: str) -> TrainSettings:
    return recipe.members_of("fit")[name]


MLP = {"name": "mlp", "widths": [8, 4]}


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        ({"head": MLP}, {"head": {"dropout": [0.1, 0.1]}}),
        ({"head": MLP}, {"head": {"widths": [16]}}),
        ({"head": MLP}, {"head": {"per_output": True}}),
        ({"head": MLP}, {"head": {"name": "linear", "widths": []}}),
        ({"head": {"name": "multi_sample_dropout", "dropout": 0.5}}, {"head": {"copies": 3}}),
        ({"keep": {"top": 3}}, {"keep": {"combine": "average"}}),
        ({"keep": {"best": ["r2", "valid_loss"]}}, {"keep": {"combine": "greedy_soup"}}),
        ({"keep": {"best": "last"}}, {"keep": {"validate_after": "training"}}),
        ({"loss": {"name": "smooth_l1"}}, {"loss": {"beta": 0.5}}),
        ({"loss": {"name": "smooth_l1", "beta": 0.5}}, {"loss": {"name": "mse", "beta": 1.0}}),
        ({"optimizer": {"name": "sgd"}}, {"optimizer": {"momentum": 0.5}}),
    ],
)
def test_a_member_may_set_a_part_of_a_part(shared: dict[str, Any], own: dict[str, Any], tmp_path: Path) -> None:
    recipe = load(tmp_path, shared, own)
    ((key, common),), (changed,) = shared.items(), own.values()
    for name, expected in (("plain", common), ("own", common | changed)):
        assert getattr(member(recipe, name), key).model_dump(mode="json", exclude_unset=True) == expected
    again = tmp_path / "again.yaml"
    again.write_text(dump_recipe(recipe))
    assert load_recipe(again) == recipe


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        ({"head": {"dropout": [0.1, 0.1]}}, {"head": MLP}),
        ({"keep": {"combine": "average"}}, {"keep": {"top": 3}}),
        ({"loss": {"beta": 0.5}}, {"loss": {"name": "smooth_l1"}}),
    ],
)
def test_a_stage_may_set_a_part_that_its_members_complete(
    shared: dict[str, Any], own: dict[str, Any], tmp_path: Path
) -> None:
    (key,) = shared
    with pytest.raises(RecipeError, match=rf"line 10, .*: stages\.fit\.{key}: member 'plain': "):
        load(tmp_path, shared, own)
    text = (tmp_path / "recipe.yaml").read_text().replace("      plain: {}\n", "")
    (tmp_path / "recipe.yaml").write_text(text)
    load_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("shared", "own", "says"),
    [
        ({"head": {"widths": [8]}}, {}, r"stages\.fit\.head: member 'plain': `widths` are"),
        ({"head": {"widths": [8]}}, {"head": {"name": "mlp"}}, r"stages\.fit\.head: member 'plain': `widths` are"),
        ({"head": MLP}, {"head": {"name": "linear"}}, r"stages\.fit\.members\.own\.head: `widths` are"),
        ({"head": MLP}, {"head": {"dropout": [0.1]}}, r"stages\.fit\.members\.own\.head: several `dropout`"),
        ({}, {"head": {"per_output": True}}, r"stages\.fit\.members\.own\.head: `per_output` is for"),
        ({}, {"keep": {"combine": "average"}}, r"stages\.fit\.members\.own\.keep: .* needs several epochs"),
        ({"keep": {"best": "last"}}, {"keep": {"patience": 2}}, r"stages\.fit\.members\.own\.keep: `best: last`"),
        ({"keep": {"best": ["last", "r2"]}}, {}, r"stages\.fit\.keep\.best: .* stands alone"),
        ({}, {"loss": {"beta": 0.5}}, r"stages\.fit\.members\.own\.loss: `name` is missing"),
        ({"loss": {"beta": 0.5}}, {}, r"stages\.fit\.loss: member 'plain': `name` is missing"),
    ],
)
def test_what_does_not_go_together_is_refused_in_its_place(
    shared: dict[str, Any], own: dict[str, Any], says: str, tmp_path: Path
) -> None:
    line = 13 if "members" in says else 10
    with pytest.raises(RecipeError, match=rf"line {line}, column \d+: {says}"):
        load(tmp_path, shared, own)


@pytest.mark.parametrize(
    ("shared", "own", "says"),
    [
        ({"loss": {"name": "mse", "beta": 0.5}}, {}, "`beta` is for `name: smooth_l1` and has no effect"),
        ({"loss": {"name": "mse", "gamma": 1}}, {}, "`gamma` is for `name: focal or focal_bce` and has no effect"),
        ({"loss": {"name": "smooth_l1", "gamma": 1}}, {}, "no effect with `name: smooth_l1`"),
        ({"loss": {"name": "smooth_l1", "beta": 0.5}}, {"loss": {"name": "mse"}}, "set what the stage gives back to 1"),
        ({"head": {"copies": 3}}, {}, "`copies` is for `name: multi_sample_dropout` and has no effect"),
        ({"head": {**MLP, "copies": 3}}, {}, "no effect with `name: mlp`"),
        ({"head": MLP}, {"head": {"copies": 3}}, r"members\.own\.head: `copies`"),
        ({"optimizer": {"momentum": 0.5}}, {}, "`momentum` is for `name: sgd`"),
        ({"optimizer": {"name": "sgd", "betas": [0.8, 0.9]}}, {}, "`betas` is for `name: adamw or adam`"),
    ],
)
def test_a_setting_that_nothing_reads_is_refused(
    shared: dict[str, Any], own: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=says):
        load(tmp_path, shared, own)


@pytest.mark.parametrize("train", ["{first: 0}", "{first: 0.0, blocks: []}", "{blocks: []}", "{}"])
def test_a_freeze_of_nothing_is_refused(train: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"line 9, .*: stages\.fit\.phases\.0\.train: this freezes nothing"):
        load(tmp_path, {}, {}, train=train)


def test_a_freeze_of_something_is_taken(tmp_path: Path) -> None:
    for train in ("{first: 0.1}", "{blocks: [conv1]}", "{first: 0, blocks: [conv1]}"):
        load(tmp_path, {}, {}, train=train)


@pytest.mark.parametrize(
    ("adapted", "says"),
    [
        ("keep: {best: last, combine: average}", r"stages\.adapted\.keep: .* needs several epochs"),
        ("keep: {best: last, patience: 2}", r"stages\.adapted\.keep: `best: last` watches no score"),
        ("optimizer: {momentum: 0.5}", r"stages\.adapted\.optimizer: `momentum` is for"),
    ],
)
def test_a_stage_without_members_must_be_whole(adapted: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=says):
        load(tmp_path, {}, {}, adapted=adapted)


def test_students_may_set_a_part_of_a_part() -> None:
    fit = {"kind": "train", "backbone": "test_resnet", "phases": [{"name": "all", "epochs": 1}], "members": {"a": {}}}
    noisy = {"kind": "noisy_student", "from": "fit", "student": {"head": {"dropout": [0.1, 0.1]}}}
    values = {
        "name": "students",
        "data": {"train": "train.csv", "id": "plot", "image": {"path": "{plot}.jpg"}, "unlabelled": "more.csv"},
        "task": {"kind": "binary", "target": "ripe", "metric": "roc_auc"},
        "folds": {"k": 3},
        "stages": {"fit": {**fit, "head": MLP}, "noisy": noisy},
    }
    assert Recipe.model_validate(values).members_of("noisy1")["a"].head.dropouts == (0.1, 0.1)
    values["stages"] = {"fit": fit, "noisy": noisy}
    with pytest.raises(ValueError, match=r"its students cannot be: head: .*member 'a': several `dropout` values"):
        Recipe.model_validate(values)
