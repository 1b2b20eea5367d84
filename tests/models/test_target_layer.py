"""The last layer of a regression: signs and sums inside the network, on the scale that the loss sees."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from outfold.data.target_space import TargetSpace
from outfold.models.network import Network, build_network
from outfold.models.target_layer import TargetLayer, target_layer, units_of
from outfold.settings.network import Outputs
from outfold.settings.train import TrainSettings

TARGETS = ("green", "dead", "clover", "gdm", "total")
SUMS = {"gdm": ("green", "clover"), "total": ("gdm", "dead")}
GRAMS = np.random.default_rng(0).gamma(2.0, (10.0, 5.0, 2.0, 12.0, 17.0), (60, 5)).astype(np.float32)
GRAMS[:, 3] = GRAMS[:, 0] + GRAMS[:, 2]
GRAMS[:, 4] = GRAMS[:, 3] + GRAMS[:, 1]
RAW = 4 * torch.randn(50, 5, generator=torch.Generator().manual_seed(0))


def space_of(**outputs: object) -> TargetSpace:
    return TargetSpace.fit(GRAMS, TARGETS, Outputs.model_validate(outputs), SUMS)


@pytest.mark.parametrize("outputs", [{}, {"log": True}, {"sqrt": True}, {"positive": "clip"}, {"identities": "derive"}])
def test_most_outputs_need_no_layer(outputs: dict[str, object]) -> None:
    assert target_layer(space_of(**outputs)) is None
    assert target_layer(None) is None


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_softplus_of_the_deviation_is_never_negative(scale: str) -> None:
    space = space_of(positive="softplus", scale=scale)
    outputs = TargetLayer(space)(RAW)
    std = torch.tensor(GRAMS.std(axis=0)) if scale == "standard" else torch.ones(5)
    values = units_of(space)(outputs)
    torch.testing.assert_close(values, F.softplus(RAW) * std, rtol=1e-5, atol=1e-4)
    assert space.decode(outputs.numpy()).min() >= 0
    torch.testing.assert_close(torch.from_numpy(space.decode(outputs.numpy())), values, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("positive", ["none", "softplus"])
@pytest.mark.parametrize("scale", ["standard", "none"])
def test_sums_are_made_inside(positive: str, scale: str) -> None:
    space = space_of(positive=positive, scale=scale, identities="construct")
    outputs = TargetLayer(space)(RAW[:, :3])
    assert outputs.shape == (50, 5)
    green, dead, clover, gdm, total = units_of(space)(outputs).T
    torch.testing.assert_close(gdm, green + clover, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(total, green + dead + clover, rtol=1e-5, atol=1e-4)
    values = space.decode(outputs.numpy())
    np.testing.assert_array_equal(values[:, 3], values[:, 0] + values[:, 2])
    np.testing.assert_array_equal(values[:, 4], values[:, 3] + values[:, 1])
    np.testing.assert_allclose(values, units_of(space)(outputs).numpy(), rtol=1e-5, atol=1e-4)


def test_the_parts_are_standardised_as_without_the_layer() -> None:
    outputs = TargetLayer(space_of(identities="construct"))(RAW[:, :3])
    torch.testing.assert_close(outputs[:, :3], RAW[:, :3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_left_behind(dtype: torch.dtype) -> None:
    layer = TargetLayer(space_of(positive="softplus", identities="construct"))
    half = RAW[:, :3].to(dtype)
    torch.testing.assert_close(layer(half), layer(half.float()), rtol=0, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(layer(half), layer(half.float()), rtol=0, atol=0)


def test_every_part_learns_from_every_sum() -> None:
    raw = RAW[:, :3].clone().requires_grad_()
    TargetLayer(space_of(positive="softplus", identities="construct"))(raw)[:, 4].sum().backward()
    assert raw.grad is not None
    assert (raw.grad > 0).all()


@pytest.mark.parametrize("curve", [{}, {"log": True}, {"sqrt": True}])
@pytest.mark.parametrize("scale", ["standard", "none"])
def test_the_way_back_equals_decoding(curve: dict[str, bool], scale: str) -> None:
    space = space_of(**curve, scale=scale)
    outputs = space.encode(GRAMS)
    wild = 3 * RAW
    np.testing.assert_allclose(units_of(space)(wild).numpy(), space.decode(wild.numpy()), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(units_of(space)(torch.from_numpy(outputs)).numpy(), GRAMS, rtol=1e-5, atol=1e-5)


def network(space: TargetSpace | None) -> Network:
    torch.manual_seed(0)
    settings = TrainSettings.model_validate({"backbone": "test_efficientnet", "weights": "none"})
    return build_network(settings, 5, space=space)[0].eval()


def test_a_network_with_the_layer_has_a_smaller_head_and_the_same_kind_of_answer() -> None:
    space = space_of(positive="softplus", identities="construct")
    made = network(space)
    assert made.head.linear.out_features == 3
    inputs = {"image": torch.randn(2, 3, 32, 32)}
    torch.testing.assert_close(made(inputs), TargetLayer(space)(made.head(made.features(inputs))))
    assert made(inputs).shape == (2, 5)


def test_weights_hold_nothing_of_the_layer() -> None:
    """Its numbers are a fold's; weights that another fold starts from must not bring them along."""
    softplus = network(space_of(positive="softplus"))
    assert set(softplus.state_dict()) == set(network(None).state_dict())
    other = TargetSpace.fit(2 * GRAMS, TARGETS, Outputs(positive="softplus"), SUMS)
    moved = network(other)
    moved.load_state_dict(softplus.state_dict())
    assert moved.last is not None
    assert torch.equal(moved.last.std, 2 * softplus.last.std)
