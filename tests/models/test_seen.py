import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from safetensors.torch import save_file

from outfold.errors import WeightsError
from outfold.models.seen import HEADER, row_marks, seen_by, seen_header


def test_rows_are_known_again_by_their_file_wherever_they_are_and_without_a_file_by_their_id():
    first = row_marks(["a", "b", "c"], ["k1", "k2", ""])
    second = row_marks(["x", "c", "b"], ["k2", "", "k3"])
    assert first.dtype == np.uint64
    assert_array_equal(np.isin(first, second), [False, True, True])
    assert_array_equal(row_marks(["a", "b"], ()), row_marks(["a", "b"], ["", ""]))


def test_marks_are_the_same_in_every_process():
    assert row_marks(["a"], ["0123abcd"])[0] == 410366861740114766
    assert row_marks(["a"], ())[0] == 5523214526285688508


def test_the_header_goes_with_the_file(tmp_path):
    marks = row_marks([f"r{row}" for row in range(1000)], ())
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors", seen_header(np.concatenate([marks, marks])))
    assert_array_equal(seen_by(tmp_path / "w.safetensors"), np.sort(marks))


def test_weights_that_do_not_say(tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors")
    assert seen_by(tmp_path / "w.safetensors") is None
    assert seen_by(tmp_path / "missing.pth") is None


def test_a_damaged_header_is_an_error_that_names_the_file(tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "w.safetensors", {HEADER: "not base64!"})
    with pytest.raises(WeightsError, match=r"w\.safetensors"):
        seen_by(tmp_path / "w.safetensors")
