"""Features of a frozen backbone, computed once for all rows and kept on disk, and the network behind them."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from lightning_fabric import Fabric
from torch import Tensor, nn

from outfold.data.cache import default_cache_folder
from outfold.files import write_atomically
from outfold.inference.predict import Predictor
from outfold.models.network import Network
from outfold.settings.train import TrainSettings
from outfold.views.inputs import Input


class HeadOnly(nn.Module):
    """A network seen from behind its backbone: the input `features` stands for the photos."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Features (b, f) of the backbone and the network's other inputs -> logits (b, k)."""
        return self.network.logits(inputs["features"], inputs)


def frozen_features(
    network: Network,
    inputs: Mapping[str, Input],
    count: int,
    content: Sequence[str],
    identity: str,
    settings: TrainSettings,
    fabric: Fabric,
    workers: int,
) -> np.ndarray:
    """Features of every row's plain view, float32 (count, f), or (count, t, f) of a head that attends to frames.

    The file they are kept in is named by a hash of the backbone's weights and options, the kind of features, the view
    and the media's contents, so nothing stale is ever read.

    Args:
        network: its backbone computes the features, in eval mode.
        inputs: by name, how rows become model input; the backbone's own is read alone.
        count: rows of the table.
        content: keys of the rows' photos: of their contents, and of the boxes that they are cut to.
        identity: what else decides the model's input: how photos are prepared and normalised.
        settings: view, precision and batch size of the member.
        fabric: device and precision.
        workers: threads that read samples.
    """
    made_by = [type(network).__name__, repr(sorted(settings.backbone_options.items()))]
    seen_as = [identity, settings.view.model_dump_json(), settings.precision, str(fabric.device)]
    key = _key(network.backbone, content, [*seen_as, *made_by])
    path = default_cache_folder() / "features" / f"{key}.npy"
    if path.exists():
        return np.load(path, allow_pickle=False)

    def forward(tensors: dict[str, Tensor]) -> Tensor:
        with fabric.autocast():
            return network.features(tensors)

    network.eval()
    own = {network.input_name: inputs[network.input_name]}
    predictor = Predictor(own, batch_size=2 * settings.batch_size, device=fabric.device, workers=workers)
    features, _ = predictor(forward, np.arange(count))
    write_atomically(path, lambda part: np.save(part, features))
    return features


def _key(backbone: nn.Module, content: Sequence[str], parts: Sequence[str]) -> str:
    hasher = hashlib.blake2b(digest_size=16)
    hasher.update("\n".join([*parts, *content]).encode())
    for name, tensor in backbone.state_dict().items():
        hasher.update(name.encode())
        hasher.update(tensor.detach().cpu().numpy().tobytes())
    return hasher.hexdigest()
