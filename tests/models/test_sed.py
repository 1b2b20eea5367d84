"""Attention over time: the formula against numpy, numbers that stay finite, and a network that is one of the family."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, logit, softmax

from outfold.errors import RecipeError
from outfold.models.backbone import create_backbone, refuse_size
from outfold.models.freeze import set_train_mode, set_trainable
from outfold.models.network import SedNetwork, build_network
from outfold.models.sed import SedHead, attended, frames_of
from outfold.settings.network import Weights
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.training.features import HeadOnly

PICTURES = {"image": torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))}
SED = {"backbone": "test_efficientnet", "weights": "none", "head": {"name": "sed", "dropout": 0.2}}


def sed_network(**settings: object) -> SedNetwork:
    torch.manual_seed(0)
    network, _ = build_network(TrainSettings.model_validate(SED | settings), outputs=4)
    assert isinstance(network, SedNetwork)
    return network


def test_a_clip_is_the_attended_mean_of_its_frames() -> None:
    generator = np.random.default_rng(0)
    scores, attention = generator.normal(0, 2, (2, 5, 7, 3))
    weight = softmax(np.tanh(attention), axis=1)
    expected = logit((weight * expit(scores)).sum(axis=1))
    found = attended(torch.from_numpy(scores), torch.from_numpy(attention))
    np.testing.assert_allclose(found.clip, expected, rtol=1e-12)
    np.testing.assert_allclose(found.frames, scores)
    np.testing.assert_allclose(found.attention, weight, rtol=1e-12)


def test_frames_of_one_score_give_that_score() -> None:
    scores = torch.linspace(-300, 300, 13)[:, None, None].expand(13, 6, 1)
    clip = attended(scores, torch.randn(13, 6, 1)).clip
    torch.testing.assert_close(clip, scores[:, 0])


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("sure", [-200.0, 200.0])
def test_sure_frames_leave_a_finite_logit_and_a_gradient(kind: torch.dtype, sure: float) -> None:
    scores = torch.full((1, 4, 2), sure, dtype=kind, requires_grad=True)
    clip = attended(scores, torch.zeros(1, 4, 2, dtype=kind)).clip
    torch.nn.functional.binary_cross_entropy_with_logits(clip, torch.full((1, 2), float(sure < 0))).backward()
    assert clip.dtype == torch.float32
    assert torch.isfinite(clip).all()
    assert scores.grad is not None
    assert (scores.grad.abs() > 0.1).all()


def test_frames_are_smoothed_as_in_panns() -> None:
    maps = np.random.default_rng(1).normal(size=(2, 3, 4, 6))
    mean = np.pad(maps.mean(axis=2), ((0, 0), (0, 0), (1, 1)))
    expected = np.empty((2, 6, 3))
    for place in range(6):
        around = mean[:, :, place : place + 3]
        inside = around[:, :, (place == 0) : 3 - (place == 5)]
        expected[:, place] = inside.max(axis=2) + around.sum(axis=2) / 3
    np.testing.assert_allclose(frames_of(torch.from_numpy(maps)), expected, rtol=1e-12)


def test_a_single_frame_is_enough() -> None:
    head = SedHead(8, 3)
    assert head(frames_of(torch.randn(2, 8, 5, 1))).shape == (2, 3)


def test_the_network_answers_for_clips_and_frames() -> None:
    network = sed_network().eval()
    with torch.no_grad():
        features = network.features(PICTURES)
        clip, frames, attention = network.clip_and_frames(PICTURES)
        assert torch.equal(network(PICTURES), clip)
        assert torch.equal(HeadOnly(network)({"features": features}), clip)
    maps = network.backbone.forward_features(PICTURES["image"])
    assert features.shape == (3, maps.shape[3], maps.shape[1])
    assert frames.shape == attention.shape == (3, maps.shape[3], 4)
    assert clip.shape == (3, 4)
    torch.testing.assert_close(attention.sum(dim=1), torch.ones(3, 4))


def test_frames_are_given_in_training_to_a_loss_that_looks_at_them() -> None:
    learning = sed_network(loss={"name": "bce", "frame_share": 0.5}, head={"name": "sed"})
    torch.manual_seed(0)
    features = torch.randn(3, 5, learning.head.hidden.in_features)
    for network in (learning, sed_network(loss={"name": "bce"}, head={"name": "sed"})):
        said = network.train().head.clip_and_frames(features)
        behind = HeadOnly(network)({"features": features})
        whole = torch.cat([said.clip[:, None], said.frames], dim=1)
        assert torch.equal(behind, whole if network is learning else said.clip)
        assert torch.equal(network.eval().logits(features, {}), said.clip)
        assert network(PICTURES).shape == (3, 4)


def test_time_runs_along_the_width() -> None:
    network = sed_network().eval()
    reversed_in_time, upside_down = ({"image": PICTURES["image"].flip(side)} for side in (3, 2))
    with torch.no_grad():
        ours = network.features(PICTURES)
        assert network.features(reversed_in_time).shape == ours.shape
        assert network.features({"image": PICTURES["image"].transpose(2, 3)}).shape[1] != ours.shape[1]
        assert not torch.allclose(network.features(upside_down), ours)


def test_phases_freeze_the_backbone_below_the_head() -> None:
    network = sed_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    set_trainable(network, "head")
    set_train_mode(network)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(PICTURES).square().sum().backward()
    optimizer.step()
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    parts = ("hidden", "attention", "score")
    assert moved == {f"head.{part}.{leaf}" for part in parts for leaf in ("weight", "bias")}


def test_backbones_keep_their_names_whatever_head_they_have() -> None:
    linear, _ = build_network(TrainSettings.model_validate(SED | {"head": {}}), outputs=4)
    assert linear.backbone.state_dict().keys() == sed_network().backbone.state_dict().keys()


def test_channels_last_maps_are_turned() -> None:
    with torch.device("meta"):
        module = create_backbone("swin_tiny_patch4_window7_224", Weights(source="none")).module
    refuse_size(module, "swin_tiny_patch4_window7_224", (224, 224), maps=True)


def test_tokens_are_no_map() -> None:
    network = sed_network(backbone="test_vit", view={"size": 64})
    with pytest.raises(RecipeError, match="makes no map of features"):
        network({"image": torch.randn(1, 3, 64, 64)})
    with pytest.raises(RecipeError, match="makes no map of features"):
        refuse_size(network.backbone, "test_vit", (64, 64), maps=True)


REFUSED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("rows of a table have none", {"table": {"numeric": ["age"], "widths": [4]}}, {}),
    ("does not go with view.tiles", {"view": {"size": 64, "tiles": [1, 2]}}, {}),
    ("has no effect on vectors", {"view": {"kind": "embedding", "vectors": ["v.parquet"]}, "backbone": None}, {}),
    ("this is a regression", {}, {"kind": "regression", "target": "amount", "metric": "rmse"}),
    ("`widths`", {"head": {"name": "sed", "widths": [4]}}, {}),
]


@pytest.mark.parametrize(("message", "stage", "task"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_has_no_frames_is_refused(
    tiny_recipe: dict[str, Any], message: str, stage: dict[str, Any], task: dict[str, Any]
) -> None:
    tiny_recipe["stages"]["fit"] |= {"head": {"name": "sed"}} | stage
    if task:
        tiny_recipe["task"] = task
    if stage.get("view", {}).get("kind") == "embedding":
        tiny_recipe["stages"]["fit"] |= {"weights": "hub", "augment": [], "predict": {}}
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(tiny_recipe)
