"""Log-mel pictures against librosa, over the published settings and random ones; YAMNet's against its own constants."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import librosa
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from outfold.errors import DataError, RecipeError
from outfold.settings.mel import Decibels, LogMel, NaturalLog
from outfold.settings.mel_presets import BIRDCLEF_224, BIRDCLEF_288, BIRDCLEF_SED, YAMNET
from outfold.views.audio.filters import empty_filters, mel_bands, mel_filters
from outfold.views.audio.on_cpu import hann, log_mel
from outfold.views.audio.on_device import log_mel_tensor

PUBLISHED = {"224": BIRDCLEF_224, "288": BIRDCLEF_288, "sed": BIRDCLEF_SED}


def waveform(seconds, sample_rate, seed=0):
    """A chirp, a hum and noise that comes and goes, of standard deviation 1."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    sound = np.sin(2 * np.pi * (300 + 0.08 * sample_rate * time) * time) + 2 * np.sin(2 * np.pi * 50 * time)
    sound += rng.normal(0, 0.3, len(time)) * (0.1 + np.sin(3 * time) ** 2)
    return (sound / sound.std()).astype(np.float32)


def reference(sound, chosen):
    """The same picture by librosa, without resizing."""
    if chosen.padding == "none":
        left = (chosen.n_fft - chosen.window) // 2
        sound = np.pad(sound, (left, chosen.n_fft - chosen.window - left))
    power = librosa.feature.melspectrogram(
        y=sound,
        sr=chosen.sample_rate,
        n_fft=chosen.n_fft,
        win_length=chosen.window,
        hop_length=chosen.hop,
        center=chosen.padding != "none",
        pad_mode="reflect" if chosen.padding == "reflect" else "constant",
        power=2.0 if chosen.spectrum == "power" else 1.0,
        n_mels=chosen.mels,
        fmin=chosen.f_min,
        fmax=chosen.f_max,
        htk=chosen.scale == "htk",
        norm="slaney" if chosen.norm == "slaney" else None,
    )
    level = chosen.level
    if isinstance(level, NaturalLog):
        decibels = np.log(power + level.offset)
    else:
        power = power**2 if chosen.spectrum == "magnitude" else power
        zero = np.max if level.reference == "max" else level.reference
        decibels = librosa.power_to_db(power, ref=zero, amin=level.floor, top_db=level.top_db)
    return (decibels - chosen.subtract) / chosen.divide


def by_torch(sound, chosen):
    """The picture of one clip by torch, as an array."""
    return log_mel_tensor(torch.from_numpy(sound)[None], chosen)[0].numpy()


def unscaled(chosen):
    """The settings with levels in dB as they are."""
    return dataclasses.replace(chosen, subtract=0.0, divide=1.0, size=None)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_equal_librosa(name):
    chosen = unscaled(PUBLISHED[name])
    sound = waveform(5, chosen.sample_rate)
    expected = reference(sound, chosen)
    np.testing.assert_allclose(log_mel(sound, chosen), expected, atol=1e-3, rtol=0)
    np.testing.assert_allclose(by_torch(sound, chosen), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("name", "shape"), [("224", (224, 224)), ("288", (288, 288)), ("sed", (128, 384))])
def test_published_shapes_and_scales(name, shape):
    chosen = PUBLISHED[name]
    sound = waveform(5, chosen.sample_rate)
    picture = log_mel(sound, chosen)
    assert picture.shape == shape
    assert picture.dtype == np.float32
    if chosen.size is None:
        np.testing.assert_allclose(picture, reference(sound, chosen), atol=1e-3 / 80, rtol=0)
    np.testing.assert_allclose(by_torch(sound, chosen), picture, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", PUBLISHED)
def test_real_clips_equal_librosa(name, shared_data):
    import soundfile

    chosen = unscaled(PUBLISHED[name])
    for path in sorted((shared_data("esc10") / "audio").glob("*.ogg"))[::45]:
        sound, sample_rate = soundfile.read(path, dtype="float32")
        assert sample_rate == chosen.sample_rate
        if not sound.any():
            continue
        sound = sound / sound.std()
        expected = reference(sound, chosen)
        np.testing.assert_allclose(log_mel(sound, chosen), expected, atol=1e-3, rtol=0)
        np.testing.assert_allclose(by_torch(sound, chosen), expected, atol=1e-3, rtol=0)


LEVELS = st.one_of(
    st.builds(
        Decibels,
        reference=st.sampled_from([1.0, 0.02, "max"]),
        floor=st.sampled_from([1e-10, 1e-6]),
        top_db=st.sampled_from([None, 80.0, 30.0]),
    ),
    st.builds(NaturalLog, offset=st.sampled_from([1e-3, 1.0])),
)


@st.composite
def log_mels(draw):
    """Settings as anybody might choose them, without resizing."""
    sample_rate = draw(st.sampled_from([8000, 16_000, 22_050, 32_000]))
    n_fft = draw(st.integers(32, 1100))
    f_min = draw(st.floats(0, sample_rate / 4))
    return LogMel(
        sample_rate=sample_rate,
        n_fft=n_fft,
        window=draw(st.integers(max(8, n_fft // 3), n_fft)),
        hop=draw(st.integers(7, 700)),
        mels=draw(st.integers(1, 96)),
        f_min=f_min,
        f_max=draw(st.floats(f_min + 500, sample_rate / 2)),
        scale=draw(st.sampled_from(["htk", "slaney"])),
        norm=draw(st.sampled_from(["none", "slaney"])),
        spectrum=draw(st.sampled_from(["power", "magnitude"])),
        padding=draw(st.sampled_from(["zero", "reflect", "none"])),
        level=draw(LEVELS),
    )


@settings(max_examples=150, deadline=None)
@given(chosen=log_mels(), samples=st.integers(1, 9000), seed=st.integers(0, 100))
@pytest.mark.filterwarnings("ignore:Empty filters", "ignore:n_fft=")
def test_any_settings_equal_librosa(chosen, samples, seed):
    assume(samples >= (chosen.n_fft if chosen.padding == "reflect" else chosen.window))
    sound = np.random.default_rng(seed).normal(0, 1, samples).astype(np.float32)
    expected = reference(sound, chosen)
    picture = log_mel(sound, chosen)
    assert picture.shape == expected.shape == (chosen.mels, chosen.frames(samples))
    np.testing.assert_allclose(picture, expected, atol=1e-3, rtol=0)
    np.testing.assert_allclose(by_torch(sound, chosen), expected, atol=1e-3, rtol=0)


@settings(max_examples=100, deadline=None)
@given(chosen=log_mels())
@pytest.mark.filterwarnings("ignore:Empty filters")
def test_filters_equal_librosa(chosen):
    expected = librosa.filters.mel(
        sr=chosen.sample_rate,
        n_fft=chosen.n_fft,
        n_mels=chosen.mels,
        fmin=chosen.f_min,
        fmax=chosen.f_max,
        htk=chosen.scale == "htk",
        norm="slaney" if chosen.norm == "slaney" else None,
        dtype=np.float64,
    )
    np.testing.assert_allclose(mel_filters(chosen), expected, atol=1e-9, rtol=0)
    first, stop, start, weights = mel_bands(chosen)
    rebuilt = np.zeros_like(expected)
    for mel in range(chosen.mels):
        rebuilt[mel, first[mel] : stop[mel]] = weights[start[mel] : start[mel] + stop[mel] - first[mel]]
    np.testing.assert_allclose(rebuilt, expected, atol=1e-6, rtol=1e-6)


def test_filters_too_narrow_for_a_bin_are_told():
    chosen = dataclasses.replace(unscaled(BIRDCLEF_224), n_fft=1024)
    narrow = empty_filters(chosen)
    assert 0 < len(narrow) < 224
    quiet = log_mel(waveform(1, 32_000), chosen)[narrow]
    np.testing.assert_allclose(quiet, -100, atol=1e-4)
    assert all(len(empty_filters(published)) == 0 for published in PUBLISHED.values())


def test_yamnet_equals_its_definition():
    sound = waveform(0.975, 16_000)
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), 400)[::160] * hann(400)
    expected = np.log(np.abs(np.fft.rfft(frames, 512)) @ mel_filters(YAMNET).T + 1e-3).T
    assert expected.shape == (64, 96)
    np.testing.assert_allclose(log_mel(sound, YAMNET), expected, atol=1e-4)
    np.testing.assert_allclose(by_torch(sound, YAMNET), expected, atol=1e-4)


def test_yamnet_has_the_constants_of_its_weights(shared_data):
    constants = np.load(shared_data("weights") / "yamnet_frontend.npz")
    np.testing.assert_allclose(hann(400), constants["window"], atol=1e-6)
    assert isinstance(YAMNET.level, NaturalLog)
    assert YAMNET.level.offset == pytest.approx(float(constants["log_offset"]))
    # the file holds the filters in steps of 1 / 255; slopes along Hz would be two steps off
    np.testing.assert_allclose(mel_filters(YAMNET), constants["mel_weight"], atol=1 / 255)


def test_batches_are_clips_one_by_one():
    sounds = np.stack([waveform(1, 32_000, seed) * 10.0**seed for seed in range(3)]).astype(np.float32)
    chosen = dataclasses.replace(BIRDCLEF_SED, size=(60, 100), level=Decibels(reference="max", top_db=80))
    batch = log_mel(sounds, chosen)
    assert batch.shape == (3, 60, 100)
    for sound, picture in zip(sounds, batch, strict=True):
        np.testing.assert_allclose(log_mel(sound, chosen), picture, atol=1e-6)
    np.testing.assert_allclose(log_mel_tensor(torch.from_numpy(sounds), chosen), batch, atol=1e-4)


def test_threads_do_not_disturb_one_another():
    sounds = [waveform(0.5, 32_000, seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sound: log_mel(sound, BIRDCLEF_224), sounds))
    np.testing.assert_array_equal(together, [log_mel(sound, BIRDCLEF_224) for sound in sounds])


def test_tensors_are_computed_as_float32_under_autocast():
    sound = torch.from_numpy(waveform(1, 32_000))[None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(log_mel_tensor(sound, BIRDCLEF_224), log_mel_tensor(sound, BIRDCLEF_224))
        picture = log_mel_tensor(sound, BIRDCLEF_224)
    assert picture.dtype == torch.float32
    torch.testing.assert_close(picture, log_mel_tensor(sound, BIRDCLEF_224))


def test_tensors_made_for_inference_serve_training_later():
    chosen = dataclasses.replace(BIRDCLEF_224, mels=31)
    sound = torch.from_numpy(waveform(1, 32_000))[None]
    with torch.inference_mode():
        log_mel_tensor(sound, chosen)
    sound.requires_grad_()
    log_mel_tensor(sound, chosen).sum().backward()
    assert torch.isfinite(sound.grad).all()


def test_silence_is_finite():
    for chosen in (*PUBLISHED.values(), YAMNET):
        silence = np.zeros(chosen.sample_rate, np.float32)
        assert np.isfinite(log_mel(silence, chosen)).all()
        assert torch.isfinite(log_mel_tensor(torch.from_numpy(silence)[None], chosen)).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"hop": 0},
        {"window": 4096},
        {"mels": 0},
        {"f_min": -1},
        {"f_min": 9000, "f_max": 8000},
        {"f_max": 17_000},
        {"divide": 0},
        {"size": (0, 3)},
        {"scale": "bark"},
        {"padding": "wrap"},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        LogMel(**wrong)


@pytest.mark.parametrize("wrong", [{"floor": 0}, {"reference": 0.0}, {"top_db": -1}])
def test_levels_out_of_range_are_refused(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        Decibels(**wrong)
    with pytest.raises(RecipeError, match="offset"):
        NaturalLog(0.0)


@pytest.mark.parametrize(("padding", "samples"), [("none", 2047), ("reflect", 1024), ("zero", 0)])
def test_clips_too_short_are_refused(padding, samples):
    chosen = LogMel(padding=padding)
    with pytest.raises(DataError, match="too short"):
        log_mel(np.zeros(samples, np.float32), chosen)
    with pytest.raises(DataError, match="too short"):
        log_mel_tensor(torch.zeros(1, samples), chosen)
    assert log_mel(np.zeros(samples + 1, np.float32), chosen).shape == (128, chosen.frames(samples + 1))
