"""The cache of waveforms: error of each storage, sharing, parts, damage, and several processes at once."""

import multiprocessing
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outfold.data.audio import cache as cache_module
from outfold.data.audio import parts as parts_module
from outfold.data.audio.cache import AudioCache, build_audio_cache, store
from outfold.data.audio.decode import decode_audio
from outfold.data.audio.parts import Part
from outfold.data.media import content_key
from outfold.errors import MediaError, RunError

Make = Callable[..., np.ndarray]
Write = Callable[..., Path]


@pytest.fixture
def parts(tmp_path: Path, sound: Make, write_sound: Write) -> list[Part]:
    """Whole recordings, a head, a tail; the last has the content of the first."""
    folder = tmp_path / "recordings"
    paths = [write_sound(folder / f"{n}.flac", sound(1 + n / 4, 22050, seed=n) * 0.1**n, 22050) for n in range(3)]
    paths.append(write_sound(folder / "3.ogg", sound(2, 22050, seed=3), 22050))
    (folder / "copy.flac").write_bytes(paths[0].read_bytes())
    return [*map(Part, paths), Part(paths[2], 0, 0.5), Part(paths[2], 1.0), Part(folder / "copy.flac")]


def build(parts: list[Part], folder: Path, **options) -> AudioCache:  # type: ignore[no-untyped-def]
    return build_audio_cache(parts, **{"sample_rate": 16000, "folder": folder, "workers": 2, **options})


def decoded(part: Part) -> np.ndarray:
    return decode_audio(part.path, 16000, part.start_s, part.end_s)


@pytest.mark.parametrize("storage", ["int16", "float16", "float32"])
def test_rows_hold_what_is_decoded(parts: list[Part], tmp_path: Path, storage: str) -> None:
    cache = build(parts, tmp_path / "cache", storage=storage)
    assert (len(cache), cache.sample_rate, cache.bad) == (7, 16000, {})
    assert cache.content_keys == tuple(content_key(part.path) for part in parts)
    distinct = [decoded(part) for part in parts[:6]]
    assert cache.nbytes == sum(map(len, distinct)) * (4 if storage == "float32" else 2)
    assert cache.lengths.tolist() == [*map(len, distinct), len(distinct[0])]
    for row, waveform in enumerate(distinct):
        error = np.abs(cache[row] - waveform)
        assert cache[row].dtype == np.float32
        bound = {
            "int16": np.abs(waveform).max() / 65534 * 1.01,
            "float16": np.abs(waveform) / 2048 + 3e-8,
            "float32": 0,
        }
        assert (error <= bound[storage]).all()


@example(np.array([2**-126, 2**-127], np.float32), "int16")
@given(
    arrays(np.float32, st.integers(0, 50), elements=st.floats(-4, 4, width=32)), st.sampled_from(["int16", "float16"])
)
def test_errors_are_as_documented(waveform: np.ndarray, storage: str) -> None:
    stored = store(waveform, storage)  # type: ignore[arg-type]
    assert stored.samples.dtype == storage
    back = stored.samples.astype(np.float64) * stored.scale
    peak = float(np.abs(waveform).max(initial=0))
    bound = peak / 65534 * 1.001 if storage == "int16" else np.maximum(np.abs(waveform) / 2048, 3.1e-8)
    assert (np.abs(back - waveform) <= bound).all()


def test_parts_of_rows_are_slices(parts: list[Part], tmp_path: Path) -> None:
    cache = build(parts, tmp_path / "cache")
    whole = cache[1]
    for start, stop in ((0, 100), (5000, 9000), (19000, 99999), (99999, None), (300, 200), (-100, None), (7, None)):
        assert np.array_equal(cache.read(1, start, stop), whole[start:stop])
    whole[:] = 0
    assert cache[1].any()
    assert np.array_equal(cache[-1], cache[0])
    with pytest.raises(IndexError):
        cache[7]


def test_a_cache_is_opened_without_decoding(parts: list[Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, seen = build(parts, tmp_path / "cache"), []
    monkeypatch.setattr(parts_module, "decode_audio", None)
    again = build(parts, tmp_path / "cache", progress=lambda *counts: seen.append(counts))
    assert seen == [(6, 6)]
    assert np.array_equal(again[3], first[3])


def test_what_decides_is_in_the_name(parts: list[Part], tmp_path: Path) -> None:
    folders = {
        build(parts, tmp_path / "cache").folder,
        build(parts, tmp_path / "cache", sample_rate=8000).folder,
        build(parts, tmp_path / "cache", storage="float16").folder,
        build(parts, tmp_path / "cache", missing="pad").folder,
        build(parts[::-1], tmp_path / "cache").folder,
        build([Part(part.path, 0, 0.5) for part in parts], tmp_path / "cache").folder,
        build([Part(part.path, 0, 0.6) for part in parts], tmp_path / "cache").folder,
    }
    assert len(folders) == 7


def test_bad_recordings_stop_or_are_dropped(parts: list[Part], tmp_path: Path, write_sound: Write) -> None:
    spoiled = write_sound(tmp_path / "nan.wav", np.full(8000, np.nan, np.float32), 8000)
    bad = [parts[0], Part(spoiled), Part(tmp_path / "none.ogg"), Part(parts[0].path, 0.5, 9.0), parts[1]]
    with pytest.raises(MediaError, match="1 of 5 recordings cannot be used") as caught:
        build(bad, tmp_path / "cache")
    assert "none.ogg: the file does not exist" in str(caught.value)
    with pytest.raises(MediaError, match="2 of 4 recordings cannot be used") as caught:
        build([bad[0], bad[1], bad[3], bad[4]], tmp_path / "cache", name_row=lambda row: f"train.csv:{row + 2}")
    assert "train.csv:3:" in str(caught.value)
    assert "train.csv:4:" in str(caught.value)
    cache = build(bad, tmp_path / "cache", on_bad="drop")
    assert list(cache.bad) == [1, 2, 3]
    assert cache.lengths.tolist() == [16000, 0, 0, 0, 20000]
    with pytest.raises(MediaError, match="row 3 has no sound"):
        cache[3]
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.bad == cache.bad
    assert np.array_equal(copy[4], cache[4])
    assert len(pickle.dumps(cache)) < 2000


def test_silence_is_kept(tmp_path: Path, write_sound: Write) -> None:
    path = write_sound(tmp_path / "a.wav", np.zeros(8000, np.float32), 16000)
    assert not build([Part(path)], tmp_path / "cache")[0].any()


@pytest.mark.parametrize("part", ["arena.bin", "index.npz"])
def test_a_damaged_cache_is_noticed(parts: list[Part], tmp_path: Path, part: str) -> None:
    cache = build(parts, tmp_path / "cache")
    os.truncate(cache.folder / part, 10)
    with pytest.raises(RunError, match="damaged"):
        build(parts, tmp_path / "cache")


def _logged(path: Path, *args: object, **options: object) -> np.ndarray:
    time.sleep(0.05)
    with (path.parents[1] / "decoded.log").open("a") as log:
        log.write(f"{os.getpid()}\n")
    return decode_audio(path, *args, **options)  # type: ignore[arg-type]


def _build_in_process(parts: list[Part], folder: Path) -> float:
    parts_module.decode_audio = _logged  # type: ignore[assignment]
    cache = build(parts, folder)
    return float(sum(np.abs(cache[row]).sum() for row in range(len(cache))))


def test_of_three_processes_one_builds_and_the_others_wait(parts: list[Part], tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(3) as pool:
        results = [pool.apply_async(_build_in_process, (parts, tmp_path / "cache")) for _ in range(3)]
        assert len({result.get(60) for result in results}) == 1
    builders = (tmp_path / "decoded.log").read_text().split()
    assert len(builders) == 6
    assert len(set(builders)) == 1


def test_a_failure_leaves_nothing(parts: list[Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_write_index", fail)
        with pytest.raises(RunError, match="disk is full"):
            build(parts, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.suffix not in (".lock", ".json")]
    assert len(build(parts, tmp_path / "cache")) == 7
