"""Weights are found, read without running code, and refused with a reason."""

import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from outfold.errors import WeightsError
from outfold.models.weights import load_state, weights_identity, weights_path
from outfold.settings.network import Weights

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.ones(2)}


def from_file(path: str) -> Weights:
    return Weights(source="file", path=path)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package whose import would fail, with one weights file."""
    folder = tmp_path / "site" / "carries_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save(STATE, folder / "models" / "net.pth")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def test_safetensors_and_torch_files_give_the_same_tensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save(STATE, tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        state = load_state(from_file(name), tmp_path)
        assert state.keys() == STATE.keys()
        assert all(torch.equal(state[key], STATE[key]) for key in STATE)


def test_a_training_checkpoint_comes_out_flat(tmp_path: Path) -> None:
    checkpoint = {
        "epoch": 3,
        "state_dict": STATE,
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "name": "adam"},
    }
    torch.save(checkpoint, tmp_path / "c.pth")
    state = load_state(from_file("c.pth"), tmp_path)
    assert set(state) == {"state_dict.conv.weight", "state_dict.conv.bias"}


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_as_the_hub_caches_it(tmp_path: Path, name: str) -> None:
    save = save_file if name.endswith("safetensors") else torch.save
    save(STATE, tmp_path / name)
    assert weights_path(from_file(str(tmp_path))) == tmp_path / name


def test_an_absolute_path_needs_no_root(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    assert weights_path(from_file(str(tmp_path / "a.safetensors")), Path("/elsewhere")).is_file()


class RunsCode:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_pickle_is_refused_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv.weight": RunsCode()}, tmp_path / "evil.pth", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="could run code, so the file is refused"):
        load_state(from_file("evil.pth"), tmp_path)
    assert not (tmp_path / "pwned").exists()


def test_a_plain_malicious_pickle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.bin").write_bytes(pickle.dumps(RunsCode(), protocol=2))
    with pytest.raises(WeightsError):
        load_state(from_file("evil.bin"), tmp_path)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("damage", ["empty", "half", "text"])
def test_a_damaged_file_is_named(tmp_path: Path, suffix: str, damage: str) -> None:
    path = tmp_path / f"net{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(STATE, path)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "text": b"not found\n"}[damage])
    with pytest.raises(WeightsError, match=path.name):
        load_state(from_file(path.name), tmp_path)


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="holds no tensors"):
        load_state(from_file("a.pth"), tmp_path)


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere\.pth does not exist"):
        weights_path(from_file("nowhere.pth"), tmp_path)
    with pytest.raises(WeightsError, match="holds no weights"):
        weights_path(from_file("."), tmp_path)


def test_a_package_is_read_without_being_imported(package: Path) -> None:
    weights = Weights.model_validate("package:carries_weights/models/net.pth")
    assert load_state(weights).keys() == STATE.keys()
    assert "carries_weights" not in sys.modules


def test_a_package_with_one_file_needs_no_path(package: Path) -> None:
    assert weights_path(Weights(source="package", package="carries_weights")).name == "net.pth"


def test_a_package_with_two_files_needs_a_path(package: Path) -> None:
    torch.save(STATE, package / "second.pth")
    with pytest.raises(WeightsError, match="ships 2 files") as error:
        weights_path(Weights(source="package", package="carries_weights"))
    assert "models/net.pth" in str(error.value)
    assert "second.pth" in str(error.value)


@pytest.mark.parametrize("path", ["../outside.pth", "models/../../outside.pth", "/etc/passwd"])
def test_a_path_that_leaves_the_package_is_refused(package: Path, path: str) -> None:
    torch.save(STATE, package.parent / "outside.pth")
    with pytest.raises(WeightsError, match="leaves the package"):
        weights_path(Weights(source="package", package="carries_weights", path=path))


def test_a_wrong_file_name_lists_what_the_package_ships(package: Path) -> None:
    with pytest.raises(WeightsError, match=r"models/net\.pth"):
        weights_path(Weights(source="package", package="carries_weights", path="net.pth"))


def test_a_package_that_is_not_installed_says_how_to_get_it() -> None:
    with pytest.raises(WeightsError, match="install no-such-weights"):
        weights_path(Weights(source="package", package="no_such_weights", path="a.pth"))
    with pytest.raises(WeightsError, match="not the import name"):
        weights_path(Weights(source="package", package="torch.nn", path="a.pth"))


def test_identity_follows_the_content(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    first = weights_identity(from_file("a.safetensors"), tmp_path)
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes())
    assert weights_identity(from_file("b.safetensors"), tmp_path) == first
    save_file({**STATE, "more": torch.ones(1)}, tmp_path / "a.safetensors")
    assert weights_identity(from_file("a.safetensors"), tmp_path) != first
    assert weights_identity(Weights(source="hub")) == {"source": "hub"}
