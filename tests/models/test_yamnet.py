"""A real audio backbone through the ordinary path of weights: YAMNet as timm's mobilenetv1_100 with one channel."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from outfold.errors import WeightsError
from outfold.models.backbone import create_backbone
from outfold.models.freeze import backbone_batch_norms, set_train_mode, set_trainable
from outfold.models.network import Network, build_network
from outfold.settings.network import Weights
from outfold.settings.train import TrainSettings

OPTIONS = {"pad_type": "same", "act_layer": "relu"}
FRAMES, EVERY = 96, 48
"""Of a patch, and between the beginnings of two."""


@pytest.fixture(scope="module")
def weights(shared_data: Callable[[str], Path]) -> Weights:
    return Weights(source="file", path=str(shared_data("weights") / "yamnet_mobilenetv1_100.safetensors"))


def network_of(weights: Weights, outputs: int) -> Network:
    given = {"backbone": "mobilenetv1_100", "weights": weights, "backbone_options": OPTIONS}
    torch.manual_seed(0)
    return build_network(TrainSettings.model_validate(given), outputs, channels=1)[0]


def test_the_weights_fit_strictly(weights: Weights) -> None:
    report = create_backbone("mobilenetv1_100", weights, in_chans=1, options=OPTIONS).report
    assert report is not None
    assert report.left_out == ("classifier.bias", "classifier.weight")
    assert not report.adapted
    assert create_backbone("mobilenetv1_100", weights, options=OPTIONS).report.adapted == ("conv_stem.weight",)
    with pytest.raises(WeightsError, match="conv_stem"):
        create_backbone("mobilenetv1_125", weights, in_chans=1, options=OPTIONS)


def step(network: Network, optimizer: torch.optim.Optimizer, pictures: Tensor, target: Tensor) -> float:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network({"image": pictures}), target)
    loss.backward()
    optimizer.step()
    return loss.item()


def test_fine_tuning_keeps_the_statistics_of_its_batch_norms(weights: Weights) -> None:
    network = network_of(weights, 2)
    set_trainable(network, "all")
    set_train_mode(network, "keep")
    norms = backbone_batch_norms(network)
    before = [(norm.running_mean.clone(), norm.running_var.clone(), norm.weight.clone()) for norm in norms]
    generator = torch.Generator().manual_seed(0)
    pictures, target = torch.randn(8, 1, FRAMES, 64, generator=generator) - 3, torch.tensor([0, 1] * 4)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    losses = [step(network, optimizer, pictures, target) for _ in range(8)]
    assert losses[-1] < 0.5 * losses[0]
    for norm, (mean, variance, scale) in zip(norms, before, strict=True):
        assert torch.equal(norm.running_mean, mean)
        assert torch.equal(norm.running_var, variance)
        assert not torch.equal(norm.weight, scale)


def log_mel(waveform: np.ndarray, front_end: dict[str, np.ndarray]) -> np.ndarray:
    """YAMNet's own front end: float32 (n,) at 16 kHz -> float32 (frames, 64), with no padding."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 400)[::160]
    spectrum = np.abs(np.fft.rfft(frames * front_end["window"], 512))
    return np.log(spectrum @ front_end["mel_weight"].T + front_end["log_offset"]).astype(np.float32)


def patches(folder: Path, files: list[str], front_end: dict[str, np.ndarray]) -> Iterator[Tensor]:
    """Of each recording its patches (p, 1, 96, 64)."""
    import soundfile
    import soxr

    for file in files:
        waveform, rate = soundfile.read(folder / file, dtype="float32")
        picture = log_mel(soxr.resample(waveform, rate, 16_000), front_end)
        starts = range(0, len(picture) - FRAMES + 1, EVERY)
        yield torch.from_numpy(np.stack([picture[start : start + FRAMES] for start in starts]))[:, None]


@pytest.mark.slow
def test_a_linear_model_on_its_features_knows_sounds(weights: Weights, shared_data: Callable[[str], Path]) -> None:
    from sklearn.linear_model import RidgeClassifier

    folder = shared_data("esc10")
    table = pd.read_csv(folder / "labels.csv")
    with np.load(shared_data("weights") / "yamnet_frontend.npz") as stored:
        front_end = {name: stored[name] for name in stored.files}
    network = network_of(weights, 2).eval()
    with torch.inference_mode():
        features = np.stack(
            [
                network.features({"image": part}).mean(dim=0).numpy()
                for part in patches(folder, list(table["file"]), front_end)
            ]
        )
    right = []
    for fold in sorted(table["fold"].unique()):
        held_out = (table["fold"] == fold).to_numpy()
        model = RidgeClassifier(alpha=10.0).fit(features[~held_out], table["label"][~held_out])
        right.append(model.predict(features[held_out]) == table["label"][held_out])
    assert np.concatenate(right).mean() >= 0.97
