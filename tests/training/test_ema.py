"""The moving average against its formula, its context and its state."""

from pathlib import Path

import pytest
import torch
from torch import nn

from outfold.training.ema import Ema


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def train(model: nn.Module, ema: Ema, steps: int) -> list[torch.Tensor]:
    """Random steps; the first layer's weights after each."""
    path = []
    for _ in range(steps):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(2, 3, 8, 8))
        ema.update()
        path.append(model[0].weight.detach().clone())  # type: ignore[index]
    return path


def test_the_average_follows_its_formula() -> None:
    model = network()
    expected = model[0].weight.detach().clone()
    ema = Ema(model, decay=0.6)
    for number, weight in enumerate(train(model, ema, 20), start=1):
        decay = min(0.6, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * weight
    with ema.swap():
        torch.testing.assert_close(model[0].weight, expected)


def test_batch_norm_statistics_are_copied() -> None:
    model = network()
    ema = Ema(model, decay=0.99)
    train(model, ema, 3)
    live = {name: buffer.clone() for name, buffer in model.named_buffers()}
    assert int(live["1.num_batches_tracked"]) == 3
    with ema.swap():
        assert all(torch.equal(buffer, live[name]) for name, buffer in model.named_buffers())


def test_swap_gives_the_weights_back_even_after_an_error() -> None:
    model = network()
    ema = Ema(model, decay=0.9)
    train(model, ema, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(RuntimeError, match="in validation"), ema.swap():
        assert not torch.equal(model[0].weight, before["0.weight"])
        raise RuntimeError("in validation")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_validation_within_swap_does_not_move_the_average() -> None:
    model = network()
    ema = Ema(model, decay=0.9)
    train(model, ema, 2)
    with ema.swap():
        first = model[0].weight.detach().clone()
    with ema.swap():
        assert torch.equal(model[0].weight, first)


def test_an_optimiser_goes_on_with_the_live_weights_after_swap() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    ema = Ema(model, decay=0.9)
    with ema.swap():
        model.eval()(torch.ones(1, 3, 8, 8))
    before = model[0].weight.detach().clone()
    model(torch.ones(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    assert not torch.equal(model[0].weight, before)


def test_a_saved_average_goes_on_bit_for_bit(tmp_path: Path) -> None:
    model = network().to(memory_format=torch.channels_last)
    ema = Ema(model, decay=0.9)
    train(model, ema, 4)
    torch.save({"network": model.state_dict(), "ema": ema.state_dict()}, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)

    resumed = network().to(memory_format=torch.channels_last)
    resumed.load_state_dict(state["network"])
    again = Ema(resumed, decay=0.9)
    again.load_state_dict(state["ema"])
    for both in ((model, ema), (resumed, again)):
        torch.manual_seed(5)
        train(*both, 3)
    with ema.swap(), again.swap():
        assert torch.equal(model[0].weight, resumed[0].weight)
    assert again.updates == 7


def test_a_state_of_another_network_is_refused() -> None:
    other = Ema(nn.Linear(2, 2), decay=0.9)
    with pytest.raises(KeyError):
        Ema(network(), decay=0.9).load_state_dict(other.state_dict())
