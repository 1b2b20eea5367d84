"""Which epochs' weights stay on disk."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from outfold.training.checkpoints import Keeper, load_state, save_state


def epochs_on_disk(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("epoch")) for path in folder.glob("*.safetensors"))


def go_through(keeper: Keeper, scores: list[float]) -> int:
    """Feed scores epoch by epoch; returns the epoch after which training stops."""
    for epoch, value in enumerate(scores, start=1):
        keeper.update(epoch, {"score": value}, {"weight": torch.full((2,), float(epoch))})
        keeper.prune()
        if keeper.should_stop(epoch):
            return epoch
    return len(scores)


@pytest.mark.parametrize(("greater", "best"), [(True, 3), (False, 1)])
def test_the_best_epoch_by_direction(greater: bool, best: int, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "score", greater)
    go_through(keeper, [0.1, 0.5, 0.9, 0.7])
    assert keeper.best_epoch == best
    assert epochs_on_disk(tmp_path) == [best]
    assert load_file(keeper.path(best))["weight"].tolist() == [best, best]


def test_top_epochs_stay_and_ties_go_to_the_earlier(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "score", top=2)
    go_through(keeper, [0.5, 0.9, 0.9, 0.1])
    assert epochs_on_disk(tmp_path) == [2, 3]
    assert keeper.best_epoch == 2


def test_the_last_epoch_when_nothing_is_watched(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, None, patience=1)
    assert go_through(keeper, [0.9, 0.1, 0.1]) == 3
    assert epochs_on_disk(tmp_path) == [3]


def test_patience_counts_epochs_without_a_better_score(tmp_path: Path) -> None:
    assert go_through(Keeper(tmp_path, "score", patience=2), [0.1, 0.5, 0.5, 0.4, 0.9]) == 4


def test_a_new_phase_has_its_own_patience(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "score", patience=2)
    go_through(keeper, [0.9, 0.5])
    assert not keeper.should_stop(3, phase_start=2)
    assert keeper.should_stop(4, phase_start=2)


def test_a_score_that_is_not_a_number_is_never_the_best(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, "score", greater_is_better=False)
    go_through(keeper, [float("nan"), 0.5, float("nan")])
    assert keeper.best_epoch == 2


def test_a_state_of_another_job_is_not_resumed(tmp_path: Path) -> None:
    save_state(tmp_path / "resume.pt", {"key": "a", "network": {"w": torch.ones(2)}})
    assert load_state(tmp_path / "resume.pt", "b") is None
    state = load_state(tmp_path / "resume.pt", "a")
    assert state is not None
    assert state["network"]["w"].tolist() == [1, 1]
