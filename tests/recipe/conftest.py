from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outfold.errors import RecipeError
from outfold.recipe.load import load_recipe

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


@pytest.fixture(scope="session")
def example() -> str:
    """The text of a recipe with most kinds of values."""
    return TEXT


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes the example, some of its texts replaced, and says where."""

    def writer(*changes: tuple[str, str], text: str = TEXT) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return path

    return writer


@pytest.fixture
def fault() -> Callable[..., str]:
    """What is said of a recipe that is wrong."""

    def said(path: Path, **options: Any) -> str:
        with pytest.raises(RecipeError) as error:
            load_recipe(path, **options)
        return str(error.value)

    return said
