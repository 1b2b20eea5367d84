"""Which epochs' weights stay on disk."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from outfold.settings.learning import Keep
from outfold.training.checkpoints import Keeper, Watched, best_epochs, load_state, save_state

SCORE = Watched("score")
LOSS = Watched("loss", greater_is_better=False)


def epochs_on_disk(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("epoch")) for path in folder.glob("*.safetensors"))


def go_through(keeper: Keeper, scores: list[float], losses: list[float] | None = None) -> int:
    """Feed scores epoch by epoch; returns the epoch after which training stops."""
    history: Any = keeper.history
    for value, loss in zip(scores, losses or scores, strict=True):
        history.append({"epoch": len(history) + 1, "score": value, "loss": loss})
        keeper.save({"weight": torch.full((2,), float(len(history)))})
        keeper.prune()
        if keeper.should_stop():
            break
    return len(history)


@pytest.mark.parametrize(("greater", "best"), [(True, 3), (False, 1)])
def test_the_best_epoch_by_direction(greater: bool, best: int, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, (Watched("score", greater),))
    go_through(keeper, [0.1, 0.5, 0.9, 0.7])
    assert keeper.best_epoch == best
    assert epochs_on_disk(tmp_path) == [best]
    assert load_file(keeper.path(best))["weight"].tolist() == [best, best]


def test_top_epochs_stay_and_ties_go_to_the_earlier(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, (SCORE,), top=2)
    go_through(keeper, [0.5, 0.9, 0.9, 0.1])
    assert epochs_on_disk(tmp_path) == [2, 3]
    assert keeper.best_epoch == 2


def test_the_last_epochs_when_nothing_is_watched(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, patience=1)
    assert go_through(keeper, [0.9, 0.1, 0.1]) == 3
    assert epochs_on_disk(tmp_path) == [3]
    keeper = Keeper(tmp_path, top=2)
    go_through(keeper, [0.9, 0.1, 0.1, 0.4])
    assert epochs_on_disk(tmp_path) == [3, 4]
    assert (keeper.best_epoch, keeper.ranked) == (4, [4, 3])


def test_the_best_by_several_scores_stay_each_once(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, (LOSS, SCORE), top=2)
    go_through(keeper, [0.2, 0.6, 0.8, 0.3, 0.7], [0.1, 0.2, 0.9, 0.4, 0.3])
    assert keeper.kept == [1, 2, 3, 5]  # by loss 1 and 2, by score 3 and 5
    assert epochs_on_disk(tmp_path) == [1, 2, 3, 5]
    assert keeper.ranked == [1, 2, 5, 3]
    same = Keeper(tmp_path, (LOSS, SCORE), top=2, history=[{"epoch": 1, "score": 1.0, "loss": 0.0}])
    assert same.kept == [1]


VALUES = st.floats(-2, 2) | st.just(float("nan"))


@given(scores=st.lists(VALUES, min_size=1, max_size=12), top=st.integers(1, 4), greater=st.booleans())
def test_an_epoch_once_dropped_never_comes_back(scores: list[float], top: int, greater: bool) -> None:
    """What counts at the end is on disk at the end: it counted after every epoch since its own."""
    history = [{"epoch": epoch, "score": value} for epoch, value in enumerate(scores, start=1)]
    for score in (Watched("score", greater), None):
        final = best_epochs(history, score, top)
        assert len(final) == min(top, len(scores))
        for epoch in final:
            assert all(epoch in best_epochs(history[:end], score, top) for end in range(epoch, len(history) + 1))


def test_patience_counts_epochs_without_a_better_first_score(tmp_path: Path) -> None:
    assert go_through(Keeper(tmp_path, (SCORE,), patience=2), [0.1, 0.5, 0.5, 0.4, 0.9]) == 4
    falling = [0.5, 0.4, 0.3, 0.2, 0.1]
    assert go_through(Keeper(tmp_path, (SCORE, LOSS), patience=2), [0.1, 0.5, 0.5, 0.4, 0.9], falling) == 4


def test_a_new_phase_has_its_own_patience(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, (SCORE,), patience=2)
    go_through(keeper, [0.9, 0.5, 0.4])
    assert keeper.should_stop()
    assert not keeper.should_stop(phase_start=2)
    assert keeper.should_stop(phase_start=1)


def test_a_score_that_is_not_a_number_is_never_the_best(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, (Watched("score", False),))
    go_through(keeper, [float("nan"), 0.5, float("nan")])
    assert keeper.best_epoch == 2


def test_a_state_of_another_job_is_not_resumed(tmp_path: Path) -> None:
    save_state(tmp_path / "resume.pt", {"key": "a", "network": {"w": torch.ones(2)}})
    assert load_state(tmp_path / "resume.pt", "b") is None
    state = load_state(tmp_path / "resume.pt", "a")
    assert state is not None
    assert state["network"]["w"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"best": []}, "lists scores, each once"),
        ({"best": ["r2", "r2"]}, "lists scores, each once"),
        ({"best": ["last", "r2"]}, "stands alone"),
        ({"best": "last", "top": 2}, "leave them out"),
        ({"best": "last", "patience": 2}, "leave them out"),
        ({"best": ["last"], "combine": "greedy_soup"}, "watches none"),
        ({"best": "last", "combine": "average"}, "needs several epochs"),
        ({"combine": "average"}, "needs several epochs"),
        ({"combine": "greedy_soup", "best": "r2"}, "needs several epochs"),
        ({"validate_after": "training", "top": 3, "combine": "average"}, "set `best: last`"),
    ],
)
def test_what_cannot_be_kept_or_combined_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Keep.model_validate(given).refuse_conflicts()


@pytest.mark.parametrize(
    ("given", "kept", "left", "means"),
    [
        ({}, 1, 0, 0),
        ({"top": 3}, 3, 3, 0),
        ({"best": ["valid_loss"], "top": 3, "combine": "average"}, 3, 0, 1),
        ({"best": ["valid_loss", "r2"], "top": 3, "combine": "average"}, 6, 0, 1),
        ({"best": ["valid_loss", "r2"], "combine": "greedy_soup"}, 2, 0, 3),
        ({"best": ["valid_loss", "r2"]}, 2, 2, 0),
        ({"best": "last", "top": 4, "combine": "average", "validate_after": "training"}, 4, 0, 1),
    ],
)
def test_how_many_epochs_are_kept_and_left(given: dict[str, Any], kept: int, left: int, means: int) -> None:
    keep = Keep.model_validate(given)
    assert (keep.most_kept, keep.left_on_disk, keep.means) == (kept, left, means)
