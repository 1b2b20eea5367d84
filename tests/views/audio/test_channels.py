"""Channels of log-mel pictures; deltas against librosa."""

import librosa
import numpy as np
import pytest
import torch

from outfold.errors import DataError
from outfold.views.audio.channels import CHANNELS, delta

PICTURES = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 5, 30)).astype(np.float32))


@pytest.mark.parametrize(("name", "channels"), [("single", 1), ("repeat", 3), ("ramp", 3), ("deltas", 3)])
def test_the_first_channel_is_the_picture(name, channels):
    stacked = CHANNELS[name](PICTURES)
    assert stacked.shape == (2, channels, 5, 30)
    torch.testing.assert_close(stacked[:, 0], PICTURES)


def test_repeated_pictures_and_the_ramp_along_frequency():
    torch.testing.assert_close(CHANNELS["repeat"](PICTURES)[:, 2], PICTURES)
    stacked = CHANNELS["ramp"](PICTURES)
    torch.testing.assert_close(stacked[:, 1], PICTURES)
    torch.testing.assert_close(stacked[:, 2], torch.tensor([0, 0.25, 0.5, 0.75, 1])[None, :, None].expand(2, 5, 30))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("width", [5, 9, 29])
def test_deltas_equal_librosa(order, width):
    expected = np.stack([librosa.feature.delta(picture, width=width, order=order) for picture in PICTURES.numpy()])
    np.testing.assert_allclose(delta(PICTURES, width, order=order), expected, atol=1e-5)


def test_deltas_of_a_straight_line_and_a_parabola():
    time = torch.arange(30.0).expand(1, 2, 30)
    torch.testing.assert_close(delta(3 * time), torch.full((1, 2, 30), 3.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(delta(time**2, order=2), torch.full((1, 2, 30), 2.0), atol=1e-3, rtol=0)


def test_too_few_frames_for_deltas_are_refused():
    with pytest.raises(DataError, match="too short"):
        CHANNELS["deltas"](PICTURES[..., :8])
