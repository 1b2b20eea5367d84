from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from outfold.errors import DataError, RecipeError
from outfold.recipe.guess import draft_from_folder, draft_from_table, guess_roles
from outfold.recipe.guess.columns import determines, guess_fold, guess_split, task_kind, words
from outfold.recipe.guess.media import guess_media
from outfold.recipe.load import load_recipe

N = 120


def touch(root: Path, paths: list[str]) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


@pytest.fixture
def clinic(tmp_path: Path) -> pd.DataFrame:
    """120 photos of 40 patients; `clue` is made from the label, `visit_day` and `age` are not."""
    rng = np.random.default_rng(0)
    target = rng.integers(0, 2, N)
    frame = pd.DataFrame(
        {
            "image_id": [f"ISIC_{i:04d}" for i in rng.permutation(N)],
            "patient": [f"p{i % 40:02d}" for i in range(N)],
            "age": rng.integers(20, 90, N),
            "sex": rng.choice(["male", "female"], N),
            "diagnosis": np.where(target == 1, "melanoma", rng.choice(["nevus", "unknown"], N)),
            "report": [f"note number {i}" for i in range(N)],
            "target": target,
        }
    )
    touch(tmp_path, [f"photos/{name}.jpg" for name in frame["image_id"]])
    frame.to_csv(tmp_path / "train.csv", index=False)
    frame[["image_id", "patient"]].to_csv(tmp_path / "test.csv", index=False)
    return frame


def test_roles_of_a_clinic_table(clinic: pd.DataFrame, tmp_path: Path) -> None:
    roles = guess_roles(clinic, tmp_path)
    assert roles.id.columns == ("image_id",)
    assert (roles.media.template, roles.media.kind) == ("photos/{image_id}.jpg", "image")
    assert (roles.target.columns, roles.target.kind) == (("target",), "binary")
    assert [group.columns for group in roles.groups] == [("patient",)]
    assert roles.numeric == ("age",)
    assert roles.categorical == ("sex", "diagnosis")
    assert any("`diagnosis` determines `target`" in text for text in roles.warnings)
    assert any("`report` is different on nearly every row" in text for text in roles.warnings)
    assert not any("`age`" in text or "`sex`" in text for text in roles.warnings)


def test_the_written_recipe_loads_and_says_why(clinic: pd.DataFrame, tmp_path: Path) -> None:
    out = tmp_path / "recipe.yaml"
    draft = draft_from_table(tmp_path / "train.csv", out)
    out.write_text(draft.text)
    recipe = load_recipe(out)
    assert recipe.data.test.table == "test.csv"
    assert recipe.data.image.path == "photos/{image_id}.jpg"
    assert recipe.folds.group == ("patient",)
    assert recipe.folds.stratify == ("target",)
    assert recipe.task.metric == "roc_auc"
    assert list(recipe.stages) == ["fit", "answer"]
    assert "its name says patient" in draft.text
    assert "`diagnosis` determines `target`" in draft.text


def test_named_columns_overrule_the_guess(clinic: pd.DataFrame, tmp_path: Path) -> None:
    roles = guess_roles(clinic, tmp_path, target=("diagnosis",), id_column="report")
    assert (roles.target.kind, roles.id.columns) == ("multiclass", ("report",))
    with pytest.raises(DataError, match="diagnosi"):
        guess_roles(clinic, tmp_path, target=("diagnosi",))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 1] * 20, "binary"),
        ([True, False] * 20, "binary"),
        (["a", "b"] * 20, "binary"),
        ([0.0, 1.0] * 20, "binary"),
        (["a", "b", "c", "d"] * 10, "multiclass"),
        ([0, 1, 2, 3] * 10, "multiclass"),
        (["01", "02", "03", "04"] * 10, "multiclass"),
        ([0, 1 / 3, 2 / 3, 1] * 10, "regression"),
        (list(range(40)), "regression"),
        ([1, None, 2, 3] * 10, "multiclass"),
    ],
)
def test_kinds_of_tasks(values: list, kind: str) -> None:
    assert task_kind(pd.Series(values, name="outcome"))[0] == kind


def test_a_column_called_label_is_a_class_however_many_it_has() -> None:
    assert task_kind(pd.Series(range(1, 103), name="label"))[0] == "multiclass"


def test_several_masses_are_one_regression() -> None:
    rng = np.random.default_rng(0)
    parts = rng.gamma(2, 20, (N, 2)).round(1)
    frame = pd.DataFrame({"photo": range(N), "green_g": parts[:, 0], "dead_g": parts[:, 1], "total_g": parts.sum(1)})
    roles = guess_roles(frame, Path(__file__).parent)
    assert (roles.target.columns, roles.target.kind) == (("green_g", "dead_g", "total_g"), "regression")
    assert any("`total_g` is the sum of the other targets" in text for text in roles.warnings)
    assert roles.media is None


def test_flags_are_multilabel() -> None:
    flags = np.random.default_rng(0).integers(0, 2, (N, 4))
    frame = pd.DataFrame(flags, columns=["rain", "dog", "wind", "car"]).assign(name=[f"f{i}" for i in range(N)])
    target = guess_roles(frame, Path(__file__).parent).target
    assert (target.kind, target.columns) == ("multilabel", ("rain", "dog", "wind", "car"))


def test_splits_and_folds() -> None:
    frame = pd.DataFrame({"a": ["train", "val", "test", "train"], "fold": [0, 1, 2, 0], "b": ["train", "x", "y", "z"]})
    split = guess_split(frame)
    assert (split.column, split.train, split.valid, split.test) == ("a", ("train",), ("val",), ("test",))
    assert guess_split(frame[["b"]]) is None
    assert guess_fold(frame) == "fold"
    assert guess_fold(frame.rename(columns={"fold": "unfolded"})) is None


@pytest.mark.parametrize("crossing", [False, True])
def test_folds_that_cut_groups_are_not_used(tmp_path: Path, crossing: bool) -> None:
    plot = np.repeat(np.arange(24), 5)
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(N)], "plot": plot, "label": np.arange(N) % 3})
    frame["fold"] = np.arange(N) % 4 if crossing else plot % 4
    touch(tmp_path, list(frame["image"]))
    frame.to_csv(tmp_path / "t.csv", index=False)
    draft = draft_from_table(tmp_path / "t.csv", tmp_path / "r.yaml")
    (tmp_path / "r.yaml").write_text(draft.text)
    folds = load_recipe(tmp_path / "r.yaml").folds
    assert (folds.column, folds.group) == ((None, ("plot",)) if crossing else ("fold", ()))
    assert any("lie on several sides of `fold`" in text for text in draft.roles.warnings) == crossing


def test_nested_groups_need_only_the_coarser() -> None:
    site = np.repeat(np.arange(12), 10)
    plot = np.repeat(np.arange(60), 2)
    frame = pd.DataFrame({"id": range(N), "plot": plot, "site": site, "y": np.random.default_rng(0).normal(size=N)})
    (group,) = guess_roles(frame, Path(__file__).parent).groups
    assert group.columns == ("site", "plot")
    assert "covers plot" in group.why


def test_a_coarser_label_is_no_group() -> None:
    label = np.arange(N) % 40
    frame = pd.DataFrame(
        {"id": range(N), "label": [f"c{c}" for c in label], "group_name": [f"g{c // 4}" for c in label]}
    )
    roles = guess_roles(frame, Path(__file__).parent)
    assert roles.groups == ()
    assert any("`group_name` is a coarser form of `label`" in text for text in roles.warnings)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (lambda label, i: f"{label}_{i:03d}.jpg", "`image` spells out `label` on 100% of the rows"),
        (lambda label, i: f"{label[0]}{i:03d}", "the letters that `image` begins with give `label` away"),
        (lambda label, i: {"cat": 1, "dog": 2, "eel": 3}[label] * 1000 + i, "the number in `image` follows `label`"),
    ],
)
def test_ids_that_encode_the_class(names: Callable[[str, int], object], message: str) -> None:
    labels = [("cat", "dog", "eel")[i % 3] for i in range(N)]
    frame = pd.DataFrame({"image": [names(label, i) for i, label in enumerate(labels)], "label": labels})
    warnings = guess_roles(frame, Path(__file__).parent).warnings
    assert any(message in text for text in warnings), warnings


def test_an_honest_id_is_not_suspected(clinic: pd.DataFrame, tmp_path: Path) -> None:
    assert not any("`image_id`" in text for text in guess_roles(clinic, tmp_path).warnings)


def test_rows_that_will_stop_a_run_are_pointed_out(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"image": [f"{i}.jpg" for i in range(20)], "label": ["a"] * 9 + ["b"] * 8 + ["c"] * 2 + [None]}
    )
    touch(tmp_path, list(frame["image"][:15]))
    text = "\n".join(guess_roles(frame, tmp_path).warnings)
    assert "5 of 20 rows tried lead to no file" in text
    assert "1 rows have no value of the target `label`" in text
    assert "1 classes have fewer than 5 rows, e.g. 'c' with 2" in text


@pytest.mark.parametrize(
    ("files", "columns", "template"),
    [
        (["a.jpg", "b.jpg"], {"name": ["a.jpg", "b.jpg"]}, "{name}"),
        (["x/y/a.PNG", "x/y/b.PNG"], {"name": ["a", "b"]}, "x/y/{name}.PNG"),
        (["cat/1.jpg", "dog/2.jpg"], {"label": ["cat", "dog"] * 2, "n": [1, 2] * 2}, "{label}/{n}.jpg"),
        (["audio/a.ogg"], {"file": ["audio/a.ogg"]}, "{file}"),
        (["a.txt"], {"file": ["a.txt"]}, None),
        (["../out.jpg"], {"file": ["../out.jpg"]}, None),
    ],
)
def test_media_templates(tmp_path: Path, files: list[str], columns: dict, template: str | None) -> None:
    root = tmp_path / "root"
    root.mkdir()
    touch(root, files)
    found = guess_media(pd.DataFrame(columns), root)
    assert (found.template if found else None) == template


def test_class_folders_become_a_table_beside_the_recipe(tmp_path: Path) -> None:
    touch(
        tmp_path / "pets",
        [f"{label}/{i}.jpg" for label in ("cat", "no") for i in range(6)] + ["stray.jpg", "cat/x.txt"],
    )
    out = tmp_path / "pets.yaml"
    draft = draft_from_folder(tmp_path / "pets", out)
    assert draft.table.splitlines()[:2] == ["file,label", "cat/0.jpg,cat"]
    assert draft.roles.rows == 12
    assert any("1 media files lie directly in pets" in text for text in draft.roles.warnings)
    out.write_text(draft.text)
    recipe = load_recipe(out)
    assert (recipe.data.train[0].table, recipe.data.image.path, recipe.data.id) == ("pets.csv", "pets/{file}", "file")
    assert recipe.task.kind == "binary"


def test_class_folders_with_a_split_and_subfolders(tmp_path: Path) -> None:
    train = [f"train/{label}/day{d}/{i}.jpg" for label in "abc" for d in range(2) for i in range(4)]
    touch(tmp_path / "leaf", [*train, "test/1.jpg", "test/2.jpg"])
    draft = draft_from_folder(tmp_path / "leaf", tmp_path / "leaf.yaml")
    assert draft.table.splitlines()[0] == "file,label,split,subfolder"
    assert (draft.roles.split.train, draft.roles.split.test, draft.roles.rows) == (("train",), ("test",), 24)
    assert "answer: {kind: submit" in draft.text
    assert any("`subfolder` the rest" in text for text in draft.roles.warnings)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    touch(tmp_path / "flat", ["1.jpg", "2.jpg"])
    with pytest.raises(DataError, match="not a folder of class folders"):
        draft_from_folder(tmp_path / "flat", tmp_path / "flat.yaml")
    with pytest.raises(RecipeError, match="must lie above the folder"):
        draft_from_folder(tmp_path / "flat", tmp_path / "flat" / "recipe.yaml")


def test_small_helpers() -> None:
    assert words("srcFile_ID2") == ["src", "file", "id", "2"]
    frame = pd.DataFrame({"a": [1, 1, 2, None], "b": ["x", "x", "x", "y"], "c": [1, 2, 3, 4]})
    assert determines(frame, "a", "b")
    assert not determines(frame, "b", "a")
    assert determines(frame, "c", "a")


@pytest.mark.parametrize(
    ("name", "target", "kind", "id_column", "group", "warning"),
    [
        ("grocery", ("label",), "multiclass", "file", None, "`class_id` is the same as `label`"),
        ("ham10000", ("target",), "binary", "image_id", "lesion_id", "`dx` determines `target`"),
        (
            "ecustfd",
            ("fruit_g", "bakery_g", "egg_g", "weight_g"),
            "regression",
            "file",
            "group_id",
            "`weight_g` is the sum",
        ),
        ("esc10", ("label",), "multiclass", "file", "src_file", "`class_id` is the same as `label`"),
    ],
)
def test_real_tables(
    shared_data, tmp_path: Path, name: str, target: tuple, kind: str, id_column: str, group: str | None, warning: str
) -> None:
    draft = draft_from_table(shared_data(name) / "labels.csv", tmp_path / "recipe.yaml")
    roles = draft.roles
    assert (roles.target.columns, roles.target.kind, roles.id.columns) == (target, kind, (id_column,))
    assert [g.columns[0] for g in roles.groups] == ([group] if group else [])
    assert any(warning in text for text in roles.warnings)
    assert (roles.media.template, roles.media.found) == ("{file}", roles.media.tried)
    (tmp_path / "recipe.yaml").write_text(draft.text)
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert recipe.task.target == target
    assert recipe.data.has_audio == (name == "esc10")
