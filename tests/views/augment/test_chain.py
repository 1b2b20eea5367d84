"""Chains: equal to their steps, the right size, the same from the same seed, and clear about mistakes."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from outfold.errors import RecipeError
from outfold.recipe.load import load_recipe
from outfold.settings.view import ImageView
from outfold.views.augment import TRANSFORMS, build_chain, transform_names
from outfold.views.augment.chain import apply
from outfold.views.augment.warp import Affine
from outfold.views.image import evaluate

LIGHT = [{"random_resized_crop": {"scale": [0.6, 1.0]}}, "hflip", {"color_jitter": 0.2}, {"rotate": 15}]
EVERYTHING = [{name: {"p": 1.0}} for name in TRANSFORMS]
MELANOMA = load_recipe("isic2020-1st").stages["fit"].augment


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 255, (120, 150, 3))
    soft = ndimage.gaussian_filter(noise, (5, 5, 0))
    return np.uint8(40 + 170 * (soft - soft.min()) / np.ptp(soft))


@pytest.mark.parametrize("seed", range(8))
def test_a_chain_equals_its_steps_within_interpolation(photo, seed):
    steps = build_chain(LIGHT, size=(112, 112)).sample(np.random.default_rng(seed), 120, 150)
    one_by_one = photo
    for step in steps:
        one_by_one = apply(one_by_one, [step])
    together = apply(photo, steps)
    # In turn, each interpolation blurs and rounds again, and rotated corners reflect the window instead of the photo.
    inner = (slice(24, -24), slice(24, -24))
    difference = np.abs(together[inner].astype(int) - one_by_one[inner])
    assert difference.mean() < 1
    assert difference.max() <= 4


def test_geometry_is_one_warp_and_colour_one_table(photo):
    steps = build_chain(["hflip", "gamma", {"rotate": 15}, {"gamma": 0.3}], size=(64, 64)).sample(
        np.random.default_rng(1), 120, 150
    )
    geometry = [step for step in steps if isinstance(step, Affine)]
    tables = [step for step in steps if not isinstance(step, Affine)]
    expected = apply(photo, geometry)
    for table in tables:
        expected = table.values[expected]
    np.testing.assert_array_equal(apply(photo, steps), expected)


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.sampled_from([*sorted(TRANSFORMS), {"one_of": sorted(TRANSFORMS)}]), max_size=6),
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    seed=st.integers(0, 100),
)
def test_any_chain_ends_at_its_size(names, shape, size, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = image.copy()
    result = build_chain(names, size=size)(image, np.random.default_rng(seed))
    assert result.shape == (*size, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert result.flags.writeable
    assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, before)


@pytest.fixture(scope="module")
def large_photo() -> np.ndarray:
    rng = np.random.default_rng(0)
    soft = ndimage.gaussian_filter(rng.uniform(0, 255, (512, 512, 3)), (12, 12, 0))
    return np.uint8(30 + 190 * (soft - soft.min()) / np.ptp(soft) + rng.uniform(0, 6, (512, 512, 3)))


@pytest.mark.parametrize("seed", range(12))
def test_the_melanoma_chain_is_near_its_steps_in_turn(large_photo, seed):
    chain = build_chain(MELANOMA, size=(384, 384))
    steps = chain.sample(np.random.default_rng(seed), 512, 512)
    in_turn = large_photo
    for step in steps:
        in_turn = apply(in_turn, [step])
    joined = chain(large_photo, np.random.default_rng(seed))
    assert joined.shape == (384, 384, 3)
    # A strong CLAHE multiplies by up to 4 what an interpolation takes from the grain; and beyond the border the joined
    # warp shows the photo itself where there is some.
    difference = np.abs(joined.astype(int) - in_turn)
    assert np.median(difference) <= 4
    assert np.mean(difference > 16) < 0.12


def test_the_same_seed_gives_the_same_image_from_any_thread(photo):
    chain = build_chain(EVERYTHING, size=(96, 96))

    def image(seed: int) -> np.ndarray:
        return chain(photo, np.random.default_rng(seed))

    alone = [image(seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        for expected, result in zip(alone, pool.map(image, range(16)), strict=True):
            np.testing.assert_array_equal(result, expected)
    assert not np.array_equal(alone[0], alone[1])


@pytest.mark.parametrize("crop_pct", [1.0, 0.875])
def test_without_transforms_a_stored_photo_gives_the_validation_view(photo, crop_pct):
    view = ImageView(size=105, crop_pct=crop_pct)
    expected = evaluate(photo, view, (105, 105))
    result = build_chain([], size=(105, 105), crop_pct=crop_pct)(photo, np.random.default_rng(0))
    if crop_pct == 0.875:  # the photo's shorter side is the frame's: both are the same cut
        np.testing.assert_array_equal(result, expected)
    assert np.abs(result.astype(int) - expected).mean() < 1


def test_probability(photo):
    rng = np.random.default_rng(0)
    chain = build_chain([{"hflip": {"p": 0.2}}], size=(120, 150))
    flipped = np.mean([not np.array_equal(chain(photo, rng), photo) for _ in range(300)])
    assert 0.12 < flipped < 0.28
    always = build_chain([{"hflip": {"p": 1}}], size=(120, 150))
    np.testing.assert_array_equal(always(photo, rng), photo[:, ::-1])
    never = build_chain([{"hflip": {"p": 0}}], size=(120, 150))
    np.testing.assert_array_equal(never(photo, rng), photo)


def test_pixel_transforms_meet_the_output_size(photo):
    chain = build_chain([{"cutout": {"size": 1.0, "fill": 9, "p": 1}}], size=(33, 44))
    np.testing.assert_array_equal(chain(photo, np.random.default_rng(0)), np.full((33, 44, 3), 9))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("hflop", ["hflop", "hflip"]),
        ({"rotate": {"degree": 3}}, ["rotate", "degree", "degrees"]),
        ({"rotate": "far"}, ["rotate", "degrees", "far"]),
        ({"rotate": [20, 10]}, ["low to high"]),
        ({"rotate": {"p": 1.5}}, ["rotate", "p", "1.5"]),
        ({"hflip": 0.5}, ["hflip", "p"]),
        ({"random_resized_crop": {"scale": [0.5, 2]}}, ["scale", "2"]),
        ({"random_resized_crop": {"size": 64}}, ["size", "scale"]),
        ({"color_jitter": -0.2}, ["color_jitter"]),
        ({"gamma": 1.0}, ["gamma", "greater than 0"]),
        ({"hue_saturation_value": [1, 2, 3, 4]}, ["hue_saturation_value"]),
        ({"rotate": 1, "hflip": {}}, ["one name"]),
        (3, ["3"]),
        ("one_of", ["one_of", "list"]),
        ({"one_of": []}, ["one_of", "list"]),
        ({"one_of": "hflip"}, ["one_of", "list", "hflip"]),
        ({"one_of": {"off": ["hflip"]}}, ["one_of", "off", "of"]),
        ({"one_of": ["hflop"]}, ["hflop", "hflip"]),
        ({"one_of": ["hflip", {"rotate": {"degree": 3}}]}, ["rotate", "degree", "degrees"]),
        ({"one_of": [{"rotate": {"degrees": 3, "p": 0.5}}]}, ["rotate", "p", "one_of"]),
        ({"one_of": {"p": 2, "of": ["hflip"]}}, ["one_of", "p", "2"]),
        ({"one_off": ["hflip"]}, ["one_off", "one_of"]),
        ({"median_blur": 4}, ["median_blur", "odd", "4"]),
        ({"motion_blur": 1}, ["motion_blur", "3"]),
        ({"gaussian_noise": {"sigma": 3, "variance": 9}}, ["gaussian_noise", "sigma", "variance"]),
        ({"grid_distortion": {"steps": 0}}, ["grid_distortion", "steps"]),
        ({"elastic": {"sigma": 0}}, ["elastic", "sigma"]),
        ({"cutout": 1.5}, ["cutout", "size"]),
    ],
)
def test_mistakes_are_named(item, words):
    with pytest.raises(RecipeError) as error:
        build_chain([item], size=(8, 8))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_every_transform_has_a_name_and_works_bare(photo):
    assert transform_names() == sorted([*TRANSFORMS, "one_of"])
    for name in TRANSFORMS:
        assert build_chain([name], size=(50, 60))(photo, np.random.default_rng(0)).shape == (50, 60, 3)


def test_short_forms():
    items = [{"color_jitter": 0.2}, {"hue_saturation_value": [10, 20, 5]}, {"random_resized_crop": 0.6}]
    crop, _, jitter, hsv = (maybe.transform for maybe in build_chain(items[-1:] + items[:-1], size=(8, 9)).transforms)
    assert crop.scale == (0.6, 1.0)
    assert crop.size == (8, 9)
    assert jitter.brightness == jitter.contrast == jitter.saturation == (0.8, 1.2)
    assert jitter.hue == (0, 0)
    assert (hsv.hue, hsv.saturation, hsv.value) == ((-10, 10), (-20, 20), (-5, 5))


def test_one_of_draws_each_with_the_same_chance(photo):
    chain = build_chain([{"one_of": {"p": 0.6, "of": ["hflip", "vflip", {"one_of": ["rot90"]}]}}], size=(120, 150))
    rng = np.random.default_rng(0)
    first = chain.transforms[0].transform
    assert [type(leaf).__name__ for leaf in first.leaves()] == ["HorizontalFlip", "VerticalFlip", "QuarterTurns"]
    results = [chain(photo, rng) for _ in range(400)]
    shares = {
        "none": np.mean([np.array_equal(result, photo) for result in results]),
        "hflip": np.mean([np.array_equal(result, photo[:, ::-1]) for result in results]),
        "vflip": np.mean([np.array_equal(result, photo[::-1]) for result in results]),
    }
    assert shares["none"] == pytest.approx(0.4 + 0.2 / 4, abs=0.08)
    assert shares["hflip"] == pytest.approx(0.2, abs=0.06)
    assert shares["vflip"] == pytest.approx(0.2, abs=0.06)


def test_one_of_mixes_kinds_and_ends_at_the_size(photo):
    mixed = [{"one_of": ["hflip", "gamma", "median_blur", "clahe", "elastic", {"random_resized_crop": 0.5}]}, "cutout"]
    chain = build_chain(mixed, size=(64, 48))
    for seed in range(20):
        assert chain(photo, np.random.default_rng(seed)).shape == (64, 48, 3)
    # The fit follows the last transform that may move pixels, so that what is after it meets the output's size.
    assert [type(maybe.transform).__name__ for maybe in chain.transforms] == ["OneOf", "Fit", "Cutout"]


def test_neighbouring_geometry_is_one_warp(photo, monkeypatch):
    calls = []

    def counted(name: str):
        real = getattr(cv2, name)

        def call(*arguments, **options):
            calls.append(name)
            return real(*arguments, **options)

        return call

    for name in ("remap", "warpAffine", "resize"):
        monkeypatch.setattr(cv2, name, counted(name))
    items = [{"optical_distortion": 0.5}, {"elastic": {"affine": 5}}, {"gamma": 0.2}, "grid_distortion", {"rotate": 15}]
    build_chain(items, size=(64, 64))(photo, np.random.default_rng(0))
    assert calls == ["remap"]
