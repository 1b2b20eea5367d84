"""What a wrong recipe is told: the place, what is wrong there, and the nearest known key."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.errors import RecipeError
from outfold.recipe.keys import value_at
from outfold.recipe.load import load_recipe
from outfold.recipe.yaml_text import dump_yaml, parse_yaml


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("    augment: [hf", "    auggment: [hf", 13, "unknown key `auggment` in stages.fit; did you mean `augment`?"),
        ("backbone: resnet50", "backbon: resnet50", 19, "unknown key `backbon` in stages.fit.members.large"),
        (
            "name: head, epochs",
            "name: head, epoch",
            15,
            "unknown key `epoch` in stages.fit.phases.0; did you mean `epochs`?",
        ),
        (
            "backbone: 1e-5",
            "backbon: 1e-5",
            16,
            "unknown key `backbon` in stages.fit.phases.1.lr; did you mean `backbone`?",
        ),
        (
            "train: head",
            "train: {firs: 0.5}",
            15,
            "unknown key `firs` in stages.fit.phases.0.train; did you mean `first`?",
        ),
        ("where: {", "wher: {", 4, "unknown key `wher` in data.test; did you mean `where`?"),
        ("train: train.csv", "train: {table: a.csv, wher: {}}", 3, "unknown key `wher` in data.train"),
        ("train: train.csv", "train: [{table: a.csv}, {tabel: b.csv}]", 3, "unknown key `tabel` in data.train.1"),
        ("    view: {size: 96}", "    size: 96", 12, "`size` belongs at view.size"),
        ("name: example", "name: example\nmetric: a", 2, "`metric` belongs at task.metric"),
        ("kind: multiclass", "kind: multiklass", 7, "did you mean `multiclass`?"),
        ("kind: submit", "kind: submitt", 20, "did you mean `submit`?"),
        ("kind: submit, ", "", 20, "`kind` is missing in stages.answer"),
        ("  id: image\n", "", 2, "`id` is missing in data"),
        (
            "    augment: [hf",
            "    mix: {probability: 0}\n    augment: [hf",
            13,
            "mix.probability is 0, expected more than 0",
        ),
        ("k: 3", "k: 1", 8, "folds.k is 1, expected at least 2"),
        ("k: 3", "k: 2.5", 8, "expected a whole number"),
        ("lr: 1e-3", "lr: fast", 15, "lr is 'fast', expected a number or a mapping"),
        ("size: 96", "size: [96]", 12, "stages.fit.view.size has too few values"),
        ("size: 96", "size: [96, 96, 96]", 12, "stages.fit.view.size"),
        ('path: "images/{image}"', "path: {image}", 6, "expected text (in quotes"),
        ("from: fit", "from: fitt", None, "reads from 'fitt'"),
        ("weights: none", "weights: none, phases: 3", 18, "members.small.phases is 3, expected a list"),
        ("target: label", "target: [a, b]", 7, "exactly one target column"),
        ("backbone: resnet50, ", "", 10, "member 'large': no backbone"),
        ("name: example", "name: an example", 1, "expected text that matches"),
        ("quick:\n", "quick:\n    fit.vieww: 3\n", 23, "did you mean `view`?"),
        ("  one: {", "  two: 3\n  one: {", 26, "a profile is a mapping"),
    ],
)
def test_faults_name_line_and_nearest_key(write, fault, old: str, new: str, line: int | None, message: str) -> None:
    path = write((old, new))
    text = fault(path).replace("\n  do:       ", "; ")
    assert message in text
    assert (f"{path}, line {line}, column " in text) if line else (str(path) in text)
    assert "pydantic" not in text.lower()


def test_a_misspelt_required_key_is_one_fault(write, fault) -> None:
    assert "faults" not in fault(write(("backbone: 1e-5", "backbon: 1e-5")))


def test_all_faults_are_listed_in_the_order_of_the_file(write, fault) -> None:
    text = fault(write(("k: 3", "k: 1"), ("metric: macro_f1", "metrik: macro_f1"), ("size: 96", "sise: 96")))
    lines = text.splitlines()
    assert lines[0].endswith("has 3 faults:")
    assert [line.split("line ")[1].split(",")[0] for line in lines[1:]] == ["7", "8", "12"]


def test_a_fault_made_by_a_profile_is_found_at_the_profile(write, fault) -> None:
    path = write(("fit.view: {size: 32}", "fit.view: {size: large}"))
    assert load_recipe(path)
    assert f"{path}, line 23, column 16: stages.fit.view.size is 'large'" in fault(path, profile="quick")


def test_what_follows_from_another_fault_is_not_told(write, fault) -> None:
    step = "{kind: postprocess, from: fit, steps: [{smooth: {kernel: [1, 2]}}]}"
    text = fault(write(("  answer:", f"  after: {step}\n  answer:")))
    assert "stages.after.steps.0.smooth: kernel: expected an odd number" in text
    assert "faults" not in text


SOUND = ("view: {size: 96}", "view: {kind: audio, mel: {preset: yamnet, MEL}}")


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ("level: {top_db: 80, offset: 0.1}", "`offset` and `top_db` do not go together in stages.fit.view.mel.level"),
        (
            "level: {top_db: 80, nope: 1}",
            "column 67: unknown key `nope` in stages.fit.view.mel.level; keys here: reference, floor, top_db, offset",
        ),
        ("level: {topdb: 80}", "unknown key `topdb` in stages.fit.view.mel.level; did you mean `top_db`?"),
        ("nfft: 512", "unknown key `nfft` in stages.fit.view.mel; did you mean `n_fft`?"),
        ("scale: htkk", "expected one of 'htk' or 'slaney'; did you mean `htk`?"),
    ],
)
def test_faults_of_settings_without_a_kind(write, fault, view: str, message: str) -> None:
    path = write((SOUND[0], SOUND[1].replace("MEL", view)))
    assert f"{path}, line 12, column " in fault(path)
    assert message in fault(path).replace("\n  do:       ", "; ")


def test_a_key_of_another_kind_is_told_of(write, fault) -> None:
    text = fault(write(("view: {size: 96}", "view: {window_s: 4}")))
    assert "`window_s` is of `kind: audio` or `kind: waveform`; say which it is" in text


def test_a_place_that_a_key_belongs_at_is_named_once(write, fault) -> None:
    text = fault(write(("folds: {k: 3", "folds: {epochs: 1, k: 3")))
    assert text.count("belongs at stages.NAME.phases.0.epochs") == text.count("phases.0.epochs") == 1


def test_what_a_member_adds_to_its_stage_is_told_at_the_member(write, fault) -> None:
    stage = ("view: {size: 96}", "view: {kind: audio, window_s: 4, span_s: 5}")
    path = write(stage, ("weights: none}", "view: {window_s: 5.5, span_s: 6}}"), ("batch_size: 8", "view: {span_s: 3}"))
    text = fault(path)
    assert f"{path}, line 19" in text
    assert "stages.fit.members.large.view: a window of" in text


def paths_in(values: object, path: tuple = ()) -> list[tuple]:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [path, *(inner for key, value in items for inner in paths_in(value, (*path, key)))]


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["train", "fit", "name"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "size", "x", "0"]), inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=40)
@given(st.data(), anything, st.sampled_from([None, "quick"]))
def test_any_wrong_value_is_a_recipe_error(
    example: str, data: st.DataObject, value: object, profile: str | None
) -> None:
    values = parse_yaml(example, "x").values
    path = data.draw(st.sampled_from(paths_in(values)[1:]))
    value_at(values, path[:-1])[path[-1]] = value
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(dump_yaml(values))
        file.flush()
        try:
            load_recipe(Path(file.name), profile=profile)
        except RecipeError as error:
            assert file.name in str(error)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.sampled_from(["fit", "stages", "phases", "0", "1", "lr", "view", "data", "x", "", "image"]), max_size=5
    ),
    st.text(),
)
def test_any_wrong_override_is_a_recipe_error(example: str, parts: list[str], value: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(example)
        file.flush()
        with contextlib.suppress(RecipeError):
            load_recipe(Path(file.name), overrides=[f"{'.'.join(parts)}={value}"])
