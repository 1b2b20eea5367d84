"""A noisy student in a recipe: the stages it stands for, and what is refused."""

from typing import Any

import pytest
import yaml

from outfold.errors import RecipeError
from outfold.recipe.load import dump_recipe, load_recipe
from outfold.runs.labels import check_labels
from outfold.settings.label import LabelStage
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainStage


@pytest.fixture
def noisy(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """Two members that teach, and two rounds of students with noise."""
    tiny_recipe["data"]["unlabelled"] = "more.csv"
    tiny_recipe["stages"] = {
        "fit": tiny_recipe["stages"]["fit"] | {"members": {"a": {"head": {"name": "multi_sample_dropout"}}, "b": {}}},
        "noisy": {
            "kind": "noisy_student",
            "from": "fit",
            "rounds": 2,
            "label": {"confidence": 0.6, "per_class": 20},
            "student": {"backbone": "efficientnet_b1", "drop_path_rate": 0.2, "head": {"dropout": 0.5}},
        },
    }
    return tiny_recipe


def stage(recipe: Recipe, name: str) -> Any:
    return recipe.stages[name]


def test_rounds_stand_for_label_and_train_stages(noisy: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(noisy)
    assert list(recipe.stages) == ["fit", "noisy1-labels", "noisy1", "noisy2-labels", "noisy2"]
    teachers = [stage(recipe, f"noisy{number}-labels") for number in (1, 2)]
    assert all(isinstance(one, LabelStage) for one in teachers)
    assert [one.source for one in teachers] == ["fit", "noisy1"]
    assert [(one.confidence, one.per_class, one.teachers) for one in teachers] == [(0.6, 20, "same_fold")] * 2
    students = [stage(recipe, f"noisy{number}") for number in (1, 2)]
    assert all(isinstance(one, TrainStage) for one in students)
    assert [one.labels for one in students] == ["noisy1-labels", "noisy2-labels"]
    assert recipe.final_stage() == "noisy2"
    assert recipe.ancestors("noisy2") == ["noisy2"]  # students that are trained predict alone


def test_a_larger_backbone_stochastic_depth_and_dropout_reach_every_member(noisy: dict[str, Any]) -> None:
    noisy["stages"]["fit"]["members"]["b"] = {"backbone": "test_vit", "drop_path_rate": 0.0}
    recipe = Recipe.model_validate(noisy)
    for name in ("noisy1", "noisy2"):
        for member in ("a", "b"):
            settings = stage(recipe, name).member_settings(member)
            assert (settings.backbone, settings.drop_path_rate) == ("efficientnet_b1", 0.2)
            assert settings.head.dropout == 0.5
            assert settings.augment == stage(recipe, "fit").augment
        assert stage(recipe, name).member_settings("a").head.name == "multi_sample_dropout"
    assert stage(recipe, "fit").member_settings("b").backbone == "test_vit"


def test_members_of_the_student_are_those_that_it_names(noisy: dict[str, Any]) -> None:
    noisy["stages"]["noisy"]["student"]["members"] = {"a": {"backbone": "efficientnet_b2"}, "new": {}}
    recipe = Recipe.model_validate(noisy)
    assert list(stage(recipe, "noisy1").members) == ["a", "new"]
    own = stage(recipe, "noisy1").member_settings("a")
    assert (own.backbone, own.head.name, own.drop_path_rate) == ("efficientnet_b2", "multi_sample_dropout", 0.2)
    assert stage(recipe, "noisy1").member_settings("new").backbone == "efficientnet_b1"


def test_the_recipe_of_a_run_holds_the_rounds(noisy: dict[str, Any], tmp_path: Any) -> None:
    recipe = Recipe.model_validate(noisy)
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe))
    assert load_recipe(path) == recipe


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"from": "fits"}, "the teacher 'fits' is no train stage before it"),
        ({"round": 2}, "did you mean `rounds`"),
        ({"rounds": 0}, "stages.noisy.rounds is 0, expected at least 1"),
        ({"label": {"confidence": 2}}, "stages.noisy.label.confidence is 2, expected at most 1"),
        ({"label": {"per_class": 0}}, "stages.noisy.label.per_class is 0"),
        ({"student": {"drop_path": 0.1}}, "did you mean `drop_path_rate`"),
        ({"student": {"labels": "x"}}, "unknown key `labels` in stages.noisy.student"),
        ({"student": {"phases": []}}, "stage 'noisy': its students cannot be"),
    ],
)
def test_faults_are_named_where_they_are_written(
    change: dict[str, Any], said: str, noisy: dict[str, Any], tmp_path: Any
) -> None:
    noisy["stages"]["noisy"] |= change
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(noisy, sort_keys=False))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert said in str(caught.value)
    assert "noisy1" not in str(caught.value)


def test_a_name_of_a_round_may_not_be_taken(noisy: dict[str, Any]) -> None:
    noisy["stages"]["noisy2"] = noisy["stages"]["fit"]
    with pytest.raises(ValueError, match="two stages are called 'noisy2'"):
        Recipe.model_validate(noisy)


def test_a_faulty_teacher_is_told_once(noisy: dict[str, Any], tmp_path: Any) -> None:
    noisy["stages"]["fit"]["batch_size"] = 0
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(noisy, sort_keys=False))
    with pytest.raises(RecipeError, match=r"stages\.fit\.batch_size is 0, expected at least 1"):
        load_recipe(path)


REGRESSION = {"kind": "regression", "target": "amount", "metric": "r2"}


@pytest.mark.parametrize(
    ("task", "label", "said"),
    [
        ({}, {"rows": "test"}, None),
        ({}, {"confidence": 0.9, "per_class": "all", "labels": "hard"}, None),
        (REGRESSION, {"per_class": "all"}, None),
        (REGRESSION, {"confidence": 0.9}, "a regression has no classes"),
        (REGRESSION, {"labels": "hard"}, "a regression has no classes"),
        (REGRESSION, {"per_class": 10}, "do not have one class each"),
        ({"kind": "multilabel", "target": ["x", "y"], "metric": "macro_roc_auc"}, {"per_class": 5}, "one class each"),
    ],
)
def test_labels_fit_the_task(task: dict[str, Any], label: dict[str, Any], said: str | None, noisy: Any) -> None:
    noisy["task"] = task or noisy["task"]
    noisy["stages"]["noisy"]["label"] = label
    recipe = Recipe.model_validate(noisy)
    if said is None:
        check_labels(recipe)
        return
    with pytest.raises(RecipeError, match=said):
        check_labels(recipe)


def test_rows_to_label_must_be_there(noisy: dict[str, Any]) -> None:
    noisy["data"]["unlabelled"] = []
    with pytest.raises(RecipeError, match="stage 'noisy1-labels' labels rows, but the recipe has none"):
        check_labels(Recipe.model_validate(noisy))


def test_members_that_merge_classes_do_not_teach(noisy: dict[str, Any]) -> None:
    noisy["task"] |= {"classes": ["blue", "green", "red"], "score_class": "red", "metric": "roc_auc", "metrics": []}
    noisy["stages"]["fit"]["members"]["b"]["merge_classes"] = {"blue": "green"}
    with pytest.raises(RecipeError, match="member 'b' of its teacher merges classes"):
        check_labels(Recipe.model_validate(noisy))


def test_teachers_and_students_share_their_folds(noisy: dict[str, Any]) -> None:
    noisy["folds"]["variants"] = {"new": {"seed": 1}}
    noisy["stages"]["noisy"]["student"]["folds"] = "new"
    with pytest.raises(RecipeError, match="whose teacher has other folds"):
        check_labels(Recipe.model_validate(noisy))
    noisy["stages"]["fit"]["folds"] = "new"
    check_labels(Recipe.model_validate(noisy))
    del noisy["stages"]["fit"]["folds"]
    noisy["stages"]["fit"]["members"]["b"]["folds"] = "new"
    with pytest.raises(RecipeError, match="the members of its teacher 'fit' have different folds"):
        check_labels(Recipe.model_validate(noisy))


def test_mixed_values_have_no_weight_and_mixed_classes_have(noisy: dict[str, Any]) -> None:
    """A loss that is linear in its target is mixed as targets and weights are; one of values is not."""
    noisy["stages"]["noisy"]["label"]["weight"] = 0.5
    noisy["stages"]["noisy"]["student"]["mix"] = {"one_of": ["mixup"]}
    check_labels(Recipe.model_validate(noisy))
    noisy["task"], noisy["stages"]["noisy"]["label"] = REGRESSION, {"weight": 0.5}
    with pytest.raises(RecipeError, match="mixed values have no weight"):
        check_labels(Recipe.model_validate(noisy))


def test_labels_alone_are_no_answer(noisy: dict[str, Any]) -> None:
    noisy["stages"] = {"fit": noisy["stages"]["fit"], "labels": {"kind": "label", "from": "fit"}}
    with pytest.raises(RecipeError, match="ends with the labels of stage 'labels'"):
        check_labels(Recipe.model_validate(noisy))
