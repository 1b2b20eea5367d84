"""Heads against their definitions."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from outfold.models.heads import LinearHead, MlpHead, MlpPerOutput, MultiSampleDropoutHead, build_head
from outfold.settings.network import Head

FEATURES = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))


def test_linear_head_is_dropout_and_a_linear_layer() -> None:
    head = LinearHead(16, 3, dropout=0.4)
    torch.manual_seed(1)
    given = head(FEATURES)
    torch.manual_seed(1)
    expected = F.linear(F.dropout(FEATURES, 0.4), head.linear.weight, head.linear.bias)
    torch.testing.assert_close(given, expected)


def test_multi_sample_dropout_averages_the_logits_of_its_copies() -> None:
    head = MultiSampleDropoutHead(16, 3, dropout=0.5, copies=5)
    torch.manual_seed(1)
    given = head(FEATURES)
    torch.manual_seed(1)
    copies = F.dropout(FEATURES.expand(5, 6, 16), 0.5)
    torch.testing.assert_close(given, torch.stack([head.linear(copy) for copy in copies]).mean(dim=0))


def test_heads_are_equal_in_evaluation_and_share_weights() -> None:
    linear = LinearHead(16, 3, dropout=0.5).eval()
    multi = MultiSampleDropoutHead(16, 3).eval()
    multi.load_state_dict(linear.state_dict())
    assert torch.equal(linear(FEATURES), multi(FEATURES))


def test_more_copies_make_less_noise() -> None:
    def spread(copies: int) -> float:
        torch.manual_seed(0)
        head = MultiSampleDropoutHead(16, 1, 0.5, copies)
        return torch.stack([head(FEATURES[:1]) for _ in range(400)]).std().item()

    assert spread(5) == pytest.approx(spread(1) / 5**0.5, rel=0.25)


def test_build_head_follows_the_recipe() -> None:
    head = build_head(Head(name="multi_sample_dropout", dropout=0.3, copies=7), 16, 3)
    assert isinstance(head, MultiSampleDropoutHead)
    assert (head.dropout, head.copies) == (0.3, 7)
    assert type(build_head(Head(), 16, 3)) is LinearHead


def test_an_mlp_is_its_layers_in_a_row() -> None:
    head = build_head(Head(name="mlp", widths=(8, 4), dropout=(0.4, 0.3)), 16, 3)
    assert isinstance(head, MlpHead)
    kinds = [nn.Linear, nn.ReLU, nn.Dropout]
    assert [type(layer) for layer in head.layers] == [*kinds, *kinds, nn.Linear]
    assert [layer.p for layer in head.layers if isinstance(layer, nn.Dropout)] == [0.4, 0.3]
    assert [tuple(one.weight.shape) for one in head.layers if isinstance(one, nn.Linear)] == [(8, 16), (4, 8), (3, 4)]


def separate(head: MlpPerOutput, place: int) -> nn.Sequential:
    """The layers of one output as modules of their own."""
    layers: list[nn.Module] = []
    for one in head.layers:
        linear = nn.Linear(one.weight.shape[2], one.weight.shape[1])
        linear.load_state_dict({"weight": one.weight[place], "bias": one.bias[place]})
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_an_mlp_per_output_is_one_network_each() -> None:
    head = build_head(Head(name="mlp", widths=(8, 4), dropout=0.3, per_output=True), 16, 5)
    assert isinstance(head, MlpPerOutput)
    assert (head.outputs, head.dropout) == (5, (0.3, 0.3))
    each = [separate(head, place) for place in range(5)]
    given, expected = head.eval()(FEATURES), torch.cat([one(FEATURES) for one in each], dim=1)
    torch.testing.assert_close(given, expected)
    given[:, 2].square().sum().backward()
    expected[:, 2].square().sum().backward()
    for layer, linear in zip(head.layers, (each[2][0], each[2][2], each[2][4]), strict=True):
        torch.testing.assert_close(layer.weight.grad[2], linear.weight.grad)
        torch.testing.assert_close(layer.bias.grad[2], linear.bias.grad)
        assert not layer.weight.grad[[0, 1, 3, 4]].any()


def test_an_mlp_per_output_drops_other_units_for_each_output() -> None:
    head = MlpPerOutput(16, 2, (4000,), (0.5,))
    with torch.no_grad():
        for layer in head.layers:
            layer.weight.fill_(1e-2)
            layer.bias.zero_()
        torch.manual_seed(0)
        first, second = head(torch.ones(1, 16))[0]
        whole = head.eval()(torch.ones(1, 16))[0, 0]
    assert first != second
    assert first.item() == pytest.approx(whole.item(), rel=0.1)


def test_separate_layers_start_as_torch_starts_a_linear_layer() -> None:
    torch.manual_seed(0)
    ours = MlpPerOutput(64, 3, (500,), (0.0,)).layers[0]
    reference = nn.Linear(64, 1500)
    for own, theirs in ((ours.weight, reference.weight), (ours.bias, reference.bias)):
        assert own.abs().max().item() <= 1 / 8
        assert own.std().item() == pytest.approx(theirs.std().item(), rel=0.05)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "mlp"},
        {"widths": [8]},
        {"per_output": True},
        {"dropout": [0.1, 0.2]},
        {"name": "mlp", "widths": [8, 4], "dropout": [0.1]},
        {"copies": 3},
        {"name": "mlp", "widths": [8], "copies": 3},
    ],
)
def test_settings_of_another_head_are_refused(settings: dict[str, object]) -> None:
    head = Head.model_validate(settings)  # a member's, which has the rest from its stage
    with pytest.raises(ValueError, match="name: "):
        head.refuse_conflicts()
