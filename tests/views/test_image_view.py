"""The image view against torchvision's resize and centre crop, and its two halves against each other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as torchvision

from outfold.settings.view import ImageView
from outfold.views.image import evaluate, normalise, prepare, prepare_key, resize, stored_frame, stored_side
from outfold.views.sizes import centre, cover, enlarge, fit_inside

RNG = np.random.default_rng(0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def photo(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def saved(tmp_path: Path):
    def save(height: int, width: int) -> tuple[Path, np.ndarray]:
        pixels = photo(height, width)
        Image.fromarray(pixels).save(tmp_path / "photo.png")
        return tmp_path / "photo.png", pixels

    return save


@pytest.mark.parametrize("shape", [(300, 400), (401, 333), (64, 90), (333, 333)])
@pytest.mark.parametrize(("size", "crop_pct"), [(224, 0.875), (160, 1.0), (96, 0.9)])
@pytest.mark.parametrize(
    ("interpolation", "mode"),
    [
        ("linear", InterpolationMode.BILINEAR),
        ("cubic", InterpolationMode.BICUBIC),
        ("lanczos", InterpolationMode.LANCZOS),
    ],
)
def test_crop_is_torchvisions_resize_and_centre_crop(shape, size, crop_pct, interpolation, mode):
    pixels = photo(*shape)
    view = ImageView(size=size, crop_pct=crop_pct, interpolation=interpolation)
    (side, _) = enlarge((size, size), crop_pct)
    conventional = torchvision.Compose([torchvision.Resize(side, mode), torchvision.CenterCrop(size)])
    np.testing.assert_array_equal(
        evaluate(pixels, view, (size, size)), np.asarray(conventional(Image.fromarray(pixels)))
    )


@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
@pytest.mark.parametrize("interpolation", ["area", "linear", "cubic", "lanczos"])
@pytest.mark.parametrize("shape", [(300, 400), (500, 260), (90, 300), (70, 60)])
@pytest.mark.parametrize("size", [112, (96, 128), (130, 90)])
def test_the_cache_changes_nothing(saved, resize, interpolation, shape, size):
    path, pixels = saved(*shape)
    view = ImageView(size=size, crop_pct=0.9, resize=resize, interpolation=interpolation)
    stored = prepare(path, view, stored_side(view, []))
    result = evaluate(stored, view, view.height_width)
    assert result.shape == (*view.height_width, 3)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, evaluate(pixels, view, view.height_width))


def test_a_large_photo_is_stored_at_the_frame_and_a_small_one_as_it_is(saved):
    view = ImageView(size=112, crop_pct=0.875)
    path, _ = saved(300, 401)
    stored = prepare(path, view, 128)
    assert stored.shape == (128, 171, 3)
    np.testing.assert_array_equal(evaluate(stored, view, (112, 112)), stored[8:120, 30:142])
    path, pixels = saved(100, 300)
    np.testing.assert_array_equal(prepare(path, view, 128), pixels)


def test_stored_side():
    view = ImageView(size=224, crop_pct=0.875)
    assert stored_side(view, []) == 256
    assert stored_side(view, [(160, 160), (280, 280)]) == 320
    assert stored_side(view, [(160, 160)]) == 256
    assert stored_side(view.model_copy(update={"cache_size": 300}), [(400, 400)]) == 300
    assert stored_side(ImageView(size=224, crop_pct=0.875, resize="squash"), []) == 224
    assert stored_side(ImageView(size=(100, 200)), [(150, 200)]) == 150
    assert stored_side(ImageView(size=(100, 200)), [(100, 300)]) == 150


@given(
    height=st.integers(1, 500),
    width=st.integers(1, 500),
    crop_pct=st.floats(0.05, 1),
    other=st.tuples(st.integers(1, 500), st.integers(1, 500)),
)
def test_the_stored_frame_covers_every_size(height, width, crop_pct, other):
    view = ImageView(size=(height, width), crop_pct=crop_pct)
    frame = stored_frame(view, stored_side(view, [other]))
    for size in (view.height_width, other):
        assert all(side >= wanted for side, wanted in zip(frame, enlarge(size, crop_pct), strict=True))


def test_prepare_key_tells_different_pixels_apart():
    views = [
        ImageView(),
        ImageView(resize="squash"),
        ImageView(interpolation="cubic"),
        ImageView(size=(224, 300)),
    ]
    keys = {prepare_key(view, side) for view in views for side in (224, 256)}
    assert len(keys) == 8
    assert prepare_key(ImageView(size=224, crop_pct=0.875), 256) == prepare_key(ImageView(size=256), 256)


def test_pad_surrounds_with_black_and_squash_fills():
    white = np.full((50, 100, 3), 255, np.uint8)
    padded = evaluate(white, ImageView(size=64, resize="pad"), (64, 64))
    assert (padded[16:48] == 255).all()
    assert (padded[:16] == 0).all()
    assert (padded[48:] == 0).all()
    assert (evaluate(white, ImageView(size=64, resize="squash"), (64, 64)) == 255).all()


def test_area_averages_boxes_when_shrinking():
    pixels = photo(60, 90)
    boxes = pixels.reshape(20, 3, 30, 3, 3).mean(axis=(1, 3))
    assert np.abs(resize(pixels, (20, 30), "area") - boxes).max() <= 0.51
    assert resize(pixels, (20, 200), "area").shape == (20, 200, 3)
    assert resize(pixels, (60, 90), "area") is pixels


@settings(max_examples=200)
@given(
    height=st.integers(1, 3000), width=st.integers(1, 3000), frame=st.tuples(st.integers(1, 600), st.integers(1, 600))
)
def test_cover_and_fit_touch_the_frame_on_one_side(height, width, frame):
    covering, inside = cover(height, width, frame), fit_inside(height, width, frame)
    assert all(side >= wanted for side, wanted in zip(covering, frame, strict=True))
    assert any(side == wanted for side, wanted in zip(covering, frame, strict=True))
    assert all(1 <= side <= wanted for side, wanted in zip(inside, frame, strict=True))
    assert any(side == wanted for side, wanted in zip(inside, frame, strict=True))
    assert min(centre(*covering, frame)) >= 0


def test_enlarge_rounds_up_but_not_a_float_error():
    assert enlarge((224, 224), 0.875) == (256, 256)
    assert enlarge((456, 456), 0.57) == (800, 800)
    assert enlarge((160, 96), 0.9) == (178, 107)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_normalise(layout, dtype):
    batch = torch.from_numpy(RNG.integers(0, 256, (4, 3, 9, 11), dtype=np.uint8)).to(dtype)
    batch = batch.contiguous(memory_format=layout)
    before = batch.clone()
    result = normalise(batch, MEAN, STD)
    expected = (batch.double() / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    assert result.dtype == torch.float32
    assert result.is_contiguous(memory_format=layout)
    torch.testing.assert_close(result.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(batch, before)


def test_normalise_takes_the_readers_layout():
    batch = torch.from_numpy(RNG.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)).permute(0, 3, 1, 2)
    assert normalise(batch, MEAN, STD).is_contiguous(memory_format=torch.channels_last)
