"""Learning rates over a phase against torch's schedulers and closed forms."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR, ReduceLROnPlateau

from outfold.settings.learning import Phase
from outfold.settings.train import TrainStage
from outfold.training.schedules import Schedule, lr_factor, plateau, warm_restarts


def phase(**given: Any) -> Phase:
    return Phase.model_validate({"name": "all", "epochs": 1, **given})


def one_weight(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=lr)


def test_cosine_after_a_linear_warm_up() -> None:
    factors = [lr_factor("cosine", step, 100, 10, 0.1) for step in range(100)]
    assert factors[:11] == pytest.approx([0.01 + 0.99 * step / 10 for step in range(11)])
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * (step - 10) / 90)) / 2 for step in range(10, 100)]
    assert factors[10:] == pytest.approx(expected)


def test_cosine_is_torchs() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=2.0)
    scheduler = CosineAnnealingLR(optimizer, T_max=50, eta_min=0.2)
    for step in range(50):
        assert 2 * lr_factor("cosine", step, 50, 0, 0.1) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(("total", "rise"), [(100, 30), (100, 10), (7, 3)])
def test_one_cycle_is_torchs(total: int, rise: int) -> None:
    final = 1 / (25 * 1e4)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0, momentum=0.9)
    scheduler = OneCycleLR(optimizer, max_lr=2.0, total_steps=total, pct_start=rise / total)
    for step in range(total):
        warmup = 0 if (total, rise) == (100, 30) else rise  # 30% is what no warm-up means
        assert 2 * lr_factor("one_cycle", step, total, warmup, final) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        if step < total - 1:
            scheduler.step()


def test_constant_stays_at_the_peak() -> None:
    factors = [lr_factor("constant", step, 10, 2) for step in range(10)]
    assert factors == pytest.approx([0.01, 0.505] + [1.0] * 8)


@given(
    schedule=st.sampled_from(["cosine", "one_cycle", "constant"]),
    total=st.integers(1, 60),
    warmup=st.integers(0, 80),
    final=st.floats(0, 1),
    data=st.data(),
)
def test_every_step_of_every_schedule_is_a_share(
    schedule: str, total: int, warmup: int, final: float, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, total - 1))
    assert 0 <= lr_factor(schedule, step, total, warmup, final) <= 1 + 1e-9


def test_a_step_outside_the_phase_is_refused() -> None:
    for step in (-1, 10):
        with pytest.raises(ValueError, match="outside a phase of 10 steps"):
            lr_factor("cosine", step, 10)
    with pytest.raises(ValueError, match="unknown schedule"):
        lr_factor("linear", 0, 10)


@pytest.mark.parametrize(("first", "factor"), [(3, 1), (3, 2), (1, 2), (2, 3)])
def test_warm_restarts_are_torchs_stepped_by_fractions_of_an_epoch(first: int, factor: int) -> None:
    optimizer = one_weight(2.0)
    scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=first, T_mult=factor, eta_min=0.2)
    given = phase(
        epochs=20, schedule="warm_restarts", restart_epochs=first, restart_factor=factor, final_lr=0.1, lr=2.0
    )
    for epoch in range(20):
        for number in range(7):
            scheduler.step(epoch + number / 7)
            expected = scheduler.get_last_lr()[0]
            assert 2 * Schedule(given, 7).share(7 * epoch + number) == pytest.approx(expected), (epoch, number)


def test_warm_restarts_begin_at_the_peak_after_the_warm_up() -> None:
    given = phase(epochs=9, schedule="warm_restarts", restart_epochs=2, warmup_epochs=1.5)
    shares = [Schedule(given, 4).share(step) for step in range(36)]
    assert shares[:6] == pytest.approx([0.01 + 0.99 * step / 6 for step in range(6)])
    assert shares[6:] == [warm_restarts(step, 8) for step in range(30)]
    assert [step for step, share in enumerate(shares) if share == 1] == [6, 14, 30]


def test_stretches_of_broken_lengths_begin_at_the_peak_too() -> None:
    shares = [warm_restarts(step, 3, 1.5, final_lr=0.25) for step in range(14)]
    assert [step for step, share in enumerate(shares) if share == 1] == [0, 3, 7]  # 3, round(4.5) = 4, round(6.75) = 7
    assert min(shares) > 0.25
    tiny = phase(epochs=2, schedule="warm_restarts", restart_epochs=0.01, restart_factor=1)
    assert [Schedule(tiny, 5).share(step) for step in range(10)] == [1.0] * 10


LOSSES = st.floats(0, 10) | st.sampled_from([1.0, 1.0 - 5e-5, float("nan"), float("inf")])


@given(
    losses=st.lists(LOSSES, max_size=30),
    factor=st.floats(0.05, 0.95),
    patience=st.integers(0, 5),
    floor=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
)
def test_plateau_is_torchs(losses: list[float], factor: float, patience: int, floor: float) -> None:
    optimizer = one_weight(1.0)
    scheduler = ReduceLROnPlateau(optimizer, factor=factor, patience=patience, min_lr=floor, eps=0)
    for count in range(len(losses) + 1):
        assert plateau(losses[:count], factor, patience, floor) == optimizer.param_groups[0]["lr"]
        if count < len(losses):
            scheduler.step(losses[count])


def test_a_plateau_lowers_the_rate_of_the_epochs_after_it() -> None:
    given = phase(epochs=9, schedule="plateau", plateau_patience=1, plateau_factor=0.1, final_lr=0.05)
    losses = [1.0, 0.5, 0.6, 0.7, 0.4, 0.5, 0.5, 0.5]
    shares = [Schedule(given, 3).after(losses[:epoch]).share(3 * epoch + 1) for epoch in range(9)]
    assert shares == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.05, 0.05])


def test_a_plateau_counts_no_epoch_that_still_warms_up() -> None:
    given = phase(epochs=5, schedule="plateau", plateau_patience=0, warmup_epochs=1.5)
    first = Schedule(given, 2)
    assert [first.share(step) for step in range(3)] == pytest.approx([0.01, 0.34, 0.67])
    losses = [0.1, 0.2, 0.9, 0.8]  # those of epochs 0 and 1 would have been a plateau already
    assert [first.after(losses[:epoch]).share(2 * epoch + 1) for epoch in range(1, 5)] == [1, 1, 1, 1]
    assert first.after([0.1, 0.2, 0.9, 0.9]).share(8) == 0.5


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"restart_epochs": 5}, "`restart_epochs` is for `schedule: warm_restarts`"),
        ({"restart_factor": 1, "schedule": "plateau"}, "`restart_factor` is for `schedule: warm_restarts`"),
        ({"plateau_patience": 2, "schedule": "warm_restarts"}, "`plateau_patience` is for `schedule: plateau`"),
        ({"final_lr": 0.1, "schedule": "constant"}, "`final_lr` means nothing"),
        ({"batch_norms": "keep", "train": "head"}, "keeps its batch norms anyway"),
    ],
)
def test_settings_without_effect_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        phase(**given)


def test_a_plateau_needs_a_validation_after_every_epoch() -> None:
    stage = {
        "kind": "train",
        "backbone": "x",
        "phases": [{"name": "all", "epochs": 3, "schedule": "plateau"}],
        "keep": {"best": "last", "validate_after": "training"},
        "members": {"a": {}},
    }
    with pytest.raises(ValidationError, match="phase 'all': `schedule: plateau` follows the validation loss"):
        TrainStage.model_validate(stage)
    TrainStage.model_validate(stage | {"members": {"a": {"keep": {"validate_after": "epoch"}}}})
