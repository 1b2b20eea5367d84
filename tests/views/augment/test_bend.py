"""Bending steps against their formulas in float64, alone and joined with others into one warp."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from outfold.views.augment.bend import Displacement, Distortion, Lens, Stretch, dense_map, warp
from outfold.views.augment.distortion import Elastic, GridDistortion, OpticalDistortion, anchored, smooth_field
from outfold.views.augment.geometry import HorizontalFlip
from outfold.views.augment.warp import Affine, crop_resize, similarity

HEIGHT, WIDTH = 72, 90
ROUNDING = 0.51


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Soft blobs: a photo that one pixel's shift changes by a few grey levels."""
    noise = np.random.default_rng(0).uniform(0, 255, (HEIGHT, WIDTH, 3))
    soft = ndimage.gaussian_filter(noise, (4, 4, 0))
    return np.uint8(255 * (soft - soft.min()) / np.ptp(soft))


def lens(step: Lens, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre_x, centre_y = (step.width - 1) / 2, (step.height - 1) / 2
    u, v = (x - centre_x) / step.width, (y - centre_y) / step.height
    factor = 1 + step.k * (u**2 + v**2) + step.k * (u**2 + v**2) ** 2
    return factor * u * step.width + centre_x, factor * v * step.height + centre_y


def stretch(step: Stretch, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def axis(position: np.ndarray, factors: tuple[float, ...], length: int) -> np.ndarray:
        edges = np.linspace(0, length, len(factors) + 1)
        content = np.concatenate([[0], np.cumsum(factors)]) * length / len(factors)
        return np.interp(position + 0.5, edges, content) - 0.5

    return axis(x, step.columns, step.width), axis(y, step.rows, step.height)


def displacement(step: Displacement, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    nodes = np.stack([y, x]) / step.spacing
    moved = [ndimage.map_coordinates(step.field[..., i].astype(float), nodes, order=1, mode="nearest") for i in (0, 1)]
    return x + moved[0], y + moved[1]


FORMULAS = {Lens: lens, Stretch: stretch, Displacement: displacement}


def reflected(position: np.ndarray, length: int) -> np.ndarray:
    period = 2 * (length - 1)
    folded = np.mod(position, period)
    return np.minimum(folded, period - folded)


def expected_map(steps: list) -> tuple[np.ndarray, np.ndarray]:
    """Every step's formula in turn, last to first, in float64."""
    y, x = np.mgrid[: steps[-1].height, : steps[-1].width].astype(float)
    for step in reversed(steps):
        if isinstance(step, Affine):
            x, y, _ = np.tensordot(step.matrix, np.stack([x, y, np.ones_like(x)]), axes=1)
        else:
            x, y = FORMULAS[type(step)](step, reflected(x, step.width), reflected(y, step.height))
    return x, y


def read(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    channels = [ndimage.map_coordinates(image[..., c].astype(float), [y, x], order=1, mode="mirror") for c in range(3)]
    return np.stack(channels, axis=-1)


def some_steps(seed: int = 0) -> dict[str, Distortion]:
    rng = np.random.default_rng(seed)
    return {
        "pincushion": Lens(HEIGHT, WIDTH, k=0.9),
        "barrel": Lens(HEIGHT, WIDTH, k=-1.0),
        "grid": GridDistortion(steps=5, limit=(-1, 1)).sample(rng, HEIGHT, WIDTH),
        "coarse elastic": Elastic(alpha=300, sigma=20).sample(rng, HEIGHT, WIDTH)[0],
        "fine elastic": Elastic(alpha=30, sigma=3).sample(rng, HEIGHT, WIDTH)[0],
    }


@pytest.mark.parametrize("name", some_steps())
def test_a_step_is_its_formula(photo, name):
    step = some_steps()[name]
    x, y = dense_map([step])
    expected_x, expected_y = expected_map([step])
    np.testing.assert_allclose(x, expected_x, atol=1e-3)
    np.testing.assert_allclose(y, expected_y, atol=1e-3)
    result = warp(photo, [step])
    assert np.abs(result - read(photo, expected_x, expected_y)).max() <= ROUNDING + 0.1
    assert np.abs(result.astype(int) - photo).mean() > 0.5
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.sampled_from([*some_steps(), "turn", "flip", "zoom"]), min_size=1, max_size=4),
    seed=st.integers(0, 50),
)
def test_any_steps_join_into_one_map(photo, names, seed):
    choices = {
        **some_steps(seed),
        "pincushion": Lens(HEIGHT, WIDTH, k=0.3),
        "barrel": Lens(HEIGHT, WIDTH, k=-0.4),
        "turn": similarity(HEIGHT, WIDTH, degrees=20, zoom=0.95, shift=(7, -9)),
        "flip": HorizontalFlip().sample(np.random.default_rng(), HEIGHT, WIDTH),
        "zoom": similarity(HEIGHT, WIDTH, zoom=1.2),
    }
    steps = [*(choices[name] for name in names), crop_resize(0, 0, (HEIGHT, WIDTH), (60, 60))]
    x, y = expected_map(steps)
    # Bending in turn magnifies the rounding of float32 here and there, most where a point jumps to a cell's other side.
    assert np.quantile(np.abs(np.stack(dense_map(steps)) - [x, y]), 0.999) < 0.01
    result = warp(photo, steps)
    assert result.shape == (60, 60, 3)
    assert np.mean(np.abs(result - read(photo, x, y)) <= ROUNDING + 0.3) > 0.99


@pytest.mark.parametrize("name", some_steps())
def test_one_warp_differs_from_two_by_one_interpolation(photo, name):
    steps = [some_steps()[name], similarity(HEIGHT, WIDTH, degrees=15, zoom=0.95, shift=(6, -5))]
    in_turn = warp(warp(photo, steps[:1]), steps[1:])
    difference = np.abs(warp(photo, steps).astype(int) - in_turn)
    assert difference.mean() < 1
    assert np.quantile(difference, 0.99) <= 6


@pytest.mark.parametrize(
    "step",
    [
        Lens(HEIGHT, WIDTH, k=0.0),
        Stretch(HEIGHT, WIDTH, columns=(1.0,) * 5, rows=(1.0,) * 3),
        Elastic(alpha=0).sample(np.random.default_rng(0), HEIGHT, WIDTH)[0],
    ],
)
def test_no_strength_changes_nothing(photo, step):
    np.testing.assert_array_equal(warp(photo, [step]), photo)


def test_the_lens_is_opencvs_camera():
    camera = np.array([[WIDTH, 0, (WIDTH - 1) / 2], [0, HEIGHT, (HEIGHT - 1) / 2], [0, 0, 1.0]])
    expected = cv2.initUndistortRectifyMap(
        camera, np.array([0.7, 0.7, 0, 0, 0]), None, camera, (WIDTH, HEIGHT), cv2.CV_32FC1
    )
    np.testing.assert_allclose(dense_map([Lens(HEIGHT, WIDTH, k=0.7)]), expected, atol=1e-3)


def test_a_cell_shows_as_much_as_its_factor_says(photo):
    step = Stretch(HEIGHT, WIDTH, columns=(1.0, 2.0, 0.0), rows=(1.0,))
    result = warp(photo, [step])
    third = WIDTH // 3
    np.testing.assert_array_equal(result[:, :third], photo[:, :third])
    assert np.ptp(result[:, 2 * third :], axis=1).max() == 0
    x, _ = dense_map([step])
    np.testing.assert_allclose(np.diff(x[0, third : 2 * third]), 2, atol=1e-3)


def test_what_each_transform_draws():
    rng = np.random.default_rng(0)
    strengths = [OpticalDistortion(limit=(-0.5, 1.0)).sample(rng, 8, 8).k for _ in range(300)]
    assert -0.5 <= min(strengths) < -0.45
    assert 0.95 < max(strengths) <= 1.0
    grids = [GridDistortion(steps=4, limit=(-1, 1)).sample(rng, 8, 8) for _ in range(100)]
    factors = np.array([(grid.columns, grid.rows) for grid in grids])
    assert factors.shape == (100, 2, 4)
    assert 0 <= factors.min() < 0.02
    assert 1.98 < factors.max() <= 2
    assert abs(np.corrcoef(factors[:, 0, 0], factors[:, 1, 0])[0, 1]) < 0.3


@pytest.mark.parametrize("sigma", [1.5, 8.0, 20.0])
def test_a_field_is_smoothed_noise(sigma):
    rng = np.random.default_rng(0)
    side, lag, runs = 160, round(sigma), 12
    inner = slice(int(sigma), -int(sigma) - lag)

    def statistics(field: np.ndarray) -> tuple[float, float]:
        moved = field[inner, lag:][:, : field[inner].shape[1] - lag]
        return np.mean(field[inner, :-lag] ** 2), np.mean(field[inner, :-lag] * moved)

    ours, reference = [], []
    for _ in range(runs):
        nodes = Elastic(alpha=1, sigma=sigma).sample(rng, side, side)[0]
        x, y = dense_map([nodes])
        ours.append(statistics(x - np.arange(side)))
        ours.append(statistics(y - np.arange(side)[:, None]))
        for _ in range(2):
            reference.append(statistics(ndimage.gaussian_filter(rng.uniform(-1, 1, (side, side)), sigma)))
    variance, covariance = np.mean(ours, axis=0)
    expected_variance = 1 / (12 * np.pi * sigma**2)
    tolerance = 0.12 if sigma < 10 else 0.35  # a large sigma leaves few independent values
    assert variance == pytest.approx(expected_variance, rel=tolerance)
    assert variance == pytest.approx(np.mean(reference, axis=0)[0], rel=2 * tolerance)
    assert covariance / variance == pytest.approx(np.exp(-(lag**2) / (4 * sigma**2)), abs=0.12)


def test_a_field_covers_the_frame():
    for side in (1, 2, 50, 51, 333):
        field = smooth_field(np.random.default_rng(0), side, 40, sigma=50.0)
        assert (field.shape[0] - 1) * 12.5 >= side - 1


def test_three_points_move_within_reach():
    rng = np.random.default_rng(0)
    points = np.array([[1, 1], [1, -1], [-1, -1]]) * 30 + 44.5
    moves = []
    for _ in range(200):
        back = anchored(rng, 90, 90, reach=5.0).matrix
        moves.append((np.linalg.inv(back) @ np.c_[points, np.ones(3)].T)[:2].T - points)
    assert 4.9 < np.abs(moves).max() <= 5.001
    assert np.abs(np.mean(moves, axis=0)).max() < 0.8


def test_a_cut_after_bending_keeps_its_size(photo):
    bend = Lens(HEIGHT, WIDTH, k=0.3)
    cut = warp(photo, [bend, crop_resize(0, 0, (40, 50), (40, 50))])
    np.testing.assert_array_equal(cut, warp(photo, [bend])[:40, :50])


@pytest.mark.parametrize("bending", [False, True])
@pytest.mark.parametrize("stride", [2, 3])
def test_a_stride_makes_some_of_the_pixels(photo, bending, stride):
    steps = [similarity(HEIGHT, WIDTH, degrees=10)] + bending * [Lens(HEIGHT, WIDTH, k=0.3)]
    whole = warp(photo, steps)[::stride, ::stride].astype(int)
    assert np.abs(warp(photo, steps, stride) - whole).max() <= 1


def test_a_large_photo_is_averaged_before_it_is_bent():
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 254
    steps = [crop_resize(0, 0, (400, 400), (100, 100)), Lens(100, 100, k=-0.2)]
    assert np.ptp(warp(stripes, steps)[10:-10, 10:-10].astype(int)) <= 2
