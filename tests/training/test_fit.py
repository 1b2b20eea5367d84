"""The training loop against loops written by hand, and its promises: frozen parts, ready features, accumulation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from outfold.models.network import Network, build_network
from outfold.settings.train import TrainSettings
from outfold.training.device import make_fabric
from outfold.training.examples import Examples, Split
from outfold.training.fit import Fit
from outfold.training.losses import build_loss
from outfold.training.validation import Judge
from outfold.views.batches import training_batches
from outfold.views.inputs import ImageInput, VectorInput

GENERATOR = np.random.default_rng(0)
PHOTOS = [GENERATOR.integers(0, 255, (16, 16, 3), dtype=np.uint8) for _ in range(24)]
ROWS = GENERATOR.normal(size=(24, 2)).astype(np.float32)
TARGET = np.eye(3, dtype=np.float32)[np.arange(24) % 3]
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


class Plain(nn.Module):
    """A backbone without norms or dropout, so that sums over batches can be split."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).relu().mean(dim=(2, 3))


def plain_network() -> Network:
    torch.manual_seed(0)
    return Network(Plain(), nn.Linear(8, 3))


def settings(**given: Any) -> TrainSettings:
    given.setdefault("phases", [{"name": "all", "epochs": 2, "lr": 0.05, "schedule": "constant"}])
    return TrainSettings.model_validate({"backbone": "x", "view": {"size": 16}, "batch_size": 8, **given})


def fitted(
    network: Network, folder: Path, chosen: TrainSettings, features: Callable[[Network], np.ndarray] | None = None
) -> Fit:
    fit = Fit(
        network=network,
        examples=Examples(
            ids=np.arange(24).astype(str).astype(object),
            inputs={
                "image": ImageInput(PHOTOS, chosen.view, chosen.augment, MEAN, STD),
                **({"table": VectorInput(ROWS)} if chosen.table is not None else {}),
            },
            target=TARGET,
        ),
        split=Split(np.arange(16), np.arange(16, 24)),
        settings=chosen,
        objective=build_loss(None, "multiclass", None),
        judge=Judge(lambda logits, rows: {"accuracy": float((logits.argmax(1) == TARGET[rows].argmax(1)).mean())}),
        fabric=make_fabric(torch.device("cpu")),
        folder=folder,
        key="key",
        seed=7,
        features=features,
    )
    fit.run()
    return fit


def normalised(rows: np.ndarray) -> torch.Tensor:
    images = torch.from_numpy(np.stack([PHOTOS[row] for row in rows])).permute(0, 3, 1, 2).float() / 255
    return (images - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def test_the_loop_is_plain_gradient_descent(tmp_path: Path) -> None:
    chosen = settings(optimizer={"name": "sgd", "momentum": 0.0, "weight_decay": 0.0})
    network = plain_network()
    fit = fitted(network, tmp_path, chosen)

    expected = plain_network()
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.05)
    losses = []
    for epoch in (1, 2):
        losses.append([])
        for rows in training_batches(np.arange(16), 8, (7, epoch)):
            logits = expected({"image": normalised(rows)})
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(TARGET[rows].argmax(1)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)
    assert [row["train_loss"] for row in fit.history] == pytest.approx([np.mean(values) for values in losses], rel=1e-5)
    with torch.no_grad():
        logits = expected({"image": normalised(np.arange(16, 24))})
        valid = nn.functional.cross_entropy(logits, torch.from_numpy(TARGET[16:].argmax(1))).item()
    assert fit.history[-1]["valid_loss"] == pytest.approx(valid, rel=1e-5)


def test_one_validation_at_the_end_leaves_the_same_weights(tmp_path: Path) -> None:
    often, once = plain_network(), plain_network()
    fitted(often, tmp_path / "often", settings(keep={"best": "last"}))
    fit = fitted(once, tmp_path / "once", settings(keep={"best": "last", "validate_after": "training"}))
    for name, tensor in often.state_dict().items():
        assert torch.equal(once.state_dict()[name], tensor)
    assert ["valid_loss" in row for row in fit.history] == [False, True]
    with pytest.raises(ValueError, match="best: last"):
        settings(keep={"validate_after": "training"}).keep.refuse_conflicts()


def test_accumulating_four_small_batches_is_one_large_batch(tmp_path: Path) -> None:
    sgd = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}
    phases = [{"name": "all", "epochs": 1, "lr": 0.1, "schedule": "constant"}]
    small, large = plain_network(), plain_network()
    fitted(small, tmp_path / "small", settings(batch_size=4, accumulate=4, optimizer=sgd, phases=phases))
    fitted(large, tmp_path / "large", settings(batch_size=16, optimizer=sgd, phases=phases))
    for name, tensor in large.state_dict().items():
        torch.testing.assert_close(small.state_dict()[name], tensor, rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped_to_the_norm(tmp_path: Path) -> None:
    sgd = {"name": "sgd", "momentum": 0.0, "weight_decay": 0.0}
    phases = [{"name": "all", "epochs": 1, "lr": 1.0, "schedule": "constant"}]
    network = plain_network()
    before = torch.cat([tensor.flatten() for tensor in network.state_dict().values()])
    fitted(network, tmp_path, settings(batch_size=16, clip_grad_norm=1e-3, optimizer=sgd, phases=phases))
    after = torch.cat([tensor.flatten() for tensor in network.state_dict().values()])
    assert (after - before).norm().item() == pytest.approx(1e-3, rel=1e-3)


def pretrained(**given: Any) -> tuple[Network, TrainSettings]:
    chosen = settings(backbone="test_efficientnet", weights="none", view={"size": 32}, **given)
    torch.manual_seed(0)
    return build_network(chosen, 3, table_inputs=ROWS.shape[1])[0], chosen


def test_a_head_phase_leaves_the_backbone_and_its_statistics(tmp_path: Path) -> None:
    network, chosen = pretrained(phases=[{"name": "head", "epochs": 2, "train": "head", "lr": 0.1}])
    before = {name: tensor.clone() for name, tensor in network.backbone.state_dict().items()}
    head = network.head.state_dict()["weight"].clone() if "weight" in network.head.state_dict() else None
    fitted(network, tmp_path, chosen)
    for name, tensor in network.backbone.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    assert head is None or not torch.equal(network.head.state_dict()["weight"], head)


@pytest.mark.parametrize("batch_norms", ["keep", "learn"])
def test_batch_norms_of_a_phase(batch_norms: str, tmp_path: Path) -> None:
    phase = {"name": "all", "epochs": 2, "lr": 0.01, "batch_norms": batch_norms}
    network, chosen = pretrained(phases=[phase], keep={"best": "last", "top": 2, "combine": "average"})
    before = {name: tensor.clone() for name, tensor in network.backbone.state_dict().items()}
    fitted(network, tmp_path, chosen)
    after = network.backbone.state_dict()
    same = {name for name in before if torch.equal(after[name], before[name])}
    statistics = {name for name in before if name.endswith(("running_mean", "running_var"))}
    assert statistics
    assert same & statistics == (statistics if batch_norms == "keep" else set())
    assert not {name for name in same if name.endswith("bn1.weight")}


@pytest.mark.parametrize("table", [None, {"numeric": ["age"], "widths": [8, 4]}])
def test_ready_features_train_the_same_head(table: dict[str, Any] | None, tmp_path: Path) -> None:
    """And the same table branch, which reads its rows beside them; also where the last epochs are averaged."""
    phase = {"name": "head", "epochs": 3, "train": "head", "lr": 0.1, "augment": False}
    keep = {"best": "last", "top": 2, "combine": "average"}
    # Not Adam, which blows up the noise of gradients that are 0, as those of a bias before a batch norm are.
    given = {"phases": [phase], "keep": keep, "table": table, "optimizer": {"name": "sgd", "momentum": 0.5}}

    def features(network: Network) -> np.ndarray:
        network.eval()
        rows = np.arange(24)
        images = torch.from_numpy(np.stack([PHOTOS[row] for row in rows]))
        source = ImageInput(PHOTOS, chosen.view, (), MEAN, STD)
        reader = source.reader(augment=False)
        images = torch.from_numpy(np.stack([reader(row, np.random.default_rng(0)) for row in rows]))
        with torch.no_grad():
            return network.features({"image": source.to_model(images)}).numpy()

    full, chosen = pretrained(**given)
    fresh = {name: tensor.clone() for name, tensor in full.state_dict().items()}
    fitted(full, tmp_path / "full", chosen)
    quick, _ = pretrained(**given)
    fitted(quick, tmp_path / "quick", chosen, features)
    learned = {name: tensor for name, tensor in full.state_dict().items() if not name.startswith("backbone.")}
    assert any(name.startswith("table.") for name in learned) == (table is not None)
    for name, tensor in learned.items():
        torch.testing.assert_close(quick.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)
        assert tensor.ndim < 2 or not torch.equal(tensor, fresh[name]), name


def test_every_epoch_sees_whole_batches_and_over_time_every_row() -> None:
    batches = [training_batches(np.arange(21), 8, (0, epoch)) for epoch in range(20)]
    assert all([len(batch) for batch in epoch] == [8, 8] for epoch in batches)
    assert all(len(np.unique(np.concatenate(epoch))) == 16 for epoch in batches)
    assert set(np.concatenate([np.concatenate(epoch) for epoch in batches])) == set(range(21))
    assert [len(batch) for batch in training_batches(np.arange(5), 8, (0, 0))] == [5]
