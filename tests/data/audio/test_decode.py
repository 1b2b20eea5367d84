"""Decoding: parts equal parts of the whole, in every format, at every rate; headers that lie; files that are broken."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from outfold.data.audio.decode import count_frames, decode_audio, probe_audio
from outfold.errors import DataError, MediaError

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]
FORMATS = ["wav", "flac", "ogg", "mp3"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, sound: Make, write_sound: Write) -> dict[str, Path]:
    """Four stereo seconds at 44.1 kHz in each format."""
    folder, waveform = tmp_path_factory.mktemp("recordings"), sound(4, 44100, 2)
    return {kind: write_sound(folder / f"a.{kind}", waveform, 44100) for kind in FORMATS}


@pytest.mark.parametrize("kind", FORMATS)
def test_the_header(recordings: dict[str, Path], kind: str) -> None:
    info = probe_audio(recordings[kind])
    assert (info.format, info.sample_rate, info.channels, info.frames) == (kind.upper(), 44100, 2, 4 * 44100)
    assert info.duration_s == 4
    assert info.bytes == recordings[kind].stat().st_size
    assert info.seeks_exactly == (kind in ("wav", "flac"))
    assert not info.length_is_guess
    assert count_frames(recordings[kind]) == 4 * 44100


@pytest.mark.parametrize("kind", FORMATS)
def test_a_whole_recording_is_what_one_call_reads(recordings: dict[str, Path], kind: str) -> None:
    own, (reference, _) = decode_audio(recordings[kind]), soundfile.read(recordings[kind])
    assert own.dtype == np.float32
    assert own.shape == (4 * 44100,)
    assert np.abs(own - reference.mean(axis=1)).max() < 1e-6


@pytest.mark.parametrize("rate", [16000, 48000])
def test_resampling_against_scipy(tmp_path: Path, write_sound: Write, rate: int) -> None:
    """Of a tone that both rates hold."""
    tone = np.sin(2 * np.pi * 3000 * np.arange(32000) / 32000).astype(np.float32) / 2
    own = decode_audio(write_sound(tmp_path / "a.wav", tone, 32000), rate)
    reference = resample_poly(tone.astype(np.float64), rate, 32000, window=("kaiser", 12.0))
    assert own.shape == reference.shape
    assert np.abs(own - reference)[1000:-1000].max() < 1e-3
    assert np.abs(own - np.sin(2 * np.pi * 3000 * np.arange(rate) / rate) / 2)[1000:-1000].max() < 1e-5


@pytest.mark.parametrize("rate", [44100, 32000, 16000, 48000, 22050, 31999])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_part_equals_the_part_of_the_whole(recordings: dict[str, Path], kind: str, rate: int) -> None:
    whole, rng = decode_audio(recordings[kind], rate), np.random.default_rng(rate)
    tolerance = 1e-5 if rate == 31999 else 2e-6  # where no small ratio links the rates, soxr interpolates its filter
    starts = [0.0, 0.001, 3.5, *rng.uniform(0, 3.5, 3)]
    for start_s in starts:
        part = decode_audio(recordings[kind], rate, start_s, start_s + 0.5)
        first = round(start_s * rate)
        assert len(part) == round(0.5 * rate)
        assert np.abs(part - whole[first : first + len(part)]).max() < tolerance
    tail = decode_audio(recordings[kind], rate, 3.25)
    assert np.abs(tail - whole[round(3.25 * rate) :]).max() < tolerance


def test_without_a_margin_a_part_differs(recordings: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The tolerance above can tell."""
    whole = decode_audio(recordings["wav"], 32000)
    monkeypatch.setattr("outfold.data.audio.decode.MARGIN", 8)
    part = decode_audio(recordings["wav"], 32000, 2.0, 2.5)
    assert np.abs(part - whole[64000:80000]).max() > 1e-4


def test_equal_durations_have_equal_lengths(recordings: dict[str, Path]) -> None:
    lengths = {len(decode_audio(recordings["wav"], 31999, start, start + 0.3)) for start in np.linspace(0, 3.7, 23)}
    assert lengths == {round(0.3 * 31999)}


def test_real_vorbis_is_exact_unless_told_otherwise(shared_data: Callable[[str], Path]) -> None:
    """libsndfile's own seek may land some blocks beside its place."""
    path = shared_data("esc10") / "audio" / "1-17150-A.ogg"
    whole = decode_audio(path)
    for start in np.random.default_rng(0).integers(8192, 140_000, 20):
        span = {"start_s": start / 32000, "end_s": (start + 4000) / 32000}
        assert np.array_equal(decode_audio(path, **span), whole[start : start + 4000])
        quick = decode_audio(path, **span, exact=False)
        near = np.lib.stride_tricks.sliding_window_view(whole[start - 4096 : start + 8096], 4000)
        assert np.abs(near[np.abs(near[:, 0] - quick[0]) < 1e-6] - quick).max(axis=1).min() < 1e-6


@pytest.mark.parametrize("kind", FORMATS)
def test_seconds_that_are_not_there(recordings: dict[str, Path], kind: str) -> None:
    path = recordings[kind]
    with pytest.raises(MediaError, match=r"ends 1\.000 s before"):
        decode_audio(path, 32000, 3.5, 5.0)
    padded = decode_audio(path, 32000, 3.5, 5.0, missing="pad")
    assert padded.shape == (48000,)
    assert np.array_equal(padded[:16000], decode_audio(path, 32000, 3.5))
    assert not padded[16000:].any()
    with pytest.raises(MediaError, match="holds nothing"):
        decode_audio(path, 32000, 4.0, 5.0, missing="pad")
    assert len(decode_audio(path, 32000, 3.5, 4.0009)) == round(0.5009 * 32000)


@pytest.mark.parametrize("span", [(-1.0, 2.0), (3.0, 3.0), (3.0, 2.0), (float("nan"), 2.0), (0.0, float("nan"))])
def test_parts_that_are_none(recordings: dict[str, Path], span: tuple[float, float]) -> None:
    with pytest.raises(DataError, match="no part of a recording"):
        decode_audio(recordings["wav"], 32000, *span)


def test_channels_are_averaged(tmp_path: Path, sound: Make, write_sound: Write) -> None:
    waveform = sound(0.5, 8000, 3)
    path = write_sound(tmp_path / "a.wav", waveform, 8000)
    assert np.abs(decode_audio(path) - waveform.mean(axis=1)).max() < 1e-7


@pytest.mark.parametrize("samples", [1, 2, 3, 100])
def test_next_to_no_samples(tmp_path: Path, write_sound: Write, samples: int) -> None:
    path = write_sound(tmp_path / "a.wav", np.full(samples, 0.5, np.float32), 32000)
    assert len(decode_audio(path)) == samples
    assert abs(len(decode_audio(path, 48000)) - samples * 1.5) <= 0.5
    assert len(decode_audio(path, 32000, 0, 1, missing="pad")) == 32000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path: Path, sound: Make, write_sound: Write, value: float) -> None:
    waveform = sound(1, 8000)
    waveform[4000:4003] = value
    path = write_sound(tmp_path / "a.wav", waveform, 8000)
    with pytest.raises(MediaError, match="3 samples are NaN or infinite"):
        decode_audio(path, 16000)
    assert len(decode_audio(path, 8000, 0, 0.4)) == 3200


def test_files_that_are_none(tmp_path: Path, write_sound: Write) -> None:
    (tmp_path / "empty.ogg").touch()
    (tmp_path / "text.wav").write_text("hello " * 100)
    (tmp_path / "bare.raw").write_bytes(b"12345678")
    write_sound(tmp_path / "silent.wav", np.empty(0, np.float32), 8000)
    for name, words in {
        "none.ogg": "does not exist",
        "empty.ogg": "0 bytes",
        "text.wav": "not a recording",
        "bare.raw": "not a recording",
        "silent.wav": "holds nothing",
        ".": "cannot be read",
    }.items():
        with pytest.raises(MediaError, match=words):
            decode_audio(tmp_path / name)


@pytest.mark.parametrize("kind", FORMATS)
def test_files_cut_short(recordings: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """Whatever the header says, seconds that are there are right and the others are refused."""
    data = recordings[kind].read_bytes()
    path = tmp_path / f"half.{kind}"
    path.write_bytes(data[: len(data) // 2])
    there = decode_audio(path, 44100, 0.5, 1)
    assert np.abs(there - decode_audio(recordings[kind], 44100, 0.5, 1)).max() < 1e-6
    with pytest.raises(MediaError, match=r"damaged or cut short|ends .* before|holds nothing"):
        decode_audio(path, 44100, 3, 3.5)


def without_length_tag(data: bytes) -> bytes:
    """An MP3 without its first frame, which holds the tag."""
    return data[data.index(data[:2], 4) :]


def test_an_mp3_that_does_not_say_its_length(tmp_path: Path, write_sound: Write) -> None:
    """libsndfile guesses from the first frame, which is a small one, and stops there."""
    noise = np.random.default_rng(0).uniform(-0.8, 0.8, 8 * 44100).astype(np.float32)
    data = write_sound(tmp_path / "tagged.mp3", noise, 44100).read_bytes()
    path = tmp_path / "a.mp3"
    path.write_bytes(without_length_tag(data))
    info = probe_audio(path)
    assert info.length_is_guess
    with soundfile.SoundFile(path) as file:
        assert abs(len(file.read()) - 8 * 44100) > 44100
    counted = count_frames(path)
    assert abs(counted - 8 * 44100) < 3 * 1152
    whole = decode_audio(path, 32000)
    assert abs(len(whole) - counted * 32000 / 44100) <= 1
    assert np.abs(decode_audio(path, 32000, 6, 7) - whole[6 * 32000 : 7 * 32000]).max() < 2e-6


def test_tags_before_an_mp3_are_skipped(recordings: dict[str, Path], tmp_path: Path) -> None:
    data = recordings["mp3"].read_bytes()
    path = tmp_path / "a.mp3"
    path.write_bytes(b"ID3\x04\x00\x00" + bytes([0, 0, 80, 0]) + bytes(80 * 128) + data)
    assert not probe_audio(path).length_is_guess
    path.write_bytes(b"ID3\x04\x00\x00" + bytes([0, 0, 80, 0]) + bytes(80 * 128) + without_length_tag(data))
    assert probe_audio(path).length_is_guess


def test_a_flac_that_does_not_say_its_length(recordings: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(recordings["flac"].read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(MediaError, match="does not say how long"):
        decode_audio(tmp_path / "a.flac")


def test_a_damaged_middle(recordings: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(recordings["flac"].read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(MediaError, match="damaged or cut short"):
        decode_audio(tmp_path / "a.flac")
    assert len(decode_audio(tmp_path / "a.flac", 32000, 0, 1)) == 32000
