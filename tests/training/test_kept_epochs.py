"""What a training makes of the epochs it keeps, against means by hand; and that a kill changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import update_bn

from outfold.errors import RecipeError
from outfold.models.network import Network
from outfold.settings.train import TrainSettings
from outfold.training.checkpoints import Watched
from outfold.training.device import make_fabric
from outfold.training.examples import Examples, Split
from outfold.training.fit import Fit
from outfold.training.losses import build_loss
from outfold.training.validation import Judge
from outfold.views.batches import training_batches
from outfold.views.inputs import VectorInput

GENERATOR = np.random.default_rng(0)
VECTORS = GENERATOR.normal(size=(48, 6)).astype(np.float32) + 2
TARGET = (VECTORS[:, :1] * 2 - VECTORS[:, 1:2] + GENERATOR.normal(size=(48, 1))).astype(np.float32)
HELD_OUT = Split(np.arange(32), np.arange(32, 48))
ALL_TRAIN = Split(np.arange(48), np.arange(0))
LOSS, SCORE = Watched("valid_loss", greater_is_better=False), Watched("correlation")
State = dict[str, torch.Tensor]


def network() -> Network:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 8))
    return Network(body, nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 1)), input_name="vectors")


def settings(keep: dict[str, Any], epochs: int = 5, **given: Any) -> TrainSettings:
    given.setdefault("phases", [{"name": "all", "epochs": epochs, "lr": 0.05, "schedule": "constant"}])
    return TrainSettings.model_validate({"backbone": "x", "batch_size": 8, "keep": keep, **given})


def correlation(logits: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    return {"correlation": float(np.corrcoef(logits[:, 0], TARGET[rows, 0])[0, 1])}


def fit_of(folder: Path, chosen: TrainSettings, *watched: Watched, split: Split = HELD_OUT, **given: Any) -> Fit:
    values = {
        "network": network(),
        "examples": Examples(np.arange(48).astype(str).astype(object), {"vectors": VectorInput(VECTORS)}, TARGET),
        "split": split,
        "settings": chosen,
        "objective": build_loss(chosen.loss, "regression", None),
        "judge": Judge(correlation, watched),
        "fabric": make_fabric(torch.device("cpu")),
        "folder": folder,
        "key": "key",
        "seed": 3,
    }
    return Fit(**(values | given))


def weights_by_epoch(fit: Fit) -> list[State]:
    """Run a training; the weights that each epoch would keep."""
    found: list[State] = []

    def listen(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            with fit._averaged():
                found.append({name: tensor.clone() for name, tensor in fit.network.state_dict().items()})

    fit.emit = listen
    fit.run()
    return found


def mean_by_hand(states: list[State]) -> State:
    return {name: torch.stack([state[name].double() for state in states]).mean(0).float() for name in states[0]}


def assert_mean(fit: Fit, states: list[State], order: np.ndarray) -> None:
    """Parameters are the plain mean; statistics of norms are those that torch finds on these batches."""
    expected = network()
    expected.load_state_dict(mean_by_hand(states) | {k: v for k, v in states[-1].items() if not v.is_floating_point()})
    for name, tensor in expected.named_parameters():
        assert torch.equal(fit.network.state_dict()[name], tensor), name
    expected.backbone[3] = nn.Identity()  # torch's update lets dropout drop
    update_bn([{"vectors": torch.from_numpy(VECTORS[rows])} for rows in order], expected)
    for name, tensor in expected.named_buffers():
        torch.testing.assert_close(fit.network.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)


def order_of(split: Split) -> list[np.ndarray]:
    return training_batches(split.train, 8, (3, 0))


@pytest.mark.parametrize("ema", [None, 0.6])
def test_the_last_epochs_are_averaged_where_no_row_judges(ema: float | None, tmp_path: Path) -> None:
    chosen = settings({"best": "last", "top": 3, "combine": "average"}, ema=ema)
    fit = fit_of(tmp_path, chosen, split=ALL_TRAIN)
    states = weights_by_epoch(fit)
    assert_mean(fit, states[-3:], order_of(ALL_TRAIN))
    assert fit.combined is not None
    assert fit.combined.to_dict() == {"how": "average", "epochs": [3, 4, 5], "batches": 6, "before": {}, "scores": {}}
    assert not fit.network.training


def test_the_best_by_loss_and_by_score_are_averaged_each_once(tmp_path: Path) -> None:
    chosen = settings({"best": ["valid_loss", "correlation"], "top": 2, "combine": "average"}, epochs=8)
    fit = fit_of(tmp_path, chosen, LOSS, SCORE)
    states = weights_by_epoch(fit)
    by_loss = sorted(fit.history, key=lambda row: row["valid_loss"])[:2]
    by_score = sorted(fit.history, key=lambda row: -row["correlation"])[:2]
    epochs = sorted({row["epoch"] for row in by_loss + by_score})
    assert fit.combined is not None
    assert list(fit.combined.epochs) == epochs
    assert_mean(fit, [states[epoch - 1] for epoch in epochs], order_of(HELD_OUT))
    assert fit.keeper.best_epoch == by_loss[0]["epoch"]
    assert fit.combined.before == {name: by_loss[0][name] for name in ("valid_loss", "correlation")}


def test_the_score_told_is_that_of_the_weights_that_predict(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    chosen = settings({"best": "valid_loss", "top": 3, "combine": "average"})
    fit = fit_of(tmp_path, chosen, LOSS, emit=told.append)
    fit.run()
    with torch.no_grad():
        predicted = fit.network.eval()({"vectors": torch.from_numpy(VECTORS[32:])})
    (event,) = [event for event in told if event["event"] == "combined"]
    assert event["scores"]["correlation"] == pytest.approx(
        correlation(predicted.numpy(), HELD_OUT.valid)["correlation"]
    )
    expected = nn.functional.smooth_l1_loss(predicted, torch.from_numpy(TARGET[32:])).item()
    assert event["scores"]["valid_loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("watched", [LOSS, SCORE])
def test_a_soup_is_judged_as_it_predicts(watched: Watched, tmp_path: Path) -> None:
    chosen = settings({"best": watched.name, "top": 4, "combine": "greedy_soup"}, epochs=8)
    fit = fit_of(tmp_path, chosen, watched)
    states = weights_by_epoch(fit)
    assert fit.combined is not None
    sign = 1 if watched.greater_is_better else -1
    best = max(fit.history, key=lambda row: sign * row[watched.name])
    assert best["epoch"] in fit.combined.epochs
    assert sign * fit.combined.scores[watched.name] >= sign * best[watched.name]
    chosen_states = [states[epoch - 1] for epoch in fit.combined.epochs]
    if len(chosen_states) > 1:
        assert_mean(fit, chosen_states, order_of(HELD_OUT))


def test_frozen_norms_keep_their_statistics(tmp_path: Path) -> None:
    phases = [{"name": "head", "epochs": 3, "train": "head", "lr": 0.05}]
    chosen = settings({"best": "last", "top": 2, "combine": "average"}, phases=phases)
    fit = fit_of(tmp_path, chosen)
    fit.network.backbone(torch.from_numpy(VECTORS) * 3)  # statistics that no batch of these rows has
    before = {name: tensor.clone() for name, tensor in fit.network.backbone.state_dict().items()}
    head = fit.network.head.state_dict()["0.running_mean"].clone()
    fit.run()
    assert all(torch.equal(tensor, before[name]) for name, tensor in fit.network.backbone.state_dict().items())
    assert not torch.equal(fit.network.head.state_dict()["0.running_mean"], head)


def test_norms_of_an_earlier_phase_learn_anew_where_its_epochs_are_kept(tmp_path: Path) -> None:
    phases = [
        {"name": "all", "epochs": 2, "lr": 0.05, "schedule": "constant"},
        {"name": "head", "epochs": 1, "train": "head", "lr": 0.05, "schedule": "constant"},
    ]
    fit = fit_of(tmp_path, settings({"best": "last", "top": 2, "combine": "average"}, phases=phases))
    states = weights_by_epoch(fit)
    assert_mean(fit, states[-2:], order_of(HELD_OUT))
    alone = fit_of(tmp_path / "alone", settings({"best": "last"}, phases=phases))
    last = weights_by_epoch(alone)[-1]
    assert all(torch.equal(tensor, last[name]) for name, tensor in alone.network.state_dict().items())


def test_one_epoch_has_nothing_to_be_averaged_with(tmp_path: Path) -> None:
    chosen = settings({"best": "valid_loss", "top": 3, "combine": "average"}, epochs=1)
    fit = fit_of(tmp_path, chosen, LOSS)
    (state,) = weights_by_epoch(fit)
    assert all(torch.equal(tensor, state[name]) for name, tensor in fit.network.state_dict().items())
    assert fit.combined is not None
    assert (fit.combined.epochs, fit.combined.batches) == ((1,), 0)
    assert fit.combined.scores == pytest.approx(fit.combined.before)


def test_training_goes_on_from_given_weights_without_rows_that_judge(tmp_path: Path) -> None:
    first = fit_of(tmp_path / "first", settings({"best": "valid_loss", "top": 2, "combine": "average"}), LOSS)
    first.run()
    start = {name: tensor.clone() for name, tensor in first.network.state_dict().items()}
    on = network()
    on.load_state_dict(start)
    chosen = settings({"best": "last", "top": 2, "combine": "average"}, epochs=3)
    fit = fit_of(tmp_path / "on", chosen, split=ALL_TRAIN, network=on)
    states = weights_by_epoch(fit)
    assert_mean(fit, states[-2:], order_of(ALL_TRAIN))
    assert all("valid_loss" not in row for row in fit.history)
    moved = (states[0]["backbone.0.weight"] - start["backbone.0.weight"]).abs().max()
    assert 0 < moved < 0.5
    assert all(torch.equal(tensor, start[name]) for name, tensor in first.network.state_dict().items())


class Stop(BaseException):
    """Stands for a kill: nothing of outfold's own handles it."""


def stopping(name: str, count: int) -> Callable[[dict[str, Any]], None]:
    """An ear that stops the training at this many events of a name."""
    seen: list[str] = []

    def listen(event: dict[str, Any]) -> None:
        seen.append(event["event"])
        if seen.count(name) == count:
            raise Stop

    return listen


PLATEAU = [{"name": "all", "epochs": 6, "lr": 0.3, "schedule": "plateau", "plateau_patience": 0, "warmup_epochs": 0.5}]
RESTARTS = [{"name": "all", "epochs": 6, "lr": 0.1, "schedule": "warm_restarts", "restart_epochs": 1.5}]
BOTH = {"best": ["valid_loss", "correlation"], "top": 2, "combine": "average"}
SOUP = {"best": "correlation", "top": 3, "combine": "greedy_soup"}


@pytest.mark.parametrize("end", [("epoch", 1), ("epoch", 4), ("epoch", 6), ("combined", 1), ("work", 33)])
@pytest.mark.parametrize(
    ("keep", "watched", "given"),
    [(BOTH, (LOSS, SCORE), {"phases": PLATEAU, "ema": 0.7}), (SOUP, (SCORE,), {"phases": RESTARTS})],
    ids=["average", "soup"],
)
def test_a_kill_anywhere_changes_no_number(
    keep: dict[str, Any], watched: tuple[Watched, ...], given: dict[str, Any], end: tuple[str, int], tmp_path: Path
) -> None:
    chosen = settings(keep, **given)
    whole = fit_of(tmp_path / "whole", chosen, *watched)
    whole.run()
    assert len(whole.history) == 6
    with pytest.raises(Stop):
        fit_of(tmp_path / "killed", chosen, *watched, emit=stopping(*end)).run()
    again = fit_of(tmp_path / "killed", chosen, *watched)
    again.run()
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
    assert again.combined == whole.combined
    times = ("seconds", "images_per_second", "wait_share")
    told = [[{k: v for k, v in row.items() if k not in times} for row in fit.history] for fit in (whole, again)]
    assert told[0] == told[1]


def test_a_kill_before_combining_leaves_the_kept_epochs_on_disk(tmp_path: Path) -> None:
    fit = fit_of(tmp_path, settings(BOTH), LOSS, SCORE, emit=stopping("combined", 1))
    with pytest.raises(Stop):
        fit.run()
    on_disk = sorted(int(path.stem.removeprefix("epoch")) for path in tmp_path.glob("epoch*.safetensors"))
    assert on_disk == sorted(fit.keeper.kept)
    assert load_file(fit.keeper.path(on_disk[0])).keys() == fit.network.state_dict().keys()


def test_the_rate_falls_where_the_validation_loss_does_not(tmp_path: Path) -> None:
    phases = [{"name": "all", "epochs": 8, "lr": 0.4, "schedule": "plateau", "plateau_patience": 0, "final_lr": 0.2}]
    fit = fit_of(tmp_path, settings({"best": "last"}, phases=phases))
    fit.run()
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.4), factor=0.5, patience=0, min_lr=0.08
    )
    for row in fit.history:
        assert row["lr"] == pytest.approx(scheduler.get_last_lr()[0])
        scheduler.step(row["valid_loss"])
    assert fit.history[-1]["lr"] < 0.4


def test_what_follows_a_score_needs_rows_that_judge(tmp_path: Path) -> None:
    plateau = settings({"best": "last"}, phases=PLATEAU)
    with pytest.raises(RecipeError, match=r"follows the validation loss, but no row is held out"):
        fit_of(tmp_path, plateau, split=ALL_TRAIN)
    with pytest.raises(RecipeError, match=r"measured only when all is trained"):
        fit_of(tmp_path, settings({"best": "last", "validate_after": "training"}, phases=PLATEAU))
    with pytest.raises(RecipeError, match=r"cannot be kept by valid_loss, for no row is held out"):
        fit_of(tmp_path, settings({"best": "valid_loss"}), LOSS, split=ALL_TRAIN)


def half_precision(growth_interval: int) -> Fabric:
    """What `precision: fp16` sets up on a GPU, on the CPU, with a loss scale that grows soon."""
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0, growth_interval=growth_interval)
    return Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])


def test_the_loss_scale_of_fp16_goes_on_after_a_kill(tmp_path: Path) -> None:
    chosen = settings({"best": "last"}, epochs=3)
    whole = fit_of(tmp_path / "whole", chosen, fabric=half_precision(5))
    whole.run()
    killed = fit_of(tmp_path / "killed", chosen, fabric=half_precision(5), emit=stopping("epoch", 2))
    with pytest.raises(Stop):
        killed.run()
    again = fit_of(tmp_path / "killed", chosen, fabric=half_precision(2000))
    again.run()
    states = [fit.fabric.strategy.precision.state_dict() for fit in (whole, again)]
    assert states[0] == states[1]
    assert (states[0]["scale"], states[0]["_growth_tracker"]) == (64.0, 2)  # 12 steps, grown after 5 and 10
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
