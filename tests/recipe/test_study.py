"""Files of variants: what they mean, and what is refused before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from outfold.errors import RecipeError
from outfold.recipe.load import builtin_names, dump_recipe, load_recipe
from outfold.recipe.study import Study, load_study, variants_names
from outfold.settings.recipe import Recipe

VARY = """
description: What parts are worth.
baseline: {fit.batch_size: 4}
variants:
  flip: {fit.augment: [hflip]}
  large: {fit.batch_size: 16}
"""


@pytest.fixture
def study(tiny_recipe: dict[str, Any], tmp_path: Path) -> Any:
    def load(text: str = VARY, **more: Any) -> Study:
        path = tmp_path / "vary.yaml"
        path.write_text(text)
        return load_study(Recipe.model_validate(tiny_recipe), path, **more)

    return load


def batch(recipe: Recipe) -> int:
    return next(recipe.members())[2].batch_size


def test_variants_lie_over_the_command_line_which_lies_over_the_baseline(study: Any) -> None:
    found = study()
    assert found.description == "What parts are worth."
    assert (batch(found.baseline), batch(found.variants["flip"]), batch(found.variants["large"])) == (4, 4, 16)
    assert found.changes["flip"] == {"fit.augment": ["hflip"]}
    found = study(overrides=["fit.batch_size=2"])
    assert (batch(found.baseline), batch(found.variants["flip"]), batch(found.variants["large"])) == (2, 2, 16)


def test_some_of_the_variants(study: Any) -> None:
    assert list(study(only=["large"]).variants) == ["large"]
    with pytest.raises(RecipeError, match="no variant `lage`") as error:
        study(only=["lage"])
    assert "did you mean `large`?" in str(error.value)


def test_a_mapping_will_do(tiny_recipe: dict[str, Any]) -> None:
    content = {"variants": {"large": {"fit.batch_size": 16}}}
    found = load_study(Recipe.model_validate(tiny_recipe), content)
    assert (batch(found.baseline), batch(found.variants["large"])) == (8, 16)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("variants: {a: {fit.batchsize: 3}}", "line 1, column 16: stages.fit has no `batchsize`"),
        ("variants: {a: {fit.batch_size: 0}}", "stages.fit.batch_size is 0, expected at least 1"),
        ("variants: {a: {fit.view: {siz: 3}}}", "did you mean `size`?"),
        ("variants: {}", "at least 1 item"),
        ("variants: {a: 3}", "line 1, column 12: variants.a"),
        ("variants: {a/b: {}}", "variants.a/b"),
        ("variants: {Baseline: {}}", "no variant can be called so"),
        ("variants: {a: {}, A: {}}", "they are folders"),
        ("variant: {a: {}}\nvariants: {a: {}}", "did you mean `variants`?"),
        ("- a", "valid dictionary"),
        ("a: [", "not YAML"),
        ("variants: {a: {task.metric: accuracy}}", "variant `a` changes `task`"),
        ("variants: {a: {folds.seed: 1}}", "variant `a` changes `folds`"),
        ("baseline: {fit.batch_size: many}\nvariants: {a: {}}", "stages.fit.batch_size is 'many'"),
    ],
)
def test_what_is_refused(text: str, said: str, study: Any) -> None:
    with pytest.raises(RecipeError) as error:
        study(text)
    assert said in str(error.value)


def test_a_file_that_is_not_there(tiny_recipe: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match="isic2020-1s") as error:
        load_study(Recipe.model_validate(tiny_recipe), "isic2020-1s")
    assert "did you mean `isic2020-1st`?" in str(error.value)


@pytest.mark.parametrize("name", variants_names())
def test_every_shipped_variant_makes_a_valid_recipe_of_its_own(name: str) -> None:
    recipe = next(known for known in sorted(builtin_names(), reverse=True) if name.startswith(known))
    found = load_study(recipe, name, profile="small" if name.endswith("-small") else None)
    texts = {dump_recipe(one) for one in (found.baseline, *found.variants.values())}
    assert len(texts) == 1 + len(found.variants)
    assert found.baseline != load_recipe(recipe)


def test_the_published_ablations_are_all_there() -> None:
    found = load_study("isic2020-1st", "isic2020-1st")
    assert found.baseline.folds.k == 3
    ((_, member, settings),) = found.baseline.members()
    assert member == "b3"
    assert settings.view.size == 384
    assert [phase.lr for phase in settings.phases] == [3e-5, 3e-4]
    assert len(found.variants) == 15
    assert [source.name for source in found.variants["no-external-data"].data.train] == ["2020"]
    merged = next(found.variants["binary-labels"].members())[2].merge_classes
    assert set(found.baseline.task.classes or ()) - set(merged) == {"melanoma", "unknown"}
