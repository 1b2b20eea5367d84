import subprocess
import sys
from pathlib import Path

import pytest

from outfold.recipe.load import dump_recipe, load_recipe


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


def test_an_unknown_profile_lists_those_there(fault, write) -> None:
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
def test_files_that_are_no_recipes(fault, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(content)
    assert message in fault(path)


def test_missing_file_and_folder(example: str, fault, tmp_path: Path) -> None:
    assert "there is no recipe fine102-macro-f2" in fault("fine102-macro-f2")
    assert "did you mean `fine102-macro-f1`?" in fault("fine102-macro-f2")
    assert "is a folder" in fault(tmp_path)
    (tmp_path / "recipe.yaml").write_text(example)
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


def test_loading_a_recipe_imports_nothing_heavy() -> None:
    heavy = "('torch', 'numpy', 'pandas', 'timm', 'cv2')"
    code = f"import sys, outfold.recipe.load; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
