"""Streaming: the same samples as decoding at once, the windows that were promised, and no memory for length."""

import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outfold.data.audio.clips import window_starts
from outfold.data.audio.decode import decode_audio
from outfold.data.audio.stream import stream_audio, stream_windows
from outfold.errors import DataError, MediaError

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, sound: Make, write_sound: Write) -> Path:
    """7.3 stereo seconds at 44.1 kHz."""
    return write_sound(tmp_path_factory.mktemp("stream") / "a.flac", sound(7.3, 44100, 2), 44100)


@pytest.mark.parametrize("rate", [None, 44100, 32000, 16000, 48000])
def test_pieces_together_are_the_whole(recording: Path, rate: int | None) -> None:
    pieces = list(stream_audio(recording, rate))
    assert len(pieces) > 3
    assert all(len(piece) for piece in pieces)
    assert np.abs(np.concatenate(pieces) - decode_audio(recording, rate)).max() < 1e-6


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.1, 9), st.floats(0.2, 9), st.integers(1, 20), st.sampled_from(["drop", "pad"]))
def test_windows_are_parts_of_the_whole(recording: Path, window_s: float, hop_s: float, batch: int, last: str) -> None:
    whole = decode_audio(recording, 16000)
    blocks = list(stream_windows(recording, 16000, window_s, hop_s, batch=batch, last=last))  # type: ignore[arg-type]
    sizes = [len(block.starts_s) for block in blocks]
    assert all(size == batch for size in sizes[:-1])
    promised = window_starts(len(whole) / 16000, window_s, hop_s, last=last)  # type: ignore[arg-type]
    assert sum(sizes) == len(promised)
    if not blocks:
        return
    starts = np.concatenate([block.starts_s for block in blocks])
    assert np.abs(starts - promised).max() <= 0.5 / 16000 + 1e-9
    length = round(window_s * 16000)
    for start_s, waveform in zip(starts, np.concatenate([block.waveforms for block in blocks]), strict=True):
        first = round(start_s * 16000)
        part = whole[first : first + length]
        assert waveform.shape == (length,)
        assert np.abs(waveform - np.pad(part, (0, length - len(part)))).max() < 1e-6


def test_four_minutes_have_48_windows(tmp_path: Path, sound: Make, write_sound: Write) -> None:
    path = write_sound(tmp_path / "a.flac", np.resize(sound(2, 8000), 240 * 8000), 8000)
    blocks = list(stream_windows(path, 8000, 5, batch=16))
    assert [block.waveforms.shape for block in blocks] == [(16, 40000)] * 3
    assert np.array_equal(np.concatenate([block.starts_s for block in blocks]), 5.0 * np.arange(48))


def test_windows_do_not_share_memory(recording: Path) -> None:
    one, other = list(stream_windows(recording, 16000, 2, 1, batch=2))[:2]
    kept = other.waveforms.copy()
    one.waveforms[:] = 0
    assert np.array_equal(other.waveforms, kept)


def test_memory_does_not_grow_with_length(tmp_path: Path, sound: Make, write_sound: Write) -> None:
    """Python's and NumPy's memory; the benchmark of audio decoding measures the whole process over an hour."""
    peaks = []
    piece = sound(2, 8000)
    for minutes in (1, 6):
        path = write_sound(tmp_path / f"{minutes}.flac", np.resize(piece, minutes * 60 * 8000), 8000)
        tracemalloc.start()
        windows = sum(len(block.starts_s) for block in stream_windows(path, 16000, 5, 2.5, batch=4))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert windows == minutes * 24 - 1
    one, six = peaks
    assert six < 1.05 * one
    assert six < 8_000_000 < 6 * 60 * 16000 * 4


def test_a_recording_shorter_than_a_window(recording: Path) -> None:
    assert list(stream_windows(recording, 16000, 8)) == []
    (block,) = stream_windows(recording, 16000, 8, last="pad")
    assert block.waveforms.shape == (1, 8 * 16000)
    assert not block.waveforms[0, round(7.3 * 16000) :].any()


def test_bad_recordings_and_arguments(tmp_path: Path, recording: Path, sound: Make, write_sound: Write) -> None:
    waveform = sound(20, 8000)
    waveform[-1] = np.nan
    path = write_sound(tmp_path / "a.wav", waveform, 8000)
    with pytest.raises(MediaError, match="NaN"):
        list(stream_windows(path, 8000, 5))
    with pytest.raises(MediaError, match="does not exist"):
        next(stream_windows(tmp_path / "none.ogg", 8000, 5))
    for window, hop in pairwise((5, 0, 5, float("nan"), 5, -1.0)):
        with pytest.raises(DataError, match="positive number of seconds"):
            next(stream_windows(recording, 8000, window, hop))
