"""Recordings by row: what is read of them equals what decoding gives, and no more of a long one is kept than needed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from outfold.data.audio.decode import decode_audio
from outfold.data.audio.parts import MOST, Part, decode_parts, stretches
from outfold.data.audio.rows import RowClips
from outfold.data.audio.sounds import Sounds, build_sounds
from outfold.errors import MediaError

RATE = 8000
ROUNDING = 1 / 32767
"""Of a sample in 16 bits, as a share of the loudest."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recordings")
    generator = np.random.default_rng(0)
    for name, seconds in {"long.ogg": 40.0, "long.wav": 40.0, "short.wav": 3.0, "middle.flac": 9.0}.items():
        soundfile.write(root / name, np.clip(generator.normal(0, 0.1, round(seconds * 16_000)), -1, 1), 16_000)
    (root / "broken.wav").write_bytes(b"no recording")
    return root


def clips_of(media: list[Path], start: list[float] | None = None, end: list[float] | None = None) -> RowClips:
    count = len(media)
    starts = np.zeros(count) if start is None else np.array(start)
    ends = np.full(count, np.inf) if end is None else np.array(end)
    return RowClips(np.array([path.name for path in media], object), starts, ends)


def build(media: list[Path], clips: RowClips, cache: Path, *, span_s: float = 6.0, **more: object) -> Sounds:
    return build_sounds(media, clips, RATE, span_s, cache, workers=2, **more)  # type: ignore[arg-type]


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=np.abs(expected).max() * 4 * ROUNDING)


def test_head_and_tail_equal_the_recording(folder: Path, tmp_path: Path) -> None:
    media = [folder / name for name in ("long.ogg", "short.wav", "long.wav", "middle.flac")]
    sounds = build(media, clips_of(media), tmp_path)
    assert [round(sounds.duration(row), 2) for row in range(4)] == [40.0, 3.0, 40.0, 9.0]
    for row, path in enumerate(media):
        whole, length = decode_audio(path, RATE), sounds.duration(row)
        for start in (0.0, 0.5, min(1.0, length / 2)):
            seconds = min(5.0, length - start)
            begin = round(start * RATE)
            assert_close(sounds.read(row, start, seconds), whole[begin : begin + round(seconds * RATE)])
        seconds = min(5.0, length)
        begin = round((length - seconds) * RATE)
        assert_close(sounds.read(row, length - seconds, seconds), whole[begin : begin + round(seconds * RATE)])
    kept = 2 * (6 + 6) + 3 + 9
    assert sounds.cache.nbytes == pytest.approx(kept * RATE * 2, rel=1e-3)


def test_rows_that_are_seconds_of_a_recording(folder: Path, tmp_path: Path) -> None:
    media = [folder / "long.ogg"] * 8
    starts = [5.0 * number for number in range(8)]
    sounds = build(media, clips_of(media, starts, [start + 5 for start in starts]), tmp_path)
    whole = decode_audio(media[0], RATE)
    for row, start in enumerate(starts):
        assert sounds.duration(row) == 5.0
        assert_close(sounds.read(row, 0.0, 5.0), whole[round(start * RATE) : round((start + 5) * RATE)])
    assert len(set(sounds.content)) == 1
    assert len(set(sounds.keys)) == 8
    assert np.array_equal(sounds.take(np.array([6, 1])).read(0, 0, 5), sounds.read(6, 0, 5))


def test_recordings_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    media = [folder / "short.wav", folder / "broken.wav", folder / "gone.wav", folder / "long.wav"]
    with pytest.raises(MediaError, match="recordings"):
        build(media, clips_of(media), tmp_path)
    sounds = build(media, clips_of(media), tmp_path, on_bad="drop")
    assert list(sounds.bad) == [1, 2]
    assert_close(sounds.read(0, 0, 3), decode_audio(media[0], RATE))
    beyond = clips_of(media[:1], [1.0], [6.0])
    assert "ends 3.000 s before" in build(media[:1], beyond, tmp_path, on_bad="drop").bad[0]
    padded = build(media[:1], beyond, tmp_path, missing="pad")
    assert not padded.read(0, 2.0, 3.0).any()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 6)), max_size=120))
def test_stretches_keep_every_part_in_its_order(spans: list[tuple[str, int, int]]) -> None:
    parts = [Part(Path(name), start, start + length) for name, start, length in spans]
    runs = list(stretches(parts))
    assert [part for run in runs for part in run] == parts
    assert all(run and len({part.path for part in run}) == 1 for run in runs)


def test_parts_decoded_together_equal_those_decoded_alone(folder: Path) -> None:
    parts = [Part(folder / "long.ogg", start, start + 5) for start in (0.0, 2.5, 7.5, 20.0)]
    (run,) = stretches(parts)
    for part, sound in zip(run, decode_parts(run, RATE), strict=True):
        np.testing.assert_allclose(sound, decode_audio(part.path, RATE, part.start_s, part.end_s), atol=2e-6)
    many = [Part(folder / "long.ogg", 0.5 * step, 0.5 * step + 2) for step in range(MOST + 30)]
    streamed = list(decode_parts(many, RATE))
    for part, sound in zip(many[:77], streamed, strict=False):
        np.testing.assert_allclose(sound, decode_audio(part.path, RATE, part.start_s, part.end_s), atol=2e-6)
    assert [isinstance(sound, str) for sound in streamed] == [False] * 77 + [True]
    padded = list(decode_parts(many, RATE, missing="pad"))[-1]
    assert isinstance(padded, np.ndarray) and len(padded) == 2 * RATE and not padded[-RATE // 2 :].any()
    late = [Part(folder / "long.ogg", 30.0, 35.0), Part(folder / "long.ogg", 35.0, 45.0)]
    sound, reason = decode_parts(late, RATE)
    assert isinstance(sound, np.ndarray) and isinstance(reason, str) and "ends 5.0" in reason
