"""Profiles and `--set`: mappings merged or replaced whole, entries of lists taken out."""

from dataclasses import asdict
from typing import Any

import pytest

from outfold.errors import RecipeError
from outfold.recipe.load import load_recipe, validated
from outfold.recipe.override import apply_sets, lay_over
from outfold.recipe.yaml_text import Document, parse_yaml
from outfold.settings.data import Source
from outfold.settings.label import PseudoBatch
from outfold.settings.mel_presets import BIRDCLEF_288, YAMNET
from outfold.settings.recipe import Recipe
from outfold.settings.view import EmbeddingView

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


SOUND = """
name: x
data:
  train: train.csv
  test: {recordings: {path: "test/*.ogg", window_s: 5}}
  unlabelled: {recordings: more/*.ogg}
  id: id
  audio: {path: "{id}.ogg"}
task: {kind: multilabel, target: [a, b], metric: macro_roc_auc}
stages:
  teacher: &train
    kind: train
    backbone: resnet18
    view: {kind: audio, mel: birdclef_288, window_s: 4}
    phases: [{name: all, epochs: 1}]
    members: {one: {}, two: {view: {window_s: 3}}}
  labels: {kind: label, from: teacher}
  student:
    <<: *train
    labels: labels
    pseudo_batch: {recordings: 2}
    members: {one: {}, two: {pseudo_batch: {windows: 8}}, three: {pseudo_batch: null}}
"""


def heard(*overrides: str) -> Recipe:
    return validated(apply_sets(parse_yaml(SOUND, "recipe.yaml"), overrides))


def mel(recipe: Recipe) -> dict[str, Any]:
    return asdict(recipe.members_of("teacher")["one"].view.mel)


def test_a_preset_is_changed_key_by_key() -> None:
    whole = asdict(BIRDCLEF_288)
    assert mel(heard("teacher.view.mel.hop=500")) == whole | {"hop": 500}
    assert mel(heard("teacher.view.mel={hop: 500, n_fft: 4096}")) == whole | {"hop": 500, "n_fft": 4096}
    assert mel(heard("teacher.view.mel.level.top_db=80"))["level"] == {"reference": 1, "floor": 1e-10, "top_db": 80}
    assert mel(heard("teacher.view.mel.hop=500", "teacher.view.mel.preset=yamnet")) == asdict(YAMNET) | {"hop": 500}
    assert mel(heard("teacher.view.mel.hop=500", "teacher.view.mel={preset: yamnet}")) == asdict(YAMNET)
    assert mel(heard("teacher.view.mel.hop=500", "teacher.view.mel=yamnet")) == asdict(YAMNET)


def test_nothing_of_a_preset_is_changed_where_none_is_written() -> None:
    with pytest.raises(RecipeError, match=r"members\.one\.view\.mel is not set there(.|\n)*\{preset: \.\.\}"):
        heard("teacher.members.one.view.mel.hop=500")
    with pytest.raises(RecipeError, match="did you mean `n_fft`"):
        heard("teacher.view.mel.nfft=500")


def test_what_is_of_another_kind_takes_the_place_of_the_old() -> None:
    view = heard("teacher.view={kind: image, size: 96}", "teacher.members.two=null").stages["teacher"].view
    assert (view.kind, view.size) == ("image", 96)
    recipe = heard("stages.student={kind: blend, from: teacher, method: mean}")
    assert recipe.stages["student"].sources == ("teacher",)
    assert heard("teacher.view={kind: audio, span_s: 9}").stages["teacher"].view.window_s == 4


def test_keys_that_exclude_each_other_take_each_others_place() -> None:
    batch = {name: one.pseudo_batch for name, one in heard().members_of("student").items()}
    assert (batch["one"].recordings, batch["two"].windows, batch["three"]) == (2, 8, None)
    for override in ("student.pseudo_batch={windows: 9}", "student.pseudo_batch.windows=9"):
        assert heard(override).members_of("student")["one"].pseudo_batch == PseudoBatch(windows=9)
    assert heard("data.test={table: test.csv}").data.test == Source(table="test.csv")
    with pytest.raises(RecipeError, match="either whole `recordings` or `windows`"):
        heard("student.pseudo_batch={windows: 9, recordings: 2}")


def test_what_goes_with_a_key_leaves_with_it() -> None:
    def view(*overrides: str) -> dict[str, Any]:
        return apply_sets(parse_yaml(SOUND, "recipe.yaml"), overrides).values["stages"]["teacher"]["view"]

    files = {"kind": "embedding", "vectors": ["v.npy"], "ids": ["i.csv"], "noise": 0.1}
    photos = {"kind": "embedding", "backbone": "resnet18", "batch_size": 4, "noise": 0.1}
    changed = view(f"teacher.view={files}", "teacher.view.backbone=resnet18", "teacher.view.batch_size=4")
    assert changed == photos
    assert EmbeddingView.model_validate(changed).backbone == "resnet18"
    assert view(f"teacher.view={photos}", "teacher.view={vectors: [v.npy], ids: [i.csv]}") == files


@pytest.mark.parametrize(
    ("override", "where"),
    [
        ("teacher.view.mel.preset=nope", "line 14, column 11"),
        ("teacher.view.mel.hop=0", "line 14, column 11"),
        ("teacher.members.two.view.window_s=100000", "line 16, column 24"),
    ],
)
def test_a_fault_of_a_changed_value_names_the_change(override: str, where: str) -> None:
    with pytest.raises(RecipeError, match=r"recipe\.yaml, line 1\d, column \d+ and --set") as caught:
        heard("folds.k=3", override)
    assert f"--set {override}: stages.teacher" in str(caught.value)
    assert "folds" not in str(caught.value)
    document = lay_over(parse_yaml(SOUND, "recipe.yaml"), parse_yaml("{teacher.view.mel.hop: 0}", "changes.yaml"))
    with pytest.raises(RecipeError, match=r"and changes\.yaml, line 1, column 2: "):
        validated(document)


def test_many_changes_of_a_value_are_counted() -> None:
    keys = ("sample_rate=8000", "n_fft=512", "f_min=0", "f_max=9", "mels=8", "scale=htk", "slope=hz", "norm=slaney")
    sets = ["teacher.view.mel.hop=5", "teacher.view.mel.hop=0", *(f"teacher.view.mel.{key}" for key in keys)]
    with pytest.raises(RecipeError, match=r"line 14, .* and --set teacher.view.mel.slope=hz: ") as caught:
        heard(*sets[:-1])
    assert str(caught.value).count("--set") == 8
    with pytest.raises(RecipeError, match=r" and 1 more: "):
        heard(*sets)


def test_a_members_view_is_of_the_stages_kind_where_it_does_not_say_it() -> None:
    for override in ("teacher.members.one.view={window_s: 2}", "teacher.members.one.view.window_s=2"):
        one, two = heard(override).members_of("teacher").values()
        assert (one.view.kind, one.view.window_s, two.view.window_s) == ("audio", 2, 3)
        assert one.view.mel == two.view.mel == BIRDCLEF_288


def test_an_unknown_path_is_named_with_its_place() -> None:
    with pytest.raises(RecipeError, match=r"changes\.yaml, line 2, column 1: stages\.fit has no `member`"):
        laid("fit.batch_size: 2\nfit.member!: {}")


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("folds.k=4", lambda r: r.folds.k == 4),
        ("stages.fit.phases.0.epochs=3", lambda r: r.stages["fit"].phases[0].epochs == 3),
        ("fit.batch_size=16", lambda r: r.stages["fit"].batch_size == 16),
        ("fit.phases.1.lr=1e-4", lambda r: r.stages["fit"].phases[1].lr == 1e-4),
        ("fit.phases.1.lr.head=1e-2", lambda r: r.stages["fit"].phases[1].lr.head == 1e-2),
        ("fit.augment=[vflip]", lambda r: r.stages["fit"].augment == ("vflip",)),
        ("fit.augment.1.rotate=5", lambda r: r.stages["fit"].augment[1] == {"rotate": 5}),
        ("fit.mix={one_of: [cutmix]}", lambda r: r.stages["fit"].mix.one_of == ("cutmix",)),
        ("fit.keep.patience=4", lambda r: r.stages["fit"].keep.patience == 4),
        ("fit.loss.name=focal", lambda r: r.stages["fit"].loss.name == "focal"),
        ("fit.members.large.weights=file:w.pth", lambda r: r.stages["fit"].members["large"].weights.path == "w.pth"),
        ("fit.members={b: {backbone: resnet34}}", lambda r: list(r.stages["fit"].members) == ["small", "large", "b"]),
        ("fit.members.large=null", lambda r: list(r.stages["fit"].members) == ["small"]),
        ("data.image.path={file}", lambda r: r.data.image.path == "{file}"),
        ("data.image.path='a b.jpg'", lambda r: r.data.image.path == "a b.jpg"),
        ("data.id=01", lambda r: r.data.id == "01"),
        ("data.test=null", lambda r: r.data.test is None),
        ("data.test.where.split=dev", lambda r: r.data.test.where == {"split": "dev"}),
        ("data.train={table: labels.csv, where: {a: [1, 2]}}", lambda r: r.data.train[0].where == {"a": [1, 2]}),
        ("task.positive=no", lambda r: r.task.positive == "no"),
        ("task.metrics=[accuracy, log_loss]", lambda r: r.task.metrics == ("accuracy", "log_loss")),
        ("description=a = b", lambda r: r.description == "a = b"),
    ],
)
def test_overrides(write, override: str, read) -> None:
    assert read(load_recipe(write(), overrides=[override]))


def test_overrides_come_after_the_profile_and_in_order(write) -> None:
    recipe = load_recipe(write(), profile="quick", overrides=["fit.view.size=48", "fit.view.size=64"])
    assert recipe.stages["fit"].view.size == 64


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("folds", "a path and a value are wanted"),
        ("=3", "a path and a value are wanted"),
        ("folts.k=3", "did you mean `folds`?"),
        ("fit.vew.size=3", "stages.fit has no `vew`"),
        ("ansver.file=x", "did you mean `answer`?"),
        ("fit.members.smal.batch_size=3", "did you mean `small`?"),
        ("stages.fitt.batch_size=3", "did you mean `fit`?"),
        ("fit.phases.2.lr=1", "an index from 0 to 1"),
        ("fit.phases.²=1", "an index from 0 to 1"),
        ("fit.phases.first.lr=1", "an index from 0 to 1"),
        ("fit.phases.0.lr.head=1", "holds a single value, 0.001"),
        ("fit.phases.0.epoch=1", "did you mean `epochs`?"),
        ("fit.view=[", "--set fit.view=[, line 1"),
        ("fit.batch_size=many", "--set fit.batch_size=many: stages.fit.batch_size is 'many', expected a whole number"),
        ("fit.view={size: 3, sise: 4}", "unknown key `sise` in stages.fit.view; did you mean `size`?"),
    ],
)
def test_wrong_overrides(write, fault, override: str, message: str) -> None:
    text = fault(write(), overrides=[override])
    assert f"--set {override}" in text
    assert message in text.replace("\n  do:       ", "; ")
