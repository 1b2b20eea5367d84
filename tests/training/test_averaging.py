"""Means of weights against sums by hand, statistics of batch norms against torch's, soups against their recipe."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import update_bn

from outfold.training.averaging import greedy_soup, mean_of_states, reestimate_batch_norms


def test_the_mean_is_that_of_float64() -> None:
    generator = np.random.default_rng(0)
    arrays = generator.normal(size=(4, 3, 2)).astype(np.float32)
    mean = mean_of_states([{"weight": torch.from_numpy(array)} for array in arrays])["weight"]
    assert mean.dtype == torch.float32
    np.testing.assert_array_equal(mean.numpy(), arrays.astype(np.float64).mean(axis=0).astype(np.float32))


def test_small_numbers_survive_large_ones() -> None:
    states = [{"weight": torch.tensor([value])} for value in (1e8, 3.0, -1e8)]
    assert mean_of_states(states)["weight"].item() == 1.0
    half = [{"weight": torch.tensor([value], dtype=torch.float16)} for value in (60000.0, 60000.0, 3.0)]
    assert mean_of_states(half)["weight"].dtype == torch.float16
    assert mean_of_states(half)["weight"].item() == pytest.approx(40001, rel=1e-3)  # the sum alone is infinite


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=5), st.integers(1, 9))
def test_the_mean_of_equal_weights_is_these_weights(values: list[float], count: int) -> None:
    state = {"weight": torch.tensor(values)}
    mean = mean_of_states([state] * count)["weight"]
    assert torch.equal(mean, state["weight"])


def test_counters_are_the_newest_and_the_states_are_left_alone() -> None:
    states = [
        {"count": torch.tensor(k), "on": torch.tensor([k == 2]), "w": torch.ones(2).double() * k} for k in range(3)
    ]
    mean = mean_of_states(iter(states))
    assert (mean["count"].item(), mean["on"].item(), mean["w"].tolist()) == (2, True, [1, 1])
    assert list(mean) == ["count", "on", "w"]
    assert [state["w"][0].item() for state in states] == [0, 1, 2]


def test_states_of_different_networks_have_no_mean() -> None:
    with pytest.raises(ValueError, match="they differ in bias, weight"):
        mean_of_states([{"weight": torch.ones(2)}, {"weight": torch.ones(3), "bias": torch.ones(1)}])
    with pytest.raises(ValueError, match="no state"):
        mean_of_states([])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(4, 5, 3)]
    model = nn.Sequential(*layers, nn.BatchNorm2d(5, momentum=0.3), nn.Flatten(), nn.Linear(80, 6), nn.BatchNorm1d(6))
    for _ in range(3):
        model(torch.randn(4, 3, 8, 8) * 3 + 1)
    return model.eval()


BATCHES = [torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(k)) + k for k in range(5)]


def statistics(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.named_buffers()}


def test_batch_norms_learn_what_torch_makes_them_learn() -> None:
    ours, torchs = network(), network()
    norms = [module for module in ours if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert reestimate_batch_norms(norms, ours, BATCHES) == len(BATCHES)
    torchs[3] = nn.Identity()  # torch's lets dropout drop
    update_bn(BATCHES, torchs)
    for name, expected in torchs.named_buffers():
        torch.testing.assert_close(dict(ours.named_buffers())[name], expected)
    assert [norm.momentum for norm in norms] == [0.1, 0.3, 0.1]
    assert not any(module.training for module in ours.modules())


def test_a_frozen_norm_stays_as_it_is() -> None:
    model = network()
    before = statistics(model)
    reestimate_batch_norms([model[5]], model, BATCHES)
    changed = {name for name, tensor in model.named_buffers() if not torch.equal(tensor, before[name])}
    assert changed == {"5.running_mean", "5.running_var", "5.num_batches_tracked"}


def test_without_norms_nothing_is_read() -> None:
    assert reestimate_batch_norms([], lambda batch: pytest.fail("computed"), itertools.repeat(None)) == 0


def test_an_error_leaves_norms_in_eval_mode() -> None:
    model = network()

    def broken(batch: torch.Tensor) -> None:
        raise RuntimeError("in a batch")

    with pytest.raises(RuntimeError, match="in a batch"):
        reestimate_batch_norms([model[1]], broken, BATCHES)
    assert (model[1].training, model[1].momentum) == (False, 0.1)


def score_of(values: dict[str, float], *, tried: list[tuple[str, ...]] | None = None):
    def score(chosen):
        if tried is not None:
            tried.append(tuple(chosen))
        return sum(values[name] for name in chosen) / len(chosen)

    return score


def test_a_soup_takes_in_what_is_not_worse() -> None:
    tried: list[tuple[str, ...]] = []
    values = {"a": 0.8, "b": 0.8, "c": 0.7, "d": 0.9}
    assert greedy_soup("abcd", score_of(values, tried=tried)) == ["a", "b", "d"]
    assert tried == [("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "d")]


def test_a_soup_of_losses_goes_down() -> None:
    values = {"a": 0.3, "b": 0.4, "c": 0.2}
    assert greedy_soup("abc", score_of(values), greater_is_better=False) == ["a", "c"]


def test_a_score_that_is_no_number_is_not_taken_in() -> None:
    assert greedy_soup("ab", score_of({"a": 0.3, "b": float("nan")})) == ["a"]
    assert greedy_soup("a", score_of({"a": float("nan")})) == ["a"]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.booleans())
def test_a_soup_is_never_worse_than_its_first(values: list[float], greater: bool) -> None:
    names = dict(zip("abcdef", values, strict=False))
    score = score_of(names)
    chosen = greedy_soup(list(names), score, greater_is_better=greater)
    assert chosen[0] == "a"
    assert score(chosen) >= names["a"] if greater else score(chosen) <= names["a"]
