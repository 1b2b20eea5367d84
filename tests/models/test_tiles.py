"""Tiles: how photos are cut, what a network makes of them, and that photos are turned before they are cut."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from outfold.inference.predict import turned
from outfold.models.freeze import set_train_mode, set_trainable
from outfold.models.network import Network, build_network
from outfold.models.tiles import cut, side_by_side
from outfold.settings.train import TrainSettings, TrainStage
from outfold.settings.view import ImageView
from outfold.training.device import make_fabric
from outfold.training.features import frozen_features
from outfold.views.inputs import ImageInput

PHOTOS = torch.randn(3, 3, 32, 96, generator=torch.Generator().manual_seed(0))
GRIDS = [(1, 2), (2, 1), (2, 3), (1, 1)]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_tiles_follow_each_other_row_by_row(grid: tuple[int, int], layout: torch.memory_format) -> None:
    photos = PHOTOS.contiguous(memory_format=layout)
    tiles = cut(photos, grid)
    expected = [tile for photo in PHOTOS for row in photo.chunk(grid[0], 1) for tile in row.chunk(grid[1], 2)]
    assert torch.equal(tiles, torch.stack(expected))
    assert tiles.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("grid", GRIDS)
def test_features_come_back_to_their_photo(grid: tuple[int, int]) -> None:
    means = side_by_side(cut(PHOTOS, grid).mean(dim=(2, 3)), grid)
    count = grid[0] * grid[1]
    assert means.shape == (3, 3 * count)
    torch.testing.assert_close(means.unflatten(1, (count, 3)).mean(dim=1), PHOTOS.mean(dim=(2, 3)))


def network_of(tiles: tuple[int, int] = (1, 2), backbone: str = "test_efficientnet", **more: Any) -> Network:
    torch.manual_seed(0)
    view = {"size": [32, 64], "tiles": tiles}
    settings = TrainSettings.model_validate({"backbone": backbone, "weights": "none", "view": view, **more})
    return build_network(settings, 3)[0].eval()


def halves() -> dict[str, torch.Tensor]:
    return {"image": torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))}


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_vit"])
def test_one_backbone_sees_both_halves(backbone: str) -> None:
    network, inputs = network_of(backbone=backbone), halves()
    left, right = inputs["image"].chunk(2, dim=3)
    with torch.no_grad():
        expected = torch.cat([network.backbone(left), network.backbone(right)], dim=1)
        torch.testing.assert_close(network.features(inputs), expected)
        assert network(inputs).shape == (2, 3)


def test_a_flip_of_the_photo_swaps_the_halves_and_flips_each() -> None:
    """Test-time views turn the photo as a whole: its right half, flipped, is then seen on the left."""
    network, inputs = network_of(), halves()
    left, right = inputs["image"].chunk(2, dim=3)
    with torch.no_grad():
        flipped = network.features(turned(inputs, "hflip"))
        expected = torch.cat([network.backbone(right.flip(3)), network.backbone(left.flip(3))], dim=1)
        torch.testing.assert_close(flipped, expected)
        assert not torch.allclose(
            flipped, torch.cat([network.backbone(left.flip(3)), network.backbone(right.flip(3))], 1)
        )


def test_augmentation_sees_the_whole_photo_too() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (32, 64, 3), dtype=np.uint8)
    view = ImageView(size=(32, 64), resize="squash", tiles=(1, 2))
    source = ImageInput([photo], view, ({"hflip": {"p": 1.0}},), (0.5,) * 3, (0.5,) * 3)
    seen = source.reader(augment=True)(0, np.random.default_rng(0))
    np.testing.assert_array_equal(seen, photo[:, ::-1])
    left, right = cut(source.to_model(torch.from_numpy(seen)[None]), (1, 2))
    plain_left, plain_right = cut(source.to_model(torch.from_numpy(photo)[None]), (1, 2))
    assert torch.equal(left, plain_right.flip(2))
    assert torch.equal(right, plain_left.flip(2))


def test_a_frozen_backbone_of_tiles_computes_as_in_prediction() -> None:
    network, inputs = network_of(drop_path_rate=0.5), halves()
    with torch.no_grad():
        plain = network.features(inputs)
        set_trainable(network, "head")
        set_train_mode(network)
        assert torch.equal(network.features(inputs), plain)


def test_cached_features_of_tiles_are_not_those_of_whole_photos() -> None:
    photos = np.random.default_rng(0).integers(0, 255, (4, 32, 64, 3), dtype=np.uint8)

    def features(tiles: tuple[int, int]) -> np.ndarray:
        view = ImageView(size=(32, 64), resize="squash", tiles=tiles)
        inputs = {"image": ImageInput(photos, view, (), (0.5,) * 3, (0.5,) * 3)}
        settings = TrainSettings(backbone="test_efficientnet", view=view)
        fabric = make_fabric(torch.device("cpu"))
        return frozen_features(network_of(tiles), inputs, 4, ["a", "b", "c", "d"], "photos", settings, fabric, 1)

    whole, halved = features((1, 1)), features((1, 2))
    assert halved.shape == (4, 2 * whole.shape[1])
    assert not np.allclose(halved[:, : whole.shape[1]], whole)


def stage(**settings: Any) -> dict[str, Any]:
    return {
        "kind": "train",
        "backbone": "test_resnet",
        "view": {"size": [32, 64], "tiles": [1, 2]},
        "phases": [{"name": "all", "epochs": 1}],
        "members": {"a": {}},
        **settings,
    }


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"view": {"size": [32, 63], "tiles": [1, 2]}}, "32 x 63 cannot be cut into 1 x 2"),
        ({"view": {"size": 32, "tiles": [3, 1]}}, "32 x 32 cannot be cut into 3 x 1"),
        ({"members": {"a": {"view": {"tiles": [3, 1]}}}}, "32 x 64 cannot be cut into 3 x 1"),
        ({"view": {"tiles": [3, 1]}}, "224 x 224 cannot be cut into 3 x 1"),
        (
            {"backbone": None, "view": {"kind": "embedding", "backbone": "test_resnet", "image": {"tiles": [3, 1]}}},
            "224 x 224 cannot be cut into 3 x 1",
        ),
        ({"phases": [{"name": "small", "epochs": 1, "size": [16, 33]}]}, "phase 'small': size 16 x 33"),
        ({"members": {"a": {"predict": {"tta": "orientations"}}}}, "'transpose' is for square views"),
        ({"predict": {"tta": ["identity", "rot90"]}, "view": {"size": [32, 64]}}, "'rot90' is for square views"),
    ],
)
def test_sizes_that_cannot_be_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        TrainStage.model_validate(stage(**settings))


def test_quarter_turns_of_a_square_cut_in_halves_are_fine() -> None:
    TrainStage.model_validate(stage(view={"size": 64, "tiles": [1, 2]}, predict={"tta": "orientations"}))
    TrainStage.model_validate(stage(predict={"tta": "flips"}))


@pytest.mark.parametrize("kind", ["image", "embedding"])
def test_a_member_may_cut_other_tiles_of_the_stages_size(kind: str) -> None:
    """The default size, 224, could not be cut like this."""
    shared, own = {"size": [36, 72]}, {"tiles": [1, 3]}
    changes: dict[str, Any] = {"view": shared, "members": {"a": {"view": own}}}
    if kind == "embedding":
        view = {"kind": kind, "backbone": "test_resnet", "image": shared}
        changes = {"backbone": None, "view": view, "members": {"a": {"view": {**view, "image": own}}}}
    found = TrainStage.model_validate(stage(**changes)).member_settings("a").view
    image = found if isinstance(found, ImageView) else found.image
    assert image.tile_height_width == (36, 24)
