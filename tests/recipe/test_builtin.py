"""The recipes that come with outfold."""

import pytest

from outfold.metrics import get_metric
from outfold.recipe.load import builtin_names, builtin_text, load_recipe
from outfold.settings.train import TrainStage
from outfold.views.augment import build_chain

BUILTIN = [(name, profile) for name in builtin_names() for profile in (None, *load_recipe(name).profiles)]


@pytest.mark.parametrize(("name", "profile"), BUILTIN)
def test_every_shipped_recipe_is_valid_with_every_profile(name: str, profile: str | None) -> None:
    recipe = load_recipe(name, profile=profile)
    assert recipe.name == name
    assert recipe.description
    for metric in (recipe.task.metric, *recipe.task.metrics):
        get_metric(metric, recipe.task.answer.kind)
    for stage in recipe.stages.values():
        for member in stage.members if isinstance(stage, TrainStage) else ():
            settings = stage.member_settings(member)
            build_chain(settings.augment, size=settings.view.height_width)


@pytest.mark.parametrize("name", builtin_names())
def test_every_shipped_recipe_has_a_header(name: str) -> None:
    header = builtin_text(name).split("\nname:")[0]
    assert all(line.startswith("#") for line in header.splitlines() if line)
    assert f"outfold run {name}" in header or "outfold demo" in header


def test_fine102_is_as_its_page_says() -> None:
    fit = load_recipe("fine102-macro-f1").stages["fit"]
    head, rest = fit.phases
    assert fit.members["b3"].backbone.startswith("efficientnet_b3")
    assert (head.train, head.lr) == ("head", 1e-3)
    assert (rest.train, rest.lr.backbone, rest.lr.head, rest.schedule) == ("all", 1e-5, 1e-4, "cosine")
    assert rest.warmup_epochs > 0
    assert fit.mix.one_of == ("mixup", "cutmix")
    assert fit.loss.label_smoothing > 0
    assert (fit.keep.best, fit.predict.tta, fit.predict.average) == ("macro_f1", ("identity", "hflip"), "logit")
    assert fit.balance == "class_weight"
    assert load_recipe("fine102-macro-f1", profile="published").stages["fit"].balance == "both"
