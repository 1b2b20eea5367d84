"""Crop boxes: read, refused, matched to rows by id, and cut out of photos before anything else."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from outfold.data.cache import build_cache
from outfold.data.checks import check_data
from outfold.data.crops import Box, Cropped, boxes_of_rows, decode_photo, photo_key, read_crops
from outfold.data.jpeg import read_jpeg, stored_pixels, write_jpeg
from outfold.data.media import content_key, decode_image
from outfold.data.prepared import Store, prepare_photos
from outfold.data.table import load_samples, samples_from_frame
from outfold.errors import DataError, RecipeError
from outfold.recipe.load import load_recipe
from outfold.settings.data import Data, Prepare
from outfold.settings.folds import Folds
from outfold.settings.task import Task
from outfold.settings.view import ImageView
from outfold.views.image import prepare

HEADER = "id,left,top,right,bottom\n"


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG of 601 x 403 pixels, of which a reader of small pixels would decode a half or less."""
    path = tmp_path / "photo.jpg"
    smooth = cv2.resize(noise(12, 18), (601, 403), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(smooth).save(path, quality=92)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four photos of 60 x 40 pixels, a table of three and one of the fourth, boxes of two."""
    for name in "abcd":
        Image.fromarray(noise(40, 60, ord(name))).save(tmp_path / f"{name}.png")
    pd.DataFrame({"name": list("abc"), "grams": [1.0, 2.5, 4.0]}).to_csv(tmp_path / "train.csv", index=False)
    pd.DataFrame({"name": ["d"]}).to_csv(tmp_path / "test.csv", index=False)
    (tmp_path / "crops.csv").write_text(HEADER + "b,5,4,50,40\nd,0,0,60,20\n")
    return tmp_path


DATA = Data.model_validate(
    {"train": "train.csv", "test": "test.csv", "id": "name", "image": {"path": "{name}.png"}, "crops": "crops.csv"}
)
TASK = Task(kind="regression", target=("grams",), metric="rmse")


def test_boxes_are_read_by_id(tmp_path: Path) -> None:
    path = tmp_path / "crops.csv"
    path.write_text("note,bottom,right,top,left,id\nfine,40,50,4,5,007\n,3,2,1,0,1.50\n")
    assert read_crops(path) == {"007": Box(5, 4, 50, 40), "1.50": Box(0, 1, 2, 3)}
    assert read_crops(path)["1.50"].place == "crops.csv:3"
    assert boxes_of_rows(read_crops(path), ["x", "007"]) == (None, Box(5, 4, 50, 40))
    assert boxes_of_rows(read_crops(path), ["x", "y"]) == ()


def test_parquet_is_read_too(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": [3, 4], "left": [0, 1], "top": [0, 1], "right": [9, 8], "bottom": [7, 6]})
    table.to_parquet(tmp_path / "crops.parquet")
    assert read_crops(tmp_path / "crops.parquet") == {"3": Box(0, 0, 9, 7), "4": Box(1, 1, 8, 6)}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("a,1,2,3.5,4\n", ["crops.csv:2", "'right'", "no whole number", "'3.5'"]),
        ("a,1,2,3,4\nb,1,,3,4\n", ["crops.csv:3", "'top'", "an empty cell"]),
        ("a,1,2,3,four\n", ["crops.csv:2", "'bottom'", "'four'"]),
        ("a,-1,2,3,4\n", ["crops.csv:2", "'left'", "negative", "-1"]),
        ("a,3,2,3,4\n", ["crops.csv:2", "without pixels", "'right'", "left 3, right 3"]),
        ("a,1,4,3,2\n", ["crops.csv:2", "without pixels", "'bottom'"]),
        ("a,1,2,3,4\nb,1,2,3,4\na,1,2,3,5\n", ["crops.csv:4", "second box", "'a'", "crops.csv:2"]),
        (",1,2,3,4\n", ["crops.csv:2", "no value", "'id'"]),
        ("", ["no rows"]),
    ],
)
def test_tables_that_are_not_boxes_are_refused(tmp_path: Path, rows: str, words: list[str]) -> None:
    (tmp_path / "crops.csv").write_text(HEADER + rows)
    with pytest.raises(DataError) as caught:
        read_crops(tmp_path / "crops.csv")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "crops.csv").write_text("id,left,top,right,botom\na,1,2,3,4\n")
    with pytest.raises(DataError, match=r"no column 'bottom'(.|\n)*'botom'"):
        read_crops(tmp_path / "crops.csv")


@settings(deadline=None)
@given(st.data())
def test_any_box_is_a_slice(data: st.DataObject) -> None:
    height, width = (data.draw(st.integers(1, 30)) for _ in range(2))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(left, top, data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height)))
    pixels = noise(height, width)
    encoded = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    part = decode_photo(Cropped(Path("x.png"), box), shortest_side=1, data=encoded)
    assert np.array_equal(part, pixels[box.top : box.bottom, box.left : box.right])
    assert part.flags.c_contiguous
    assert part.shape[1::-1] == box.size


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_a_photo_is_cut_before_it_is_resized(photo: Path, resize: str) -> None:
    """Equal to OpenCV's resize of the plain slice, though the photo could be decoded at an eighth."""
    box, view = Box(101, 37, 555, 391), ImageView(size=(32, 48), resize=resize)
    slice_ = decode_image(photo)[37:391, 101:555]
    found = prepare(Cropped(photo, box), view, 32)
    if resize == "squash":
        assert np.array_equal(found, cv2.resize(slice_, (48, 32), interpolation=cv2.INTER_AREA))
    Image.fromarray(slice_).save(photo.with_suffix(".png"))
    assert np.array_equal(found, prepare(photo.with_suffix(".png"), view, 32))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_in_the_pixels_of_the_upright_photo(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise(24, 40)).save(path, exif=exif, quality=95)
    upright = decode_image(path)
    box = Box(3, 5, upright.shape[1] - 2, upright.shape[0])
    assert np.array_equal(decode_photo(Cropped(path, box), shortest_side=4), upright[5:, 3:-2])


def test_a_box_that_leaves_its_photo_is_named(photo: Path) -> None:
    box = Box(0, 0, 602, 403, place="crops.csv:7")
    with pytest.raises(DataError, match=r"crops.csv:7(.|\n)*photo.jpg(.|\n)*right is 602(.|\n)*601 pixels wide"):
        prepare(Cropped(photo, box), ImageView(size=32), 32)


@pytest.mark.parametrize("crop", ["square", "none"])
def test_stored_photos_are_of_the_part_in_the_box(photo: Path, tmp_path: Path, crop: str) -> None:
    box = Box(101, 37, 555, 391)
    store = Store(tmp_path / "store", Prepare(crop=crop))
    made = prepare_photos([photo, Cropped(photo, box)], store, [64, 128], workers=2)
    for size in (64, 128):
        reference = stored_pixels(decode_image(photo)[37:391, 101:555], crop, size)
        write_jpeg(tmp_path / "reference.jpg", reference, 95)
        assert np.array_equal(made.photos(size)[1], read_jpeg(tmp_path / "reference.jpg", size))
    whole = prepare_photos([photo], store, [64, 128], workers=2)
    assert whole.files(64) < made.files(64)
    assert made.photos(64).content_keys == (content_key(photo),) * 2
    assert len({one.key for one in made.originals}) == 2


def test_a_stored_part_is_mended_from_its_box(photo: Path, tmp_path: Path) -> None:
    made = prepare_photos([Cropped(photo, Box(9, 9, 99, 99))], Store(tmp_path, Prepare()), [64], workers=1)
    before = made.photos(64)[0]
    for file in made.files(64):
        file.unlink()
    assert np.array_equal(made.photos(64)[0], before)


def test_each_box_has_pixels_of_its_own_in_the_cache(photo: Path, tmp_path: Path) -> None:
    view = ImageView(size=16, resize="squash")

    def build(*photos: Path | Cropped) -> object:
        return build_cache(photos, "k", lambda one: prepare(one, view, 16), tmp_path / "cache", workers=2)

    one, other = Cropped(photo, Box(0, 0, 200, 200)), Cropped(photo, Box(0, 0, 200, 201))
    cache = build(photo, one, other, one)
    assert not np.array_equal(cache[0], cache[1])
    assert np.shares_memory(cache[1], cache[3])
    assert cache.content_keys == (content_key(photo),) * 4
    assert cache.photo_keys[0] == content_key(photo)
    assert len({*cache.photo_keys}) == 3
    assert build(photo, one).folder != build(photo, other).folder
    assert build(photo).folder == build(photo).folder
    assert photo_key("", one) == ""


def test_rows_carry_their_boxes(root: Path) -> None:
    train, test = load_samples(DATA, root), load_samples(DATA, root, "test")
    assert train.crops == (None, Box(5, 4, 50, 40), None)
    assert train.photos == (root / "a.png", Cropped(root / "b.png", Box(5, 4, 50, 40)), root / "c.png")
    assert train.take([1, 0]).crops == (Box(5, 4, 50, 40), None)
    assert test.crops == (Box(0, 0, 60, 20),)
    plain = load_samples(DATA.model_copy(update={"crops": None}), root)
    assert plain.photos == plain.media


def test_later_rows_have_the_boxes_of_their_own_root(root: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame({"name": ["b", "x"]})
    assert samples_from_frame(frame, DATA, root).crops == (Box(5, 4, 50, 40), None)
    (tmp_path / "elsewhere").mkdir()
    assert samples_from_frame(frame, DATA, tmp_path / "elsewhere").crops == ()
    (root / "crops.csv").unlink()
    with pytest.raises(DataError, match=r"crops.csv"):
        load_samples(DATA, root)


def test_boxes_stay_inside_the_data_root(root: Path) -> None:
    with pytest.raises(DataError, match="outside the data root"):
        load_samples(DATA.model_copy(update={"crops": "../crops.csv"}), root)


def test_a_check_lists_boxes_that_leave_their_photos_and_boxes_of_nobody(root: Path) -> None:
    def findings(text: str) -> list[tuple[str, str]]:
        (root / "crops.csv").write_text(text)
        found = check_data(DATA, TASK, Folds(k=2), root).findings
        return [(one.level, " ".join([one.what, *(f"{p.row} {p.id} {p.note}" for p in one.places)])) for one in found]

    fine = findings(HEADER + "b,5,4,50,40\nd,0,0,60,20\n")
    assert ("note", "train: 1 photo cut to their crop boxes, 2 whole") in fine
    assert ("note", "test: 1 photo cut to their crop boxes, 0 whole") in fine
    assert all(level == "note" for level, _ in fine)
    wrong = [one for one in findings(HEADER + "b,5,4,50,41\nc,0,0,99,9\nz,0,0,1,1\n") if one[0] != "note"]
    assert [level for level, _ in wrong] == ["error", "warning"]
    for words in (
        "2 crop boxes outside",
        "crops.csv:2: bottom is 41, but the photo is 40 pixels high",
        "train.csv:4 c",
    ):
        assert words in wrong[0][1]
    assert "1 crop box for ids that no table has crops.csv:4 z" in wrong[1][1]
    nobody = [one for one in findings(HEADER + "B,5,4,50,41\nC,0,0,99,9\n") if one[0] != "note"]
    assert [level for level, _ in nobody] == ["error"]
    assert "none of its 2 boxes is for an id of the tables: B, C (expected ids as in a, b, c" in nobody[0][1]
    broken = [one for one in findings(HEADER + "b,5,4,x,41\n") if one[0] != "note"]
    assert len(broken) == 1  # the tables themselves are still looked at
    assert "no whole number" in broken[0][1]


def test_sizes_in_a_check_are_those_of_the_boxes(root: Path) -> None:
    from outfold.runs.check import _sides

    checked = check_data(DATA, TASK, Folds(k=2), root)
    assert _sides(checked) == [(60, 40), (45, 36), (60, 40)]
    assert checked.train is not None
    whole = replace(checked, train=replace(checked.train, samples=replace(checked.train.samples, crops=())))
    assert _sides(whole) == [(60, 40)] * 3


def test_boxes_without_photos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`crops` has no effect without photos"):
        Data.model_validate({"train": "t.csv", "id": "i", "crops": "crops.csv"})
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\ndata: {train: t.csv, id: i, image: {path: '{i}'}, crops: crops.csv}\n"
        "task: {kind: regression, target: y, metric: r2}\n"
        "stages: {fit: {kind: train, view: {kind: embedding, vectors: v.parquet}, members: {a: {}},"
        " phases: [{name: all, epochs: 1}]}}\n"
    )
    with pytest.raises(RecipeError, match=r"`data\.crops` has no effect"):
        load_recipe(recipe)
