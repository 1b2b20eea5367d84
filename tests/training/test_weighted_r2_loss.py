"""The loss 1 - R2 against the metric of that name, in the user's unit, and the weights of targets in other losses."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from outfold.data.target_space import TargetSpace
from outfold.errors import RecipeError
from outfold.metrics import score
from outfold.metrics.values import weighted_r_squared
from outfold.models.target_layer import units_of
from outfold.settings.learning import Loss
from outfold.settings.network import Outputs
from outfold.training.losses import LossFunction, build_loss, mse, smooth_l1, weighted_r2
from outfold.training.losses_of_values import mean_spread

WEIGHTS = (0.1, 0.1, 0.1, 0.2, 0.5)
COUNTS = torch.tensor(WEIGHTS, dtype=torch.float64)
NAMES = ("green", "dead", "clover", "gdm", "total")


def batch(seed: int, rows: int = 8) -> tuple[Tensor, Tensor]:
    """Predictions and targets of very different size, float64 (rows, 5)."""
    rng = np.random.default_rng(seed)
    target = rng.gamma(2.0, (10.0, 5.0, 1.0, 12.0, 20.0), (rows, 5))
    return torch.from_numpy(target + rng.normal(size=(rows, 5)) * (3, 2, 0.5, 4, 9)), torch.from_numpy(target)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rows", [1, 4, 50])
def test_it_is_one_minus_the_metric(seed: int, rows: int) -> None:
    output, target = batch(seed, rows)
    expected = 1 - score("weighted_r2", "regression", target.numpy(), output.numpy(), WEIGHTS)
    assert weighted_r2(output, target, target_weight=COUNTS).item() == pytest.approx(expected, rel=1e-12)
    alike = 1 - score("weighted_r2", "regression", target.numpy(), output.numpy())
    assert weighted_r2(output, target).item() == pytest.approx(alike, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_sample_weights_are_those_of_the_metric(seed: int) -> None:
    output, target = batch(seed)
    weight = np.random.default_rng(seed).uniform(0, 3, (8, 1))
    weight[2] = 0
    expected = 1 - weighted_r_squared(WEIGHTS)(target.numpy(), output.numpy())(weight)[0]
    loss = weighted_r2(output, target, torch.from_numpy(weight), target_weight=COUNTS)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    kept = torch.tensor([0, 1, 3, 4, 5, 6, 7])
    without = weighted_r2(output[kept], target[kept], torch.from_numpy(weight)[kept], target_weight=COUNTS)
    assert loss.item() == pytest.approx(without.item(), rel=1e-12)


def test_weights_belong_to_their_targets() -> None:
    output, target = batch(0)
    right = weighted_r2(output, target, target_weight=COUNTS)
    for turn in range(1, 5):
        assert not torch.isclose(weighted_r2(output, target, target_weight=COUNTS.roll(turn)), right, rtol=1e-3)
        shuffled = torch.arange(5).roll(turn)
        assert not torch.isclose(weighted_r2(output[:, shuffled], target, target_weight=COUNTS), right, rtol=1e-3)
        together = weighted_r2(output[:, shuffled], target[:, shuffled], target_weight=COUNTS[shuffled])
        torch.testing.assert_close(together, right)


def test_the_order_of_the_batch_is_of_no_account() -> None:
    output, target = batch(1)
    weight = torch.rand(8, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    plain = weighted_r2(output, target, weight, target_weight=COUNTS)
    torch.testing.assert_close(weighted_r2(output[order], target[order], weight[order], target_weight=COUNTS), plain)
    assert not torch.isclose(weighted_r2(output[order], target, weight, target_weight=COUNTS), plain, rtol=1e-3)


@pytest.mark.parametrize("outputs", [{}, {"scale": "none"}, {"log": True}, {"log": True, "scale": "none"}])
def test_errors_are_measured_in_the_users_unit(outputs: dict[str, Any]) -> None:
    _, target = batch(2, 40)
    output = target.numpy() * np.random.default_rng(0).uniform(0.7, 1.3, (40, 5))
    space = TargetSpace.fit(target.numpy(), NAMES, Outputs.model_validate(outputs))
    encoded = [torch.from_numpy(space.encode(values)) for values in (output, target.numpy())]
    loss = build_loss(Loss(name="weighted_r2"), "regression", target_weight=COUNTS.float(), units=units_of(space))
    expected = 1 - score("weighted_r2", "regression", target.numpy(), output, WEIGHTS)
    assert loss(*encoded, None).item() == pytest.approx(expected, rel=1e-4)


def test_its_gradient_is_that_of_finite_differences() -> None:
    output, target = batch(3, 4)
    space = TargetSpace.fit(target.numpy(), NAMES, Outputs(log=True))
    loss = partial(weighted_r2, target=target / 20, target_weight=COUNTS, units=units_of(space))
    assert torch.autograd.gradcheck(loss, ((output / 20).requires_grad_(),))


@pytest.mark.parametrize("value", [0.0, 7.5])
@pytest.mark.parametrize("least", [1e-8, 25.0])
def test_a_batch_without_spread_has_a_finite_loss_and_gradient(value: float, least: float) -> None:
    target = torch.full((4, 5), value)
    output = (target + 1).requires_grad_()
    loss = weighted_r2(output, target, target_weight=COUNTS.float(), least_spread=least)
    loss.backward()
    assert loss.item() == pytest.approx(1 / least, rel=1e-4)
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()
    assert weighted_r2(target, target, least_spread=least).item() == 0


def test_a_batch_without_weight_costs_nothing() -> None:
    output, target = (part.float() for part in batch(0))
    loss = weighted_r2(output.requires_grad_(), target, torch.zeros(8, 1))
    loss.backward()
    assert (loss.item(), output.grad.abs().max().item()) == (0, 0)


def test_the_least_spread_changes_no_ordinary_batch() -> None:
    output, target = batch(4, 6)
    floor = 1e-3 * mean_spread(batch(5, 300)[1], COUNTS)
    plain = weighted_r2(output, target, target_weight=COUNTS)
    assert weighted_r2(output, target, target_weight=COUNTS, least_spread=floor) == plain


def test_half_precision_is_computed_with_in_full() -> None:
    output, target = (part.float() for part in batch(6))
    half = output.half()
    assert weighted_r2(half, target) == weighted_r2(half.float(), target)


@pytest.mark.parametrize(("name", "plain"), [("smooth_l1", partial(smooth_l1, beta=2)), ("mse", mse)])
def test_weighted_targets_share_the_mean_over_all_cells(name: Any, plain: LossFunction) -> None:
    output, target = batch(7)
    columns = [plain(output[:, [place]], target[:, [place]]) for place in range(5)]
    expected = sum(w * column for w, column in zip(WEIGHTS, columns, strict=True)) / 5
    loss = Loss(name=name, target_weights=True, beta=2)
    function = build_loss(loss, "regression", target_weight=COUNTS)
    torch.testing.assert_close(function(output, target, None), expected)
    rows = torch.rand(8, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(function(output, target, rows), plain(output, target, rows * COUNTS))


def test_target_weights_are_used_where_they_are_asked_for() -> None:
    output, target = batch(8)
    for name, plain in (("smooth_l1", smooth_l1), ("mse", mse)):
        loss = build_loss(Loss(name=name), "regression", target_weight=COUNTS)
        assert loss(output, target, None) == plain(output, target)


def test_losses_that_cannot_be_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"loss\.target_weights"):
        build_loss(Loss(name="smooth_l1", target_weights=True), "regression")
    with pytest.raises(RecipeError, match=r"loss\.target_weights"):
        build_loss(Loss(name="bce", target_weights=True), "multilabel")
    with pytest.raises(RecipeError, match="does not fit a multiclass task"):
        build_loss(Loss(name="weighted_r2"), "multiclass")
