"""Recordings cut short that decode all the same: each format says in its own way where it ends."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from outfold.data.audio.cut_short import what_is_missing
from outfold.data.audio.decode import probe_audio

RATE = 8000
KINDS = {
    "WAV": ("PCM_16", "PCM_24", "FLOAT", "ULAW"),
    "WAVEX": ("PCM_16", "FLOAT"),
    "RF64": ("PCM_16",),
    "AIFF": ("PCM_16", "FLOAT"),
    "OGG": ("VORBIS", "OPUS"),
}


def missing(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return what_is_missing(path, probe_audio(path))


@pytest.mark.parametrize(("kind", "subtype"), [(kind, one) for kind, several in KINDS.items() for one in several])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format(tmp_path: Path, sound: Callable[..., np.ndarray], kind: str, subtype: str, channels: int) -> None:
    path = tmp_path / "sound"
    soundfile.write(path, sound(4, RATE, channels), RATE, subtype, format=kind)
    whole = path.read_bytes()
    assert missing(path, whole) == ""
    for share in (0.5, 0.7, 0.9):
        told = missing(path, whole[: round(share * len(whole))])
        assert told == ("the stream does not end" if kind == "OGG" else "the header promises 4.0 s")


def test_bytes_behind_the_last_whole_frame_are_no_sound(tmp_path: Path, sound: Callable[..., np.ndarray]) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound(1, RATE)[:1000], RATE, "PCM_16")
    whole = path.read_bytes()
    place = whole.index(b"data") + 4
    assert missing(path, whole[:place] + (2001).to_bytes(4, "little") + whole[place + 4 :] + b"\0\0") == ""
    assert missing(path, whole[:place] + (2002).to_bytes(4, "little") + whole[place + 4 :]) != ""


def test_a_big_endian_wav_and_chunks_before_the_sound(tmp_path: Path, sound: Callable[..., np.ndarray]) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound(4, RATE), RATE, "PCM_16", endian="BIG", format="WAV")
    whole = path.read_bytes()
    assert whole.startswith(b"RIFX")
    assert missing(path, whole[:20_000]) == "the header promises 4.0 s"
    soundfile.write(path, sound(4, RATE), RATE, "PCM_16")
    whole = path.read_bytes()
    noted = whole[:12] + b"LIST\x03\0\0\0abc\0" + whole[12:]
    assert missing(path, noted) == ""
    assert missing(path, noted[:20_000]) == "the header promises 4.0 s"


def test_a_wav_that_never_knew_its_length_promises_nothing(tmp_path: Path, sound: Callable[..., np.ndarray]) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, sound(4, RATE), RATE, "PCM_16")
    whole = path.read_bytes()
    place = whole.index(b"data") + 4
    for untold in (b"\xff\xff\xff\xff", b"\0\xf0\xff\x7f"):
        assert missing(path, whole[:place] + untold + whole[place + 4 :]) == ""
