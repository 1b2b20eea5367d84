"""Parameter groups and optimisers against timm's and torch's."""

import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from outfold.errors import RecipeError
from outfold.models.freeze import set_trainable
from outfold.models.heads import LinearHead
from outfold.models.network import Network
from outfold.settings.learning import Freeze, Optimizer, Phase
from outfold.training.optim import build_optimizer, layers_below_head, parameter_groups


def network_of(name: str = "test_efficientnet") -> Network:
    backbone = timm.create_model(name, num_classes=0)
    return Network(backbone, LinearHead(backbone.head_hidden_size, 3))


def phase(**settings: object) -> Phase:
    return Phase.model_validate({"name": "all", "epochs": 1, **settings})


def by_parameter(network: Network, groups: list[dict]) -> dict[str, dict]:
    """The group of each parameter by its name; a parameter in two groups fails."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    found = [(names[id(parameter)], group) for group in groups for parameter in group["params"]]
    assert len(found) == len(dict(found))
    return dict(found)


def test_rates_by_part_and_no_decay_for_norms_and_biases() -> None:
    network = network_of()
    groups = parameter_groups(network, phase(lr={"backbone": 1e-5, "head": 1e-4}), weight_decay=0.05)
    assert [group["name"] for group in groups] == [
        "backbone.decay",
        "backbone.no_decay",
        "head.decay",
        "head.no_decay",
    ]
    found = by_parameter(network, groups)
    assert found.keys() == {name for name, _ in network.named_parameters()}
    for name, parameter in network.named_parameters():
        assert found[name]["lr"] == (1e-5 if name.startswith("backbone.") else 1e-4)
        assert found[name]["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0)


def test_position_embeddings_do_not_decay() -> None:
    network = network_of("test_vit")
    found = by_parameter(network, parameter_groups(network, phase(), weight_decay=0.05))
    assert network.backbone.pos_embed.ndim == 3
    assert found["backbone.pos_embed"]["weight_decay"] == 0.0


def test_frozen_parameters_are_left_out() -> None:
    network = network_of()
    set_trainable(network, Freeze(first=0.5))
    found = by_parameter(network, parameter_groups(network, phase(), weight_decay=0.0))
    assert found.keys() == {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    set_trainable(network, "head")
    groups = parameter_groups(network, phase(layer_decay=0.9), weight_decay=0.01)
    assert [group["name"] for group in groups] == ["head.decay", "head.no_decay"]


@pytest.mark.parametrize(
    "name", ["test_efficientnet", "test_resnet", "test_vit", "test_convnext", "efficientnet_lite0"]
)
def test_layer_decay_is_timms_of_the_full_model(name: str) -> None:
    full = timm.create_model(name, num_classes=3)
    expected = {
        id(parameter): group["lr_scale"]
        for group in param_groups_layer_decay(full, layer_decay=0.8)
        for parameter in group["params"]
    }
    expected = {name: expected[id(parameter)] for name, parameter in full.named_parameters()}
    network = network_of(name)
    found = by_parameter(network, parameter_groups(network, phase(lr=2e-3, layer_decay=0.8), weight_decay=0.01))
    for parameter, _ in network.backbone.named_parameters():
        assert found[f"backbone.{parameter}"]["lr"] == pytest.approx(2e-3 * expected[parameter])
    assert found["head.linear.weight"]["lr"] == 2e-3


def test_layer_decay_with_a_backbone_rate_starts_at_its_last_layer() -> None:
    network = network_of()
    groups = parameter_groups(network, phase(lr={"backbone": 1e-4, "head": 1e-2}, layer_decay=0.5), weight_decay=0.01)
    rates = [group["lr"] for group in groups if group["name"].startswith("backbone.")]
    assert max(rates) == 1e-4
    layers = layers_below_head(network.backbone)
    assert min(rates) == pytest.approx(1e-4 * 0.5 ** (max(layers.values()) - min(layers.values())))


def test_groups_run_from_the_input_to_the_head() -> None:
    groups = parameter_groups(network_of(), phase(lr=1.0, layer_decay=0.5), weight_decay=0.01)
    rates = [group["lr"] for group in groups]
    assert rates == sorted(rates)
    assert groups[0]["name"] == "backbone.layer000.decay"
    assert groups[-1]["name"] == "head.no_decay"


def test_layer_decay_needs_known_layers() -> None:
    network = Network(nn.Linear(4, 4), nn.Linear(4, 2))
    with pytest.raises(RecipeError, match="layers of Linear are not known"):
        parameter_groups(network, phase(layer_decay=0.9), weight_decay=0.01)


def test_a_backbone_without_parameters_has_a_head_to_train() -> None:
    network = Network(nn.Identity(), nn.Linear(4, 2), input_name="embedding")
    assert [group["name"] for group in parameter_groups(network, phase(), 0.01)] == ["head.decay", "head.no_decay"]


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_fused_steps_are_those_of_the_plain_optimiser(name: str) -> None:
    def trained(fused: bool | None) -> torch.Tensor:
        torch.manual_seed(0)
        layer = nn.Linear(5, 3)
        optimizer = build_optimizer(
            Optimizer(name=name, betas=(0.8, 0.95)),
            [{"params": list(layer.parameters()), "lr": 0.01, "weight_decay": 0.1, "name": "all"}],
            fused=fused,
        )
        assert optimizer.defaults["fused"] == (fused is None)
        for _ in range(5):
            layer(torch.ones(2, 5)).square().sum().backward()
            optimizer.step()
        return layer.weight.detach()

    torch.testing.assert_close(trained(None), trained(False))


def test_optimisers_take_their_settings() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": 0.1, "weight_decay": 0.0, "name": "all"}]
    assert isinstance(build_optimizer(Optimizer(name="adamw"), groups), torch.optim.AdamW)
    assert build_optimizer(Optimizer(name="adam", betas=(0.7, 0.8)), groups).defaults["betas"] == (0.7, 0.8)
    assert build_optimizer(Optimizer(name="sgd", momentum=0.5), groups).defaults["momentum"] == 0.5
