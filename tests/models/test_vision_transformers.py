"""Transformers at sizes and shapes they were not made for, and the large ones of published systems."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import nn

from outfold.errors import RecipeError, WeightsError
from outfold.models.backbone import create_backbone, refuse_size
from outfold.models.freeze import frozen_names, set_train_mode, set_trainable
from outfold.models.network import build_network
from outfold.settings.learning import Freeze
from outfold.settings.network import Weights
from outfold.settings.train import TrainSettings

NONE = Weights(source="none")
TINY = "vit_tiny_patch16_dinov3_qkvb"
"""The smallest member of the family whose large ones win competitions."""


def file_of(state: dict[str, torch.Tensor], folder: Path) -> Weights:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "vit.safetensors")
    return Weights(source="file", path=str(folder / "vit.safetensors"))


@pytest.mark.parametrize("size", [(64, 128), (32, 16), (160, 160), (256, 512)])
def test_position_embeddings_are_interpolated_to_any_shape(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    made = create_backbone("test_vit", NONE, image_size=size).module.eval()
    reference = timm.create_model("test_vit", num_classes=0, img_size=size).eval()
    state = made.state_dict()
    grid = [size[0] // 16, size[1] // 16]
    state["pos_embed"] = resample_abs_pos_embed(state["pos_embed"], grid, [10, 10], num_prefix_tokens=1)
    reference.load_state_dict(state)
    photos = torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(made(photos), reference(photos))


def test_weights_learned_at_another_size_are_resampled(tmp_path: Path) -> None:
    larger = timm.create_model("test_vit", img_size=224).eval()  # with a classifier, as files of a competition have
    backbone = create_backbone("test_vit", file_of(larger.state_dict(), tmp_path))
    assert backbone.report is not None
    assert backbone.report.adapted == ("pos_embed",)
    expected = resample_abs_pos_embed(larger.pos_embed, [10, 10], [14, 14], num_prefix_tokens=1)
    torch.testing.assert_close(backbone.module.pos_embed, expected)
    own = timm.create_model("test_vit").state_dict()
    assert create_backbone("test_vit", file_of(own, tmp_path)).report.adapted == ()


def test_positions_that_are_no_square_are_not_guessed(tmp_path: Path) -> None:
    state = timm.create_model("test_vit", img_size=(160, 320)).state_dict()
    with pytest.raises(WeightsError, match="pos_embed is 1 x 201 x 64, the model's is 1 x 101 x 64"):
        create_backbone("test_vit", file_of(state, tmp_path))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("test_vit", (32, 48), (32, 40)),
        (TINY, (64, 128), (60, 128)),
        ("levit_128s", (224, 224), (160, 160)),
        ("test_efficientnet", (33, 47), None),
        ("test_resnet", (33, 47), None),
        ("test_convnext", (64, 40), None),
    ],
)
def test_sizes_a_backbone_cannot_read_are_refused(
    name: str, good: tuple[int, int], bad: tuple[int, int] | None
) -> None:
    def module() -> nn.Module:
        return create_backbone(name, NONE, image_size=good).module

    refuse_size(module(), name, good)
    if bad is not None:
        with pytest.raises(RecipeError, match=f"{name} cannot read photos .* of {bad[0]} x {bad[1]}"):
            refuse_size(module(), name, bad)


def test_a_patch_says_what_sizes_it_wants() -> None:
    with pytest.raises(RecipeError, match="multiples of its patches of 16 x 16"):
        refuse_size(create_backbone("test_vit", NONE).module, "test_vit", (32, 40))


def settings_of(backbone: str, size: tuple[int, int] = (64, 128)) -> TrainSettings:
    head = {"name": "mlp", "widths": [32, 16], "dropout": [0.3, 0.0], "per_output": True}
    view = {"size": size, "resize": "squash", "tiles": [1, 2]}
    return TrainSettings.model_validate({"backbone": backbone, "weights": "none", "view": view, "head": head})


def test_a_step_on_two_halves_with_the_first_share_frozen() -> None:
    torch.manual_seed(0)
    network, _ = build_network(settings_of(TINY), 5)
    set_trainable(network, Freeze(first=0.8))
    set_train_mode(network)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=1e-3)
    network({"image": torch.randn(2, 3, 64, 128)}).square().sum().backward()
    optimizer.step()
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not [name for name in moved if name.startswith(("backbone.patch_embed", "backbone.cls_token"))]
    assert not [name for name in moved if name.startswith("backbone.blocks.0.")]
    assert any(name.startswith("backbone.blocks.11.") for name in moved)
    assert {"backbone.norm.weight", "head.layers.0.weight"} <= moved


LARGE = {"vit_large_patch16_dinov3": (24, 1024), "vit_huge_plus_patch16_dinov3": (32, 1280)}


@pytest.mark.parametrize("name", LARGE)
def test_the_first_share_of_large_transformers_is_their_input_side(name: str) -> None:
    """Built without memory: names and shapes are all that is asked for."""
    blocks, width = LARGE[name]
    with torch.device("meta"):
        network, _ = build_network(settings_of(name, (1024, 2048)), 5)
    assert len(network.backbone.blocks) == blocks
    assert network.head.layers[0].weight.shape == (5, 32, 2 * width)
    names = [one for one, _ in network.backbone.named_parameters()]
    for share in (0.25, 0.5, 0.8):
        frozen = frozen_names(network.backbone, Freeze(first=share))
        assert len(frozen) == int(share * len(names) + 1e-9)
        assert {"cls_token", "reg_token", "patch_embed.proj.weight"} <= frozen
        assert not {"norm.weight", "norm.bias"} & frozen
        for number in range(blocks):
            own = {one for one in names if one.startswith(f"blocks.{number}.")}
            if number + 2 < share * blocks:
                assert own <= frozen
            if number - 1 > share * blocks:
                assert not own & frozen


@pytest.mark.parametrize(("name", "size"), [*zip(LARGE, [(1024, 2048), (800, 800)], strict=True)])
def test_large_transformers_take_the_published_sizes(name: str, size: tuple[int, int]) -> None:
    with torch.device("meta"):
        backbone = create_backbone(name, NONE).module
    refuse_size(backbone, name, size)
    with pytest.raises(RecipeError, match="16 x 16"):
        refuse_size(backbone, name, (1000, 2000))
