"""The procedural pasture: exact sums, one outcome a seed, boxes that are true, a layout that the recipes read."""

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pandas as pd
import pytest

from outfold.data.borders import plain_border
from outfold.data.crops import Box, read_crops

COLUMNS = [
    "sample_id", "image_path", "Sampling_Date", "State", "Species", "Pre_GSHH_NDVI", "Height_Ave_cm", "target_name",
    "target",
]  # fmt: skip
SIZE = (128, 256)


@pytest.fixture(scope="module")
def pasture() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "pasture_photos.py"
    spec = importlib.util.spec_from_file_location("pasture_photos", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(pasture: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 photos, half of them on cardboard."""
    out = tmp_path_factory.mktemp("pasture")
    pasture.write_photos(out, 40, SIZE, 3, borders=0.5)
    return out


def test_tables_have_the_columns_of_the_competition(folder: Path) -> None:
    train, test, solution = (pd.read_csv(folder / f"{name}.csv") for name in ("train", "test", "solution"))
    assert list(train.columns) == COLUMNS
    assert list(test.columns) == ["sample_id", "image_path", "target_name"]
    assert solution["sample_id"].tolist() == test["sample_id"].tolist()
    assert len(train) + len(test) == 5 * 40
    assert (train["sample_id"] == train["image_path"].str[6:-4] + "__" + train["target_name"]).all()
    assert all((folder / path).is_file() for path in {*train["image_path"], *test["image_path"]})
    assert train["Pre_GSHH_NDVI"].between(0.16, 0.91).all()
    assert train["Height_Ave_cm"].between(1, 40).all()


def test_sums_hold_exactly(folder: Path) -> None:
    texts = pd.read_csv(folder / "train.csv", dtype=str)
    tenths = texts["target"].map(lambda text: round(float(text) * 10_000))
    wide = tenths.groupby([texts["image_path"], texts["target_name"]]).first().unstack()
    assert (wide["GDM_g"] == wide["Dry_Green_g"] + wide["Dry_Clover_g"]).all()
    assert (wide["Dry_Total_g"] == wide["GDM_g"] + wide["Dry_Dead_g"]).all()
    assert (wide >= 0).all(axis=None)
    assert (wide["Dry_Clover_g"] == 0).mean() > 0.1


def test_test_rows_are_of_dates_of_their_own(pasture: ModuleType, tmp_path: Path) -> None:
    train, test = pasture.write_photos(tmp_path, 24, (32, 64), 0)
    assert set(train["Sampling_Date"]).isdisjoint(test["Sampling_Date"])
    assert len(test) > 0


def test_a_seed_decides_everything(pasture: ModuleType, tmp_path: Path) -> None:
    def contents(name: str, seed: int) -> str:
        pasture.write_photos(tmp_path / name, 4, (64, 128), seed)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()

    assert contents("one", 1) == contents("again", 1) != contents("other", 2)


def test_a_photo_does_not_depend_on_how_many_there_are(pasture: ModuleType) -> None:
    day = pasture.day_of(2, 5)
    photos = [pasture.photograph(pasture.sward_of(day, rng), (64, 128), 1.0, rng) for rng in map(rng_of, (7, 7))]
    assert np.array_equal(photos[0][0], photos[1][0])
    assert photos[0][1] == photos[1][1]


def rng_of(number: int) -> np.random.Generator:
    return np.random.default_rng([5, 2, number])


def test_more_leaf_weighs_more_and_shows_more(pasture: ModuleType) -> None:
    """The green that is seen grows with leaf area, ever less, for leaves hide leaves."""
    day, seen, grams = pasture.day_of(0, 0), [], []
    for area in (0.2, 0.8, 3.2):
        sward = pasture.Sward(day, np.array([[0, 0, area]] * 2), 8.0)
        photo = pasture.draw(sward, (128, 256), np.random.default_rng(0))
        seen.append(photo[..., 1].mean() - photo[..., 0].mean())
        grams.append(sward.masses()["Dry_Green_g"])
    assert seen == sorted(seen)
    assert (seen[2] - seen[1]) < 4 * (seen[1] - seen[0]) / 1.5
    assert grams[2] == pytest.approx(16 * grams[0], rel=1e-3)


def test_a_tall_sward_weighs_more_than_it_shows(pasture: ModuleType) -> None:
    day, area = pasture.day_of(0, 0), np.full((2, 3), 0.5)
    low, high = (pasture.Sward(day, area, height).masses() for height in (4.0, 16.0))
    assert high["Dry_Green_g"] == pytest.approx(4 * low["Dry_Green_g"], rel=1e-3)
    assert high["Dry_Clover_g"] < 2 * low["Dry_Clover_g"]


def test_narrow_blades_weigh_more_and_look_much_alike_from_afar(pasture: ModuleType) -> None:
    """The same leaf area has nearly the same colour in the mean; its mass and its detail are others."""
    day, area = pasture.day_of(0, 0), np.array([[0, 0, 0.5]] * 2)
    narrow, broad = (pasture.Sward(day, area, 8.0, breadth) for breadth in (0.6, 1.8))
    assert narrow.masses()["Dry_Green_g"] == pytest.approx(3 * broad.masses()["Dry_Green_g"], rel=1e-3)
    photos = [pasture.draw(sward, (192, 384), np.random.default_rng(0)) for sward in (narrow, broad)]
    means = [photo.mean(axis=(0, 1)) for photo in photos]
    np.testing.assert_allclose(means[0], means[1], rtol=0.2)
    edges = [np.abs(np.diff(photo[..., 1], axis=1)).mean() for photo in photos]
    assert edges[0] > 1.2 * edges[1]


def test_boxes_are_where_the_pasture_is(folder: Path) -> None:
    """Inside the box next to nothing is as smooth as cardboard, outside nearly everything."""
    boxes = read_crops(folder / "boxes.csv")
    assert 8 <= len(boxes) <= 32
    for name, box in boxes.items():
        grey = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        rough = cv2.blur(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), (5, 5))
        inside = rough[box.top : box.bottom, box.left : box.right]
        frame = np.ones(SIZE, bool)
        frame[box.top : box.bottom, box.left : box.right] = False
        assert frame.mean() > 0.02
        assert np.median(inside) > 1.2 * np.median(rough[frame]), name


def iou(one: Box, other: Box) -> float:
    across = max(0, min(one.right, other.right) - max(one.left, other.left))
    down = max(0, min(one.bottom, other.bottom) - max(one.top, other.top))
    areas = [(box.right - box.left) * (box.bottom - box.top) for box in (one, other)]
    return across * down / (sum(areas) - across * down)


@pytest.mark.slow
def test_proposals_are_near_the_true_boxes(pasture: ModuleType, tmp_path: Path) -> None:
    pasture.write_photos(tmp_path, 60, (256, 512), 11, borders=0.5)
    boxes, agreement, silent = read_crops(tmp_path / "boxes.csv"), [], []
    for path in sorted(tmp_path.glob("*/*.jpg")):
        found = plain_border(cv2.imread(str(path))[..., ::-1])
        true = boxes.get(path.relative_to(tmp_path).as_posix())
        if true is None:
            silent.append(found is None)
        elif found is not None:
            agreement.append(iou(found, true))
    assert all(silent)
    assert len(agreement) > 0.8 * len(boxes)
    assert np.median(agreement) > 0.97
    assert min(agreement) > 0.85


def test_the_command_writes_the_layout(tmp_path: Path, pasture: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["pasture_photos.py", str(tmp_path), "--photos", "6", "--size", "32x64", "--dates", "3"]
    monkeypatch.setattr(sys, "argv", arguments)
    pasture.main()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "train", "test", "train.csv", "test.csv", "boxes.csv", "solution.csv", "sample_submission.csv"
    }  # fmt: skip
