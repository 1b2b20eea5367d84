"""Changes of waveforms: loudness as asked, noise of its colour, chances, silence."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import signal

from outfold.errors import DataError
from outfold.views.audio.augment import WAVEFORM, BackgroundSound, Gain, GaussianNoise, PinkNoise, pink_noise
from outfold.views.audio.loudness import add_at_snr, normalise, normalise_tensor


def clips(count=4, samples=8000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (count, samples)).astype(np.float32) * 10.0 ** rng.uniform(-2, 2, (count, 1)).astype(
        np.float32
    )


def decibels(signal, noise):
    return 10 * np.log10(np.square(signal).mean(-1) / np.square(noise).mean(-1))


@settings(max_examples=50, deadline=None)
@given(snr=st.lists(st.floats(-20, 40), min_size=3, max_size=3), seed=st.integers(0, 100))
def test_noise_stands_as_far_below_as_asked(snr, seed):
    sounds, noise = clips(3, seed=seed).astype(np.float64), clips(3, seed=seed + 1000).astype(np.float64)
    added = add_at_snr(sounds, noise, np.array(snr)) - sounds
    np.testing.assert_allclose(decibels(sounds, added), snr, atol=1e-3)


def test_nothing_is_added_to_silence_nor_from_it():
    sounds = clips(2)
    sounds[0] = 0
    noise = clips(2, seed=1)
    noise[1] = 0
    np.testing.assert_array_equal(add_at_snr(sounds, noise, np.zeros(2)), sounds)


def background(samples, rng):
    return rng.uniform(-3, 3, samples).astype(np.float32)


TRANSFORMS = [Gain(p=1), GaussianNoise(p=1), PinkNoise(p=1), BackgroundSound(background, p=1)]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda each: type(each).__name__)
def test_transforms_keep_shape_dtype_and_what_came_in(transform):
    sounds = clips()
    before = sounds.copy()
    changed = transform(sounds, np.random.default_rng(0))
    assert changed.shape == sounds.shape
    assert changed.dtype == np.float32
    np.testing.assert_array_equal(sounds, before)
    assert (changed != sounds).any(axis=1).all()
    np.testing.assert_array_equal(changed, transform(sounds, np.random.default_rng(0)))
    single = transform(sounds[0], np.random.default_rng(0))
    assert single.shape == sounds[0].shape
    assert np.isfinite(transform(np.zeros(100, np.float32), np.random.default_rng(0))).all()


@pytest.mark.parametrize("transform", TRANSFORMS[1:], ids=lambda each: type(each).__name__)
def test_ratios_are_drawn_from_the_range_for_each_clip(transform):
    sounds = clips(400, 500)
    changed = transform(sounds, np.random.default_rng(0))
    low, high = transform.snr_db
    found = decibels(sounds.astype(np.float64), changed.astype(np.float64) - sounds)
    assert low - 0.1 < found.min() < low + 1
    assert high - 1 < found.max() < high + 0.1
    assert found.mean() == pytest.approx((low + high) / 2, abs=1)


def test_gain_is_drawn_in_decibels_for_each_clip():
    sounds = clips(2000, 10)
    found = decibels(Gain(12, p=1)(sounds, np.random.default_rng(0)), sounds)
    assert found.min() == pytest.approx(-12, abs=0.1)
    assert found.max() == pytest.approx(12, abs=0.1)
    assert found.mean() == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_each_clip_is_changed_with_its_chance(p):
    sounds = clips(3000, 20)
    changed = (GaussianNoise(p=p)(sounds, np.random.default_rng(0)) != sounds).any(axis=1)
    assert changed.mean() == pytest.approx(p, abs=0.03)


@pytest.mark.parametrize("samples", [16_000, 15_999, 7919])
def test_pink_noise_falls_by_three_decibels_an_octave(samples):
    noise = pink_noise((40, samples), np.random.default_rng(0))
    assert noise.shape == (40, samples)
    assert noise.dtype == np.float32
    frequency, density = signal.welch(noise, fs=16_000, nperseg=1024)
    inside = (frequency > 100) & (frequency < 7000)
    slope = np.polyfit(np.log2(frequency[inside]), 10 * np.log10(density.mean(0)[inside]), 1)[0]
    assert slope == pytest.approx(-10 * np.log10(2), abs=0.1)


def test_gaussian_noise_is_white():
    noise = GaussianNoise().sound((40, 16_000), np.random.default_rng(0))
    density = signal.welch(noise, fs=16_000, nperseg=256)[1].mean(0)[2:-2]
    assert density.max() / density.min() < 1.2


def test_backgrounds_of_another_length_are_refused():
    with pytest.raises(DataError, match="does not fit"):
        BackgroundSound(lambda samples, rng: np.ones(3, np.float32), p=1)(clips(), np.random.default_rng(0))


def test_parameters_are_checked():
    assert WAVEFORM["pink_noise"](snr_db=12).snr_db == (12, 12)
    assert Gain(db=3).db == (-3, 3)
    for wrong in ({"p": 2}, {"snr_db": (3, 2)}, {"snr": 3}):
        with pytest.raises(ValidationError):
            PinkNoise(**wrong)


def test_normalised_clips_have_deviation_one_and_silence_stays():
    sounds = clips(3) + 0.5
    sounds[1] = 0.25
    normal = normalise(sounds)
    np.testing.assert_allclose(normal.std(axis=-1), [1, 0, 1], atol=1e-4)
    np.testing.assert_allclose(normal[0], sounds[0] / sounds[0].std(), rtol=1e-5)
    assert normal.dtype == np.float32
    assert not normalise(np.zeros(10, np.float32)).any()
    np.testing.assert_allclose(normalise_tensor(torch.from_numpy(sounds))[[0, 2]], normal[[0, 2]], rtol=1e-4)
    assert torch.isfinite(normalise_tensor(torch.zeros(2, 10))).all()
