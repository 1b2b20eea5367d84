"""The network, and what phases freeze of it, through real steps."""

from typing import Literal

import pytest
import timm
import torch
from torch import Tensor, nn

from outfold.errors import RecipeError
from outfold.models.freeze import frozen_names, set_train_mode, set_trainable
from outfold.models.network import Network, build_network
from outfold.settings.learning import Freeze
from outfold.settings.network import Head
from outfold.settings.train import TrainSettings

PHOTOS = {"image": torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))}
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def network_of(backbone: str = "test_efficientnet", **settings: object) -> Network:
    torch.manual_seed(0)
    everything = {"backbone": backbone, "weights": "none", **settings}
    return build_network(TrainSettings.model_validate(everything), outputs=3)[0]


def changed_by_a_step(network: Network, batch_norms: Literal["learn", "keep"] = "learn") -> set[str]:
    """Names of the tensors, parameters and statistics, that one training step moves."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    set_train_mode(network, batch_norms)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(PHOTOS).square().sum().backward()
    optimizer.step()
    return {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}


def test_forward_is_the_head_of_the_features() -> None:
    network = network_of(head=Head(dropout=0.5)).eval()
    with torch.no_grad():
        assert torch.equal(network(PHOTOS), network.head(network.features(PHOTOS)))
    assert network(PHOTOS).shape == (4, 3)


def test_pretrained_false_needs_no_weights() -> None:
    settings = TrainSettings.model_validate({"backbone": "mobilenetv3_small_050", "weights": "file:/gone.pth"})
    network, stats = build_network(settings, 2, pretrained=False)
    assert isinstance(network.head, nn.Module)
    assert stats.mean == (0.485, 0.456, 0.406)


def test_everything_trains() -> None:
    network = network_of()
    set_trainable(network, "all")
    assert changed_by_a_step(network) >= {name for name, _ in network.named_parameters()}


def test_only_the_head_trains_and_statistics_rest() -> None:
    network = network_of()
    set_trainable(network, "head")
    assert changed_by_a_step(network) == {"head.linear.weight", "head.linear.bias"}


def test_a_frozen_backbone_computes_what_it_computes_in_prediction() -> None:
    network = network_of(drop_path_rate=0.5)
    set_trainable(network, "head")
    set_train_mode(network)
    trained = network.features(PHOTOS)
    assert torch.equal(trained, network.eval().features(PHOTOS))


def test_named_blocks_rest_with_their_statistics() -> None:
    network = network_of()
    set_trainable(network, Freeze(blocks=("conv_stem", "bn1", "blocks.0", "blocks.1")))
    frozen = ("backbone.conv_stem", "backbone.bn1", "backbone.blocks.0.", "backbone.blocks.1.")
    moved = changed_by_a_step(network)
    assert not [name for name in moved if name.startswith(frozen)]
    assert any(name.startswith("backbone.blocks.2.") and name.endswith(STATISTICS) for name in moved)


@pytest.mark.parametrize("share", [0.001, 0.29, 0.5, 0.8, 1.0])
def test_the_first_share_of_tensors_rests(share: float) -> None:
    network = network_of()
    set_trainable(network, Freeze(first=share))
    names = [name for name, _ in network.backbone.named_parameters()]
    frozen = names[: round(share * len(names) - 0.499)]
    moved = changed_by_a_step(network)
    assert {name for name in names if f"backbone.{name}" not in moved} == set(frozen)


def test_a_whole_percentage_is_not_lost_to_rounding() -> None:
    backbone = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(100))
    assert len(frozen_names(backbone, Freeze(first=0.29))) == 29


def test_a_norm_whose_parameters_are_frozen_keeps_its_statistics() -> None:
    network = network_of()
    set_trainable(network, Freeze(blocks=("bn1",)))
    moved = changed_by_a_step(network)
    assert "backbone.conv_stem.weight" in moved
    assert not [name for name in moved if name.startswith("backbone.bn1.")]


def test_phases_follow_each_other() -> None:
    network = network_of()
    set_trainable(network, "all")
    changed_by_a_step(network)
    set_trainable(network, "head")
    assert all(p.grad is None for p in network.backbone.parameters())
    changed_by_a_step(network)
    set_trainable(network, "all")
    assert changed_by_a_step(network) >= {name for name, _ in network.named_parameters()}


def test_kept_batch_norms_learn_scales_but_no_statistics() -> None:
    network = network_of(head=Head())
    network.head = nn.Sequential(nn.BatchNorm1d(network.backbone.num_features), network.head)  # a new norm has to learn
    set_trainable(network, "all")
    kept = {name for name in network.state_dict() if name.startswith("backbone.") and "running" in name}
    moved = changed_by_a_step(network, "keep")
    assert kept and not moved & kept
    assert {"backbone.bn1.weight", "backbone.bn1.bias", "head.0.running_mean"} <= moved
    assert changed_by_a_step(network) >= kept


def test_an_unknown_block_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"did you mean `blocks\.0`"):
        set_trainable(network_of(), Freeze(blocks=("block.0",)))
    with pytest.raises(RecipeError, match="has no parameters"):
        set_trainable(network_of(), Freeze(blocks=("global_pool",)))


def test_what_a_model_keeps_constant_stays_constant() -> None:
    backbone = timm.create_model("test_resnet", num_classes=0)
    backbone.conv1[0].weight.requires_grad_(False)
    network = Network(backbone, nn.Linear(96, 2))
    set_trainable(network, "all")
    assert "backbone.conv1.0.weight" not in changed_by_a_step(network)


class TwoHalves(Network):
    """How a later network of two streams is made: one shared backbone, features of both halves side by side."""

    def features(self, inputs: dict[str, Tensor]) -> Tensor:
        left, right = inputs["image"].chunk(2, dim=3)
        return torch.cat([self.backbone(left), self.backbone(right)], dim=1)


def test_a_network_of_two_streams_is_only_a_new_part() -> None:
    network = TwoHalves(timm.create_model("test_resnet", num_classes=0), nn.Linear(192, 2))
    set_trainable(network, "head")
    assert changed_by_a_step(network) == {"head.weight", "head.bias"}
    set_trainable(network, Freeze(first=0.5))
    assert network(PHOTOS).shape == (4, 2)
