"""CLAHE against OpenCV's and against its definition in float64; measured in one frame and applied in another."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from outfold.views.augment.bend import Lens
from outfold.views.augment.chain import apply
from outfold.views.augment.clahe import Clahe, Equalise, LocalTables
from outfold.views.augment.geometry import Fit, HorizontalFlip, ShiftScaleRotate
from outfold.views.augment.lightness import DELTA, TO_XYZ, cube_root, tile_tables, to_encoded, to_linear

FLIP = HorizontalFlip().sample(np.random.default_rng(0), 128, 128)


def lesion(side: int, seed: int = 0) -> np.ndarray:
    """Something like a photo of skin: a dull background with grain and a dark blob with edges and texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    radius = np.hypot(x, y) + 0.1 * ndimage.gaussian_filter(rng.uniform(-1, 1, (side, side)), side / 30) * 20
    blob = 1 / (1 + np.exp((radius - 0.25) * 40))
    skin = np.array([205, 160, 145]) + 25 * x[..., None]
    dark = np.array([95, 60, 50]) + 30 * ndimage.gaussian_filter(rng.uniform(-4, 4, (side, side, 3)), (2, 2, 0))
    photo = skin + blob[..., None] * (dark - skin) + rng.normal(0, 3, (side, side, 3))
    return np.clip(photo, 0, 255).astype(np.uint8)


def by_opencv(image: np.ndarray, clip_limit: float, tiles: int) -> np.ndarray:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lightness = cv2.createCLAHE(clip_limit, (tiles, tiles)).apply(lab[..., 0])
    return cv2.cvtColor(cv2.merge([lightness, lab[..., 1], lab[..., 2]]), cv2.COLOR_LAB2RGB)


def by_definition(image: np.ndarray, clip_limit: float, tiles: int) -> np.ndarray:
    """RGB -> Lab in float64, L* by bilinear interpolation between the tables of tiles, and back."""
    roots = cube_root(to_linear(image / 255) @ TO_XYZ.T)
    lightness = (116 * roots[..., 1] - 16) * 2.55
    levels = np.rint(lightness).astype(int)
    side = len(image)
    tables = np.stack(
        [
            [table(block, clip_limit) for block in np.split(rows, tiles, axis=1)]
            for rows in np.split(levels, tiles, axis=0)
        ]
    )
    place = np.clip((np.arange(side) + 0.5) * tiles / side - 0.5, 0, tiles - 1)
    first = np.minimum(place.astype(int), tiles - 2)
    part = place - first
    new = sum(
        weight_y[:, None] * weight_x[None] * tables[(first + down)[:, None], (first + right)[None], levels]
        for down, weight_y in ((0, 1 - part), (1, part))
        for right, weight_x in ((0, 1 - part), (1, part))
    )
    roots = roots + ((new - lightness) / 2.55 / 116)[..., None]
    light = np.where(roots > DELTA, roots**3, 3 * DELTA**2 * (roots - 4 / 29))
    return np.clip(255 * to_encoded(light @ np.linalg.inv(TO_XYZ).T), 0, 255)


def table(levels: np.ndarray, clip_limit: float) -> np.ndarray:
    counts = np.bincount(levels.ravel(), minlength=256)
    limit = max(1, int(clip_limit * levels.size / 256))
    share, rest = divmod(int(np.maximum(counts - limit, 0).sum()), 256)
    counts = np.minimum(counts, limit) + share
    if rest:
        counts[:: max(256 // rest, 1)][:rest] += 1
    return np.cumsum(counts) * 255 / levels.size


@pytest.mark.parametrize("clip_limit", [1.0, 2.5, 4.0])
def test_clahe_is_its_definition(clip_limit):
    image = lesion(128)
    difference = np.abs(apply(image, [Equalise(128, 128, clip_limit, 8)]) - by_definition(image, clip_limit, 8))
    assert difference.mean() < 0.32  # rounding alone makes 0.25
    # A lightness next to a rounding bound may fall on the other level: there, a table's step and what is shared out.
    assert difference.max() <= 8
    assert np.mean(difference > 1) < 0.02


@pytest.mark.parametrize("clip_limit", [1.0, 4.0])
@pytest.mark.parametrize("tiles", [4, 8])
def test_clahe_is_opencvs_but_for_its_8_bit_colours(clip_limit, tiles):
    image = lesion(256, seed=1)
    result = apply(image, [Equalise(256, 256, clip_limit, tiles)]).astype(int)
    difference = np.abs(result - by_opencv(image, clip_limit, tiles))
    assert difference.mean() < 1.5
    assert difference.max() <= 16
    assert np.abs(result - image).mean() > 5 * difference.mean() * (clip_limit > 1)


def test_tables_of_all_greys_are_opencvs():
    grey = np.random.default_rng(0).integers(20, 200, (128, 128), dtype=np.uint8)
    lab = cv2.cvtColor(grey[..., None].repeat(3, axis=-1), cv2.COLOR_RGB2LAB)
    expected = cv2.createCLAHE(3.0, (1, 1)).apply(lab[..., 0])
    tables = tile_tables(grey[..., None].repeat(3, axis=-1), tiles=1, clip_limit=3.0)
    difference = np.abs(tables[0, 0][lab[..., 0]] - expected)
    assert difference.mean() < 0.5
    assert difference.max() <= 2.5  # where OpenCV's 8-bit L* is one level off


@pytest.mark.parametrize("seed", range(3))
def test_a_quarter_of_the_pixels_measures_well(seed):
    image = lesion(512, seed)
    step = Equalise(512, 512, 4.0, 8)
    assert step.stride == 2
    from_all = LocalTables(tile_tables(image, 8, 4.0), (512, 512)).apply(image).astype(int)
    difference = np.abs(apply(image, [step]) - from_all)
    assert difference.mean() < 1
    assert np.quantile(difference, 0.999) <= 8
    assert np.abs(from_all - image).mean() > 10


@pytest.mark.parametrize("seed", range(4))
def test_tables_measured_before_a_warp_are_applied_after_it(seed):
    """The joined steps against the steps in turn: alike up to interpolation, unlike a CLAHE of the warped image."""
    rng, image = np.random.default_rng(seed), lesion(512, seed)
    turn = ShiftScaleRotate(shift=(-0.1, 0.1), scale=(-0.1, 0.1), rotate=(-15, 15)).sample(rng, 512, 512)
    fit, step = Fit(size=(384, 384)).sample(rng, 512, 512), Equalise(512, 512, 4.0, 8)
    joined = apply(image, [step, turn, fit]).astype(int)
    in_turn = apply(apply(image, [step]), [turn, fit])
    after = apply(apply(image, [turn, fit]), [Equalise(384, 384, 4.0, 8)])
    assert np.abs(joined - in_turn).mean() < 3
    assert np.abs(joined - in_turn).mean() < 0.5 * np.abs(joined - after).mean()


def test_a_distortion_before_is_measured_and_one_after_starts_a_warp():
    image, step = lesion(128), Equalise(128, 128, 4.0, 8)
    bend = Lens(128, 128, k=0.5)
    np.testing.assert_allclose(apply(image, [bend, step]), apply(apply(image, [bend]), [step]), atol=1)
    np.testing.assert_array_equal(apply(image, [step, bend]), apply(apply(image, [step]), [bend]))
    np.testing.assert_array_equal(apply(image, [step, step]), apply(apply(image, [step]), [step]))


def test_a_mirrored_photo_is_equalised_to_the_mirror_image():
    image, step = lesion(128), Equalise(128, 128, 4.0, 8)
    expected = apply(image, [step])[:, ::-1].astype(int)
    assert np.abs(apply(image, [FLIP, step]) - expected).max() <= 1
    assert np.abs(apply(image, [step, FLIP]) - expected).max() <= 1


def test_flat_grey_stays_grey_and_colours_keep_their_hue():
    step = Clahe().sample(np.random.default_rng(0), 60, 80)
    flat = apply(np.full((60, 80, 3), 90, np.uint8), [step])
    assert np.ptp(flat.astype(int), axis=2).max() <= 1
    for shape in ((1, 1), (3, 100), (9, 7)):
        tiny = np.full((*shape, 3), 200, np.uint8)
        assert apply(tiny, [Clahe().sample(np.random.default_rng(0), *shape)]).shape == (*shape, 3)
    for shade in (0, 255):
        assert np.ptp(apply(np.full((64, 64, 3), shade, np.uint8), [step]).astype(int)) == 0


def test_input_is_left_alone():
    image = lesion(64)
    before = image.copy()
    apply(image, [Equalise(64, 64, 4.0, 8)])
    np.testing.assert_array_equal(image, before)
