"""Vectors of photos by a frozen backbone: what an `embedding` view reads where no file gives them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from outfold.duplicates.fingerprint import Progress, Samples, Stretch
from outfold.errors import RunError
from outfold.inference.predict import Predictor
from outfold.inference.processes import WorkerPool, slices
from outfold.models.network import InputStats, Network, build_network
from outfold.models.weights import weights_identity
from outfold.settings.data import Prepare
from outfold.settings.train import TrainSettings
from outfold.stages.base import Compute, digest
from outfold.stages.inputs import image_view, pixels_name
from outfold.training.checkpoints import save_weights
from outfold.training.device import make_fabric
from outfold.views.inputs import ImageInput

FORMAT = 1
"""Raised whenever the same photo gets other vectors, so that old ones on disk are not used."""

IDENTITY = "outfold.identity"
"""Where the header of a kept backbone says which weights it holds."""


@dataclass(frozen=True)
class Embedder:
    """A frozen backbone that makes vectors of photos; a `Fingerprint`, so that `kept_vectors` keeps them on disk.

    Attributes:
        settings: of the backbone: its name, its view of photos and the batch size.
        identity: names the pixels, the backbone, the contents of its weights, the precision and the kind of device.
        build: makes the network; called when the first photo is seen.
        compute: device and threads, and the processes that share the photos, if any.
    """

    settings: TrainSettings
    identity: str
    build: Callable[[], tuple[Network, InputStats]]
    compute: Compute

    @cached_property
    def network(self) -> tuple[Network, InputStats]:
        """The network on its device, and what photos are normalised with."""
        network, stats = self.build()
        network.eval().to(self.compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network, stats

    def __call__(self, samples: Samples, progress: Progress | None = None) -> np.ndarray:
        """Pooled features of prepared photos, each uint8 (h, w, 3): float32 (n, f)."""
        return self._here(samples, progress) if self.compute.pool is None else self._shared(samples, self.compute.pool)

    def _shared(self, samples: Samples, pool: WorkerPool[Any, Any]) -> np.ndarray:
        """The same by several processes."""
        runs = slices(len(samples), max(len(pool), 1), self.settings.batch_size)
        before = samples.start if isinstance(samples, Stretch) else 0
        pieces = [PhotoSlice(self.settings, self.build, Stretch(samples, run.start, run.stop), before) for run in runs]
        return np.concatenate(pool.map(pieces, name=lambda piece: piece.title, fault=PhotoSlice.fault))

    def _here(self, samples: Samples, progress: Progress | None) -> np.ndarray:
        (network, stats), view = self.network, image_view(self.settings)
        photos = ImageInput(samples, view, (), view.mean or stats.mean, view.std or stats.std)
        fabric = make_fabric(self.compute.device, self.settings.precision)
        done = 0

        def forward(inputs: dict[str, Tensor]) -> Tensor:
            with fabric.autocast():
                return network.features(inputs)

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, len(samples))

        own = {network.input_name: photos}
        predictor = Predictor(
            own, batch_size=self.settings.batch_size, device=self.compute.device, workers=self.compute.workers
        )
        return predictor(forward, np.arange(len(samples)), advance=advance)[0]


@dataclass(frozen=True)
class PhotoSlice:
    """Some photos, to be made vectors of in another process; see `outfold.stages.sharing.perform`.

    Attributes:
        settings: of the backbone.
        build: makes the network.
        samples: these photos alone.
        before: how many photos come before those that they are a stretch of.
    """

    settings: TrainSettings
    build: Callable[[], tuple[Network, InputStats]]
    samples: Stretch
    before: int

    @property
    def title(self) -> str:
        """How errors call it."""
        first, last = self.before + self.samples.start + 1, self.before + self.samples.stop
        return f"the vectors of photos {first} to {last}"

    def performed(self, compute: Compute) -> np.ndarray:
        """Their vectors, float32 (n, f)."""
        return Embedder(self.settings, "", self.build, compute)(self.samples)

    def fault(self, answer: np.ndarray) -> str | None:
        """What is wrong with an answer: it must be one vector a photo."""
        wanted = len(self.samples)
        return None if len(answer) == wanted else f"it made {len(answer)} vectors, and not the {wanted} of its photos"


def pretrained_embedder(settings: TrainSettings, prepare: Prepare | None, root: Path, compute: Compute) -> Embedder:
    """The backbone with its pretrained weights.

    Args:
        settings: see `outfold.stages.inputs.photo_settings`.
        prepare: how the recipe's photos are stored, where they are.
        root: folder that a relative weights path starts from.
        compute: device and threads.

    Raises:
        WeightsError: the weights cannot be found; when they are read, that they do not fit.
    """
    identity = weights_identity(settings.weights, root)
    return Embedder(
        settings,
        _identity(settings, prepare, repr(sorted(identity.items())), compute),
        partial(build_network, settings, 1, root=root, pretrained=True),
        compute,
    )


def kept_embedder(settings: TrainSettings, prepare: Prepare | None, run: Path, compute: Compute) -> Embedder:
    """The backbone as a run keeps it, which needs neither the user's weights file nor the internet.

    Raises:
        RunError: the run lacks its file.
    """
    path = _place(settings, run)
    if not path.is_file():
        raise RunError(f"the run lacks its frozen backbone {path}", fix="give the run's command again to complete it")
    identity = _identity(settings, prepare, _kept_identity(path), compute)
    return Embedder(settings, identity, partial(_kept_network, settings, path), compute)


def keep_backbone(settings: TrainSettings, run: Path, root: Path) -> None:
    """Leave a frozen backbone's weights in the run folder, unless they are there.

    Raises:
        WeightsError: the pretrained weights cannot be had.
    """
    path, identity = _place(settings, run), repr(sorted(weights_identity(settings.weights, root).items()))
    if path.is_file() and _kept_identity(path) == identity:
        return
    network, _ = build_network(settings, 1, root=root, pretrained=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(path, network.backbone.state_dict(), {IDENTITY: identity})


def _place(settings: TrainSettings, run: Path) -> Path:
    """The file of a kept backbone, by what the recipe says of it."""
    parts = settings.model_dump(mode="json", include={"backbone", "weights", "backbone_options", "view"})
    key = digest(parts)
    return run / "backbones" / f"{key}.safetensors"


def _kept_network(settings: TrainSettings, path: Path) -> tuple[Network, InputStats]:
    network, stats = build_network(settings, 1, pretrained=False)
    network.backbone.load_state_dict(load_file(path))
    return network, stats


def _kept_identity(path: Path) -> str:
    with safe_open(path, "np") as file:
        return str((file.metadata() or {}).get(IDENTITY, ""))


def _identity(settings: TrainSettings, prepare: Prepare | None, weights: str, compute: Compute) -> str:
    view, options = settings.view.model_dump_json(exclude={"cache_size"}), sorted(settings.backbone_options.items())
    parts = (FORMAT, pixels_name(settings, prepare), settings.backbone, options, weights, view, settings.precision)
    return repr((*parts, compute.device.type))
