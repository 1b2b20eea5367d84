import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.errors import RecipeError
from outfold.recipe.keys import value_at
from outfold.recipe.load import builtin_names, builtin_text, dump_recipe, json_schema, load_recipe
from outfold.recipe.yaml_text import dump_yaml, parse_yaml

TEXT = """\
name: example
data:
  train: train.csv
  test: {table: test.csv, where: {split: test}}
  id: image
  image: {path: "images/{image}"}
task: {kind: multiclass, target: label, metric: macro_f1, classes: [no, yes, 01, 2]}
folds: {k: 3, group: site}
stages:
  fit:
    kind: train
    view: {size: 96}
    augment: [hflip, {rotate: 15}]
    phases:
      - {name: head, epochs: 1, train: head, lr: 1e-3}
      - {name: all, epochs: 2, lr: {backbone: 1e-5, head: 1e-4}}
    members:
      small: {backbone: resnet18, weights: none}
      large: {backbone: resnet50, batch_size: 8}
  answer: {kind: submit, from: fit}
profiles:
  quick:
    fit.view: {size: 32}
    fit.phases.1.epochs: 1
    stages: {fit: {keep: {patience: 2}}}
  one: {fit.members: {large: null}}
"""


@pytest.fixture
def write(tmp_path: Path):
    def writer(*changes: tuple[str, str], text: str = TEXT) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return path

    return writer


def fault(path: Path, **options: object) -> str:
    with pytest.raises(RecipeError) as error:
        load_recipe(path, **options)
    return str(error.value)


def test_values_arrive(write) -> None:
    recipe = load_recipe(write())
    fit = recipe.stages["fit"]
    assert recipe.task.classes == ("no", "yes", "01", 2)
    assert recipe.data.train[0].table == "train.csv"
    assert fit.phases[0].lr == 1e-3
    assert fit.phases[1].lr.backbone == 1e-5
    assert fit.member_settings("large").batch_size == 8
    assert recipe.stages["answer"].source == "fit"


def test_a_profile_merges_mappings_and_can_take_an_entry_out(write) -> None:
    recipe = load_recipe(write(), profile="quick")
    fit = recipe.stages["fit"]
    assert (fit.view.size, fit.phases[1].epochs, fit.phases[0].epochs, fit.keep.patience) == (32, 1, 1, 2)
    assert fit.augment == ("hflip", {"rotate": 15})
    assert list(load_recipe(write(), profile="one").stages["fit"].members) == ["small"]


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
def test_wrong_overrides(write, override: str, message: str) -> None:
    text = fault(write(), overrides=[override])
    assert f"--set {override}" in text
    assert message in text.replace("\n  do:       ", "; ")


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
        ("k: 3", "k: 1", 8, "folds.k is 1, expected at least 2"),
        ("k: 3", "k: 2.5", 8, "expected a whole number"),
        ("lr: 1e-3", "lr: fast", 15, "lr is 'fast', expected a number or a mapping"),
        ("size: 96", "size: [96]", 12, "stages.fit.view.size has too few values"),
        ("size: 96", "size: [96, 96, 96]", 12, "stages.fit.view.size"),
        ('path: "images/{image}"', "path: {image}", 6, "expected text (in quotes"),
        ("from: fit", "from: fitt", None, "reads from 'fitt'"),
        ("weights: none", "weights: none, phases: 3", 18, "members.small.phases is 3, expected a list"),
        ("target: label", "target: [a, b]", 7, "exactly one target column"),
        ("backbone: resnet50, ", "", 10, "member 'large' has no backbone"),
        ("name: example", "name: an example", 1, "expected text that matches"),
        ("quick:\n", "quick:\n    fit.vieww: 3\n", 23, "did you mean `view`?"),
        ("  one: {", "  two: 3\n  one: {", 26, "a profile is a mapping"),
    ],
)
def test_faults_name_line_and_nearest_key(write, old: str, new: str, line: int | None, message: str) -> None:
    path = write((old, new))
    text = fault(path).replace("\n  do:       ", "; ")
    assert message in text
    assert (f"{path}, line {line}, column " in text) if line else (str(path) in text)
    assert "pydantic" not in text.lower()


def test_a_misspelt_required_key_is_one_fault(write) -> None:
    assert "faults" not in fault(write(("backbone: 1e-5", "backbon: 1e-5")))


def test_all_faults_are_listed_in_the_order_of_the_file(write) -> None:
    text = fault(write(("k: 3", "k: 1"), ("metric: macro_f1", "metrik: macro_f1"), ("size: 96", "sise: 96")))
    lines = text.splitlines()
    assert lines[0].endswith("has 3 faults:")
    assert [line.split("line ")[1].split(",")[0] for line in lines[1:]] == ["7", "8", "12"]


def test_a_fault_made_by_a_profile_is_found_at_the_profile(write) -> None:
    path = write(("fit.view: {size: 32}", "fit.view: {size: large}"))
    assert load_recipe(path)
    assert f"{path}, line 23, column 16: stages.fit.view.size is 'large'" in fault(path, profile="quick")


def test_an_unknown_profile_lists_those_there(write) -> None:
    text = fault(write(), profile="quik")
    assert "no profile `quik`" in text
    assert "did you mean `quick`?" in text
    assert "['one', 'quick']" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got:      nothing"),
        (b"# only a comment\n", "got:      nothing"),
        (b"- a\n", "got:      a list"),
        (b"hello", "got:      a str"),
        (b"name: x\nb: \xff\n", "line 2: the file is not UTF-8"),
        (b"\xef\xbb\xbfname: x\n", "`data` is missing"),
        (b"stages: 3\nname: x\n", "stages is 3, expected a mapping"),
        (b"profiles: 3\nname: x\n", "a profile is a mapping"),
    ],
)
def test_files_that_are_no_recipes(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(content)
    assert message in fault(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "there is no recipe fine102-macro-f2" in fault("fine102-macro-f2")
    assert "did you mean `fine102-macro-f1`?" in fault("fine102-macro-f2")
    assert "is a folder" in fault(tmp_path)
    (tmp_path / "recipe.yaml").write_text(TEXT)
    assert f"give the file: {tmp_path / 'recipe.yaml'}" in fault(tmp_path)


@pytest.mark.parametrize("profile", [None, "quick", "one"])
def test_the_dumped_recipe_is_the_same_recipe_without_profiles(write, tmp_path: Path, profile: str | None) -> None:
    recipe = load_recipe(write(), profile=profile, overrides=["fit.batch_size=12"])
    path = tmp_path / "dumped.yaml"
    path.write_text(dump_recipe(recipe))
    again = load_recipe(path)
    assert again == recipe.model_copy(update={"profiles": {}})
    assert dump_recipe(again) == path.read_text()
    for member in recipe.stages["fit"].members:
        assert again.stages["fit"].member_settings(member) == recipe.stages["fit"].member_settings(member)


def paths_in(values: object, path: tuple = ()) -> list[tuple]:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [path, *(inner for key, value in items for inner in paths_in(value, (*path, key)))]


PATHS = paths_in(parse_yaml(TEXT, "x").values)[1:]
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
@given(st.sampled_from(PATHS), anything, st.sampled_from([None, "quick"]))
def test_any_wrong_value_is_a_recipe_error(path: tuple, value: object, profile: str | None) -> None:
    values = parse_yaml(TEXT, "x").values
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
def test_any_wrong_override_is_a_recipe_error(parts: list[str], value: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(TEXT)
        file.flush()
        with contextlib.suppress(RecipeError):
            load_recipe(Path(file.name), overrides=[f"{'.'.join(parts)}={value}"])


BUILTIN = [(name, profile) for name in builtin_names() for profile in (None, *load_recipe(name).profiles)]


@pytest.mark.parametrize(("name", "profile"), BUILTIN)
def test_every_shipped_recipe_is_valid_with_every_profile(name: str, profile: str | None) -> None:
    from outfold.metrics import get_metric
    from outfold.settings.train import TrainStage
    from outfold.views.augment import build_chain

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


def test_the_json_schema_describes_the_recipe() -> None:
    schema = json.loads(json.dumps(json_schema()))
    (stage,) = schema["properties"]["stages"]["patternProperties"].values()
    assert stage["discriminator"]["propertyName"] == "kind"
    assert schema["additionalProperties"] is False
    assert "Rows with byte-identical files share a fold" in json.dumps(schema)


def test_the_json_schema_knows_every_short_form() -> None:
    """A model with a `before` validator accepts more than pydantic's own schema says."""
    from outfold.recipe.json_schema import SHORT_FORMS, SHORT_ITEMS

    schema = json_schema()
    definitions = {**schema["$defs"], "Recipe": schema}
    for (model, key), forms in SHORT_FORMS.items():
        for name in ("Member", "TrainStage") if model == "TrainSettings" else (model,):
            assert all(form in definitions[name]["properties"][key]["anyOf"] for form in forms)
    for model, key in SHORT_ITEMS:
        value = definitions[model]["properties"][key]
        (items,) = [form["items"] for form in value.get("anyOf", [value]) if "items" in form]
        assert {"type": "string"} in items["anyOf"]
    modules = [module for name, module in sys.modules.items() if name.startswith("outfold.settings.")]
    models = {
        m for module in modules for m in vars(module).values() if isinstance(m, type) and hasattr(m, "model_fields")
    }
    validated = {
        model.__name__
        for model in models
        for decorator in model.__pydantic_decorators__.model_validators.values()
        if decorator.info.mode == "before"
    }
    known = {model for model, _ in (*SHORT_FORMS, *SHORT_ITEMS)}
    # A text as `Weights`, `InitFrom` or `Track` is a short form of the settings that hold it, which are listed.
    assert validated <= known | {"Weights", "InitFrom", "Track"}


def test_loading_a_recipe_imports_nothing_heavy() -> None:
    heavy = "('torch', 'numpy', 'pandas', 'timm', 'cv2')"
    code = f"import sys, outfold.recipe.load; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
