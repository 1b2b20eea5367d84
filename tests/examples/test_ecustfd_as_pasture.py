"""ECUSTFD in the layout of the pasture recipes: pairs, sums, groups, pictures."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="module")
def layout() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "ecustfd_as_pasture.py"
    spec = importlib.util.spec_from_file_location("ecustfd_as_pasture", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three portions: two and three photos a side, one of two foods, none from the side."""
    rows = []
    for portion, group, top, side, masses in (
        ("apple1", "g1", 2, 3, (100.5, 0, 0)),
        ("bun1", "g2", 3, 2, (0, 40, 0)),
        ("both1", "g1", 1, 1, (0.1, 0, 50.2)),
        ("egg1", "g3", 2, 0, (0, 0, 60)),
    ):
        for view, count in (("top", top), ("side", side)):
            for number in range(count):
                file = f"images/{portion}{view}{number}.jpg"
                (tmp_path / "images").mkdir(exist_ok=True)
                level = 60 if view == "top" else 200
                cv2.imwrite(str(tmp_path / file), np.full((30, 40, 3), level, np.uint8))
                rows.append([file, portion, group, view, portion[:-1], *masses, round(sum(masses), 1), 99.5])
    names = ["file", "object_id", "group_id", "view", "types", "fruit_g", "bakery_g", "egg_g", "weight_g", "volume_cm3"]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def test_every_photo_is_used_at_most_once(layout: ModuleType, source: Path) -> None:
    pairs = layout.pairs_of(pd.read_csv(source / "labels.csv"))
    assert pairs["name"].tolist() == ["apple1_1", "apple1_2", "both1_1", "bun1_1", "bun1_2"]
    assert pairs["top"].is_unique
    assert pairs["side"].is_unique
    assert (pairs["top"].str.contains("top") & pairs["side"].str.contains("side")).all()
    assert len(layout.pairs_of(pd.read_csv(source / "labels.csv"), 1)) == 3


def test_rows_are_as_the_competition_gives_them(layout: ModuleType, source: Path) -> None:
    table = layout.long_table(layout.pairs_of(pd.read_csv(source / "labels.csv")), "train")
    assert len(table) == 5 * 4
    both = table[table["sample_id"].str.startswith("both1_1")].set_index("target_name")
    assert both["target"].to_dict() == {"fruit_g": 0.1, "bakery_g": 0, "egg_g": 50.2, "weight_g": 50.3}
    assert both.loc["egg_g", ["image_path", "Sampling_Date", "State", "Species", "volume_cm3"]].tolist() == [
        "train/both1_1.jpg", "g1", "mixed", "both", 99.5
    ]  # fmt: skip
    assert set(table["State"]) == {"fruit", "bakery", "mixed"}


def test_parts_that_do_not_add_up_stop(layout: ModuleType, source: Path) -> None:
    labels = pd.read_csv(source / "labels.csv")
    labels.loc[labels["object_id"] == "bun1", "weight_g"] = 41
    with pytest.raises(SystemExit, match=r"bun1_1: the parts add up to 40\.0 g, not to 41"):
        layout.long_table(layout.pairs_of(labels), "train")


def test_a_picture_is_top_and_side_in_squares(layout: ModuleType) -> None:
    top, side = np.full((30, 40, 3), 60, np.uint8), np.full((50, 20, 3), 200, np.uint8)
    picture = layout.side_by_side(top, side, 64)
    assert picture.shape == (64, 128, 3)
    assert (picture[8:56, :64] == 60).all()
    assert (picture[:8, :64] == 128).all()
    assert (picture[:, 64 + 19 : 64 + 45] == 200).all()
    assert (picture[:, 64 : 64 + 19] == 128).all()


def test_whole_groups_are_kept_back(layout: ModuleType) -> None:
    groups = pd.Series(np.repeat([f"g{number}" for number in range(50)], 7))
    back = layout.kept_back(groups, 0.2, 0)
    assert 0.15 < back.mean() < 0.25
    assert set(groups[back]).isdisjoint(groups[~back])
    assert np.array_equal(back, layout.kept_back(groups, 0.2, 0))
    assert not layout.kept_back(groups, 0, 0).any()


def test_the_command_writes_the_layout(
    layout: ModuleType, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["x", str(source), str(out), "--size", "32", "--test-share", "0.3"])
    layout.main()
    train, test, solution = (pd.read_csv(out / f"{name}.csv") for name in ("train", "test", "solution"))
    assert list(test.columns) == ["sample_id", "image_path", "target_name"]
    assert solution["sample_id"].tolist() == test["sample_id"].tolist()
    assert len(train) + len(test) == 20
    assert cv2.imread(str(out / train["image_path"][0])).shape == (32, 64, 3)


def test_the_real_photos(layout: ModuleType, shared_data: Callable[[str], Path]) -> None:
    pairs = layout.pairs_of(pd.read_csv(shared_data("ecustfd") / "labels.csv"))
    assert len(pairs) > 600
    table = layout.long_table(pairs, "train")
    wide = table.pivot(index="image_path", columns="target_name", values="target")
    assert np.allclose(wide[["fruit_g", "bakery_g", "egg_g"]].sum(axis=1), wide["weight_g"], atol=1e-9)
