"""Recordings as model input: windows, pictures, patches, and what training changes."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from outfold.errors import RecipeError
from outfold.settings.audio_view import AudioView, WaveformView
from outfold.views.audio import log_mel, normalise, presets
from outfold.views.audio.augment import Gain, PinkNoise
from outfold.views.audio.chain import SoundChain, parse_sound_chain
from outfold.views.audio.input import AudioInput, WaveformInput, arranged, pictures_of
from outfold.views.audio.spec_augment import SpecAugment

RATE = 32_000


@dataclass
class Ramps:
    """Recordings whose samples say where they are: sample k of a row of n seconds is k + 1."""

    seconds: tuple[float, ...]
    sample_rate: int = RATE

    def duration(self, row: int) -> float:
        return self.seconds[row]

    def read(self, row: int, start_s: float, length_s: float) -> np.ndarray:
        first, count = round(start_s * self.sample_rate), round(length_s * self.sample_rate)
        return np.arange(first + 1, first + count + 1, dtype=np.float32)


def waveforms(view: AudioView, *seconds: float, augment: bool, draws: int = 50) -> np.ndarray:
    read = AudioInput(Ramps(seconds), view, SoundChain()).reader(augment=augment)
    return np.stack(
        [read(row, np.random.default_rng([row, seed])) for row in range(len(seconds)) for seed in range(draws)]
    )


def test_training_hears_the_first_or_the_last_seconds() -> None:
    view = AudioView(kind="audio", normalise=False)
    heard = waveforms(view, 60.0, augment=True)
    assert heard.shape == (50, 5 * RATE)
    starts = (heard[:, 0] - 1) / RATE
    assert (np.diff(heard, axis=1) == 1).all()
    assert ((starts <= 1) | ((starts >= 54) & (starts <= 55))).all()
    assert 10 < (starts <= 1).sum() < 40
    plain = waveforms(view, 60.0, augment=False, draws=2)
    assert (plain == np.arange(1, 5 * RATE + 1)).all()


def test_short_recordings_keep_their_middle_in_the_window() -> None:
    view = AudioView(kind="audio", normalise=False)
    heard = waveforms(view, 2.0, augment=True)
    first = (heard > 0).argmax(axis=1) / RATE
    assert ((heard > 0).sum(axis=1) == 2 * RATE).all()
    assert first.min() >= 1 - 1e-4 and first.max() <= 2 + 1e-4
    assert np.ptp(first) > 0.5
    plain = waveforms(view, 2.0, augment=False, draws=1)
    assert (plain > 0).argmax() == 1.5 * RATE


def test_pictures_are_those_of_the_normalised_window() -> None:
    view = AudioView(kind="audio", channels="ramp")
    source = AudioInput(Ramps((7.0,)), view, SoundChain())
    window = source.reader(augment=False)(0, np.random.default_rng())
    np.testing.assert_allclose(window, normalise(np.arange(1, 5 * RATE + 1, dtype=np.float32)), rtol=1e-5)
    picture = source.to_model(torch.from_numpy(window[None]))
    assert picture.shape == (1, 3, *view.height_width) == (1, 3, 224, 224)
    assert picture.is_contiguous(memory_format=torch.channels_last)
    expected = log_mel(window, presets.BIRDCLEF_224)
    np.testing.assert_array_equal(picture[0, 1].numpy(), expected)
    np.testing.assert_allclose(picture[0, 2, :, 5].numpy(), np.linspace(0, 1, 224), atol=1e-6)


def test_patches_lie_one_behind_the_other() -> None:
    patches = {"frames": 96, "hop": 48}
    view = AudioView(kind="audio", mel="yamnet", channels="single", transpose=True, patches=patches)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, view.samples)).astype(np.float32)
    picture = pictures_of(torch.from_numpy(noise), view.mel)
    found = arranged(picture, view)
    assert found.shape == (2, 9, 1, *view.tile_height_width) == (2, 9, 1, 96, 64)
    for number in range(9):
        torch.testing.assert_close(found[:, number, 0], picture[:, :, 48 * number : 48 * number + 96].transpose(1, 2))


def test_only_training_paints_over_pictures() -> None:
    view, chain = AudioView(kind="audio"), parse_sound_chain([{"spec_augment": {"fill": 9.0}}], pictures=True)
    source = AudioInput(Ramps((5.0,)), view, chain)
    batch = torch.from_numpy(source.reader(augment=False)(0, np.random.default_rng())[None])
    assert not (source.to_model(batch) == 9).any()
    painted = source.to_model(batch, np.random.default_rng(1))
    assert (painted == 9).any()
    torch.testing.assert_close(painted, source.to_model(batch, np.random.default_rng(1)))


def test_waveforms_pass_as_they_are() -> None:
    view = WaveformView(kind="waveform", encoder={"model_type": "hubert"}, sample_rate=RATE)
    chain = parse_sound_chain(["gain"], pictures=False)
    source = WaveformInput(Ramps((5.0,)), view, chain)
    window = source.reader(augment=False)(0, np.random.default_rng())
    assert torch.equal(source.to_model(torch.from_numpy(window[None])), torch.from_numpy(window[None]))
    louder = {float(np.ptp(source.reader(augment=True)(0, np.random.default_rng(seed)))) for seed in range(9)}
    assert len(louder) > 2


def test_items_of_a_recipe() -> None:
    chain = parse_sound_chain([{"gain": 3}, "spec_augment", {"pink_noise": {"snr_db": [3, 9], "p": 1}}], pictures=True)
    assert chain == SoundChain((Gain(db=3), PinkNoise(snr_db=(3, 9), p=1)), (SpecAugment(),))


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("gian", "no transform of sound 'gian'"),
        ("hflip", "no transform of sound 'hflip'"),
        ({"gain": {"dbs": 3}}, "gain has no parameter 'dbs'"),
        ({"gain": {"p": 2}}, "gain: p"),
        ({"gain": 3, "pink_noise": 4}, "a name or one name"),
    ],
)
def test_wrong_items_are_refused(item: str | dict[str, object], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        parse_sound_chain([item], pictures=True)


def test_pictures_are_painted_only_where_there_are_some() -> None:
    with pytest.raises(RecipeError, match="this view makes none"):
        parse_sound_chain(["spec_augment"], pictures=False)
