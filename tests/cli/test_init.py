import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from outfold.cli.init import init
from outfold.errors import DataError, OutfoldError, RecipeError
from outfold.recipe.load import load_recipe

app = typer.Typer()
app.command()(init)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = ["image,site,label"]
    for i in range(60):
        (tmp_path / f"{i}.png").touch()
        lines.append(f"{i}.png,s{i // 4},{('oak', 'ash', 'elm')[i % 3]}")
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_init_writes_a_recipe_and_says_what_is_next(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = run(table)
    assert "its name says site; 15 values on 60 rows" in output
    assert "outfold check recipe.yaml\n" in output
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert recipe.folds.group == ("site",)
    assert recipe.task.kind == "multiclass"


def test_next_commands_name_the_data_root_where_it_is_not_here(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work it").mkdir()
    monkeypatch.chdir(tmp_path / "work it")
    assert f"outfold run 'a b.yaml' --data {tmp_path}\n" in run(table, "--out", "a b.yaml")
    monkeypatch.chdir(tmp_path.parent)
    assert f"--data {tmp_path.name}\n" in run(table, "--out", tmp_path / "c.yaml")


def test_nothing_is_replaced_unasked(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.yaml"
    out.write_text("mine")
    with pytest.raises(RecipeError, match="exists already"):
        run(table, "--out", out)
    assert out.read_text() == "mine"
    run(table, "--out", out, "--force", "--target", "site")
    assert load_recipe(out).task.target == ("site",)


def test_a_folder_of_class_folders(table: Path, tmp_path: Path) -> None:
    for i in range(20):
        folder = tmp_path / "trees" / ("oak", "ash")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / f"{i}.png", folder)
    output = run(tmp_path / "trees")
    assert f"Wrote {tmp_path / 'trees.csv'}" in output
    assert load_recipe(tmp_path / "trees.yaml").data.image.path == "trees/{file}"
    assert sorted(path.name for path in (tmp_path / "trees").iterdir()) == ["ash", "oak"]
    with pytest.raises(RecipeError, match=r"trees\.csv exists already"):
        run(tmp_path / "trees")


def test_without_photos_nothing_is_written(table: Path, tmp_path: Path) -> None:
    for path in tmp_path.glob("*.png"):
        path.unlink()
    with pytest.raises(DataError, match="no column of the table leads to photos or recordings"):
        run(table, "--out", tmp_path / "r.yaml")
    assert not (tmp_path / "r.yaml").exists()


def test_recordings_are_heard(table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text().replace(".png", ".wav"))
    for path in tmp_path.glob("*.png"):
        path.rename(path.with_suffix(".wav"))
    output = run(table, "--out", tmp_path / "r.yaml")
    assert "window  5 s" in output
    assert load_recipe(tmp_path / "r.yaml").data.audio.path == "{image}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csv"], "there is no"),
        (["labels.csv", "--data", "nowhere"], "is not a folder"),
        (["labels.csv", "--data", "inner"], "lies outside the data root"),
        (["labels.csv", "--target", "lable"], "label"),
        (["inner", "--id", "x"], "takes neither"),
        (["inner"], "not a folder of class folders"),
    ],
)
def test_wrong_arguments(
    table: Path, tmp_path: Path, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner").mkdir()
    with pytest.raises(OutfoldError, match=message):
        run(*arguments)


def test_an_unwritable_place_is_a_clear_error(table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutfoldError, match="cannot be written"):
        run(table, "--out", tmp_path / "file" / "r.yaml")
