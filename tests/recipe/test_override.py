"""What the general tests of loading leave out: mappings replaced whole, entries of lists taken out."""

from typing import Any

import pytest

from outfold.errors import RecipeError
from outfold.recipe.override import apply_sets, lay_over
from outfold.recipe.yaml_text import Document, parse_yaml
from outfold.settings.recipe import Recipe

RECIPE = """
name: x
data: {train: [{table: a.csv}, {table: b.csv}, {table: c.csv, where: {year: 2019}}], id: id}
task: {kind: binary, target: t, metric: roc_auc}
stages:
  fit:
    kind: train
    backbone: resnet18
    phases: [{name: all, epochs: 1}, {name: more, epochs: 2}]
    members: {small: {}, large: {batch_size: 4}}
  answer: {kind: submit, from: fit}
profiles:
  other: {fit.members!: {tiny: {}}}
"""


def laid(text: str) -> dict[str, Any]:
    document = lay_over(parse_yaml(RECIPE, "recipe.yaml"), parse_yaml(text, "changes.yaml"))
    Recipe.model_validate(document.values)
    return document.values


def test_a_path_that_ends_in_an_exclamation_mark_replaces_a_mapping() -> None:
    assert list(laid("fit.members: {tiny: {}}")["stages"]["fit"]["members"]) == ["small", "large", "tiny"]
    assert laid("fit.members!: {tiny: {}}")["stages"]["fit"]["members"] == {"tiny": {}}
    stage = "{kind: train, backbone: b, phases: [{name: p, epochs: 1}], members: {m: {}}}"
    assert list(laid(f"stages.fit!: {stage}")["stages"]) == ["fit", "answer"]


def test_it_works_in_set_and_in_profiles() -> None:
    document = parse_yaml(RECIPE, "recipe.yaml")
    assert apply_sets(document, ["fit.members!={tiny: {}}"]).values["stages"]["fit"]["members"] == {"tiny": {}}
    profile = Document(document.values["profiles"]["other"], {(): document.places[()]})
    assert lay_over(document, profile).values["stages"]["fit"]["members"] == {"tiny": {}}


def test_null_takes_an_entry_out_of_a_list() -> None:
    assert [source["table"] for source in laid("data.train.1: null")["data"]["train"]] == ["a.csv", "c.csv"]
    assert [phase["name"] for phase in laid("fit.phases.0: null")["stages"]["fit"]["phases"]] == ["more"]
    with pytest.raises(RecipeError, match=r"data\.train is a list of 3"):
        laid("data.train.3: null")


def test_places_follow_the_entries() -> None:
    document = lay_over(parse_yaml(RECIPE, "recipe.yaml"), parse_yaml("data.train.1: null", "changes.yaml"))
    place = parse_yaml(RECIPE, "recipe.yaml").place(("data", "train", 2, "where", "year"))
    assert document.place(("data", "train", 1, "where", "year")) == place
    assert ("data", "train", 2) not in document.places


def test_nothing_changes_the_document_itself() -> None:
    document = parse_yaml(RECIPE, "recipe.yaml")
    lay_over(document, parse_yaml("{data.train.0: null, fit.members!: {tiny: {}}}", "changes.yaml"))
    assert document == parse_yaml(RECIPE, "recipe.yaml")


def test_an_unknown_path_is_named_with_its_place() -> None:
    with pytest.raises(RecipeError, match=r"changes\.yaml, line 2, column 1: stages\.fit has no `member`"):
        laid("fit.batch_size: 2\nfit.member!: {}")
