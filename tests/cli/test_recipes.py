import json

import pytest
from typer.testing import CliRunner

from outfold.cli.recipes import recipes_app
from outfold.errors import RecipeError
from outfold.recipe.load import builtin_names, builtin_text, load_recipe
from outfold.recipe.study import variants_names, variants_text


def test_the_list_has_every_built_in_recipe_with_description_and_profiles() -> None:
    output = CliRunner().invoke(recipes_app, []).output
    for name in builtin_names():
        recipe = load_recipe(name)
        assert name in output
        assert recipe.description in output
        assert all(profile in output for profile in recipe.profiles)


@pytest.mark.parametrize("name", builtin_names())
def test_show_prints_the_file_as_it_is(name: str) -> None:
    assert CliRunner().invoke(recipes_app, ["show", name]).output == builtin_text(name)


def test_show_names_the_nearest() -> None:
    error = CliRunner().invoke(recipes_app, ["show", "fine102-macro"]).exception
    assert isinstance(error, RecipeError)
    assert "did you mean `fine102-macro-f1`?" in str(error)


def test_the_schema_is_json() -> None:
    schema = json.loads(CliRunner().invoke(recipes_app, ["schema"]).output)
    assert schema["title"] == "Recipe"


def test_files_of_variants_are_listed_and_printed() -> None:
    listed = CliRunner().invoke(recipes_app, ["variants"]).output
    for name in variants_names():
        assert name in listed
        assert CliRunner().invoke(recipes_app, ["variants", name]).output == variants_text(name)
    assert "no-pretraining" in listed
    error = CliRunner().invoke(recipes_app, ["variants", "isic2020"]).exception
    assert isinstance(error, RecipeError)
    assert "did you mean `isic2020-1st`?" in str(error)
