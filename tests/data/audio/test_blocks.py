"""Sound that passes by in blocks: the numbers of the cache, with nothing left on disk."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from outfold.data.audio.blocks import SoundBlock, sound_blocks
from outfold.data.audio.parts import MOST
from outfold.data.audio.rows import RowClips
from outfold.data.audio.sounds import build_sounds

RATE, WINDOW = 8000, 2.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, generator = tmp_path_factory.mktemp("passing"), np.random.default_rng(0)
    for name, seconds in {"long.ogg": 130.0, "other.flac": 31.0, "short.wav": 1.5, "middle.wav": 9.0}.items():
        soundfile.write(root / name, np.clip(generator.normal(0, 0.1, round(seconds * 16_000)), -1, 1), 16_000)
    (root / "broken.wav").write_bytes(b"no recording")
    return root


def windows(path: Path, count: int) -> tuple[list[Path], list[float], list[float]]:
    starts = [WINDOW * place for place in range(count)]
    return [path] * count, starts, [start + WINDOW for start in starts]


def table(*parts: tuple[list[Path], list[float], list[float]]) -> tuple[list[Path], RowClips]:
    media, starts, ends = ([one for part in parts for one in part[place]] for place in range(3))
    return media, RowClips(np.array([path.name for path in media], object), np.array(starts), np.array(ends))


def blocks_of(media: list[Path], clips: RowClips, rows: int) -> list[SoundBlock]:
    return list(sound_blocks(media, clips, RATE, WINDOW, rows=rows, workers=2))


@settings(max_examples=12, deadline=None)
@given(rows=st.integers(1, 90), order=st.permutations(range(5)), long=st.sampled_from([3, MOST, MOST + 13]))
def test_blocks_hold_what_the_cache_would(
    tmp_path_factory: pytest.TempPathFactory, folder: Path, rows: int, order: list[int], long: int
) -> None:
    parts = [
        windows(folder / "long.ogg", long),
        windows(folder / "other.flac", 15),
        ([folder / "short.wav"], [0.0], [np.inf]),
        ([folder / "middle.wav"], [0.0], [np.inf]),
        ([folder / "middle.wav"], [1.25], [3.25]),
    ]
    media, clips = table(*(parts[place] for place in order))
    kept = build_sounds(media, clips, RATE, WINDOW, tmp_path_factory.mktemp("cache"), workers=1)
    blocks = blocks_of(media, clips, rows)
    assert [row for block in blocks for row in block.rows] == list(range(len(media)))
    assert max(len(block.rows) for block in blocks) == min(rows, len(media))
    for block in blocks:
        for place, row in enumerate(block.rows):
            assert block.duration(place) == kept.duration(row)
            np.testing.assert_array_equal(block.read(place, 0.0, WINDOW), kept.read(row, 0.0, WINDOW))
            np.testing.assert_array_equal(block.read(place, 0.25, 0.5), kept.read(row, 0.25, 0.5))


def test_rows_without_sound_are_named_by_their_place_in_the_table(folder: Path) -> None:
    media, clips = table(windows(folder / "other.flac", 17), ([folder / "broken.wav"], [0.0], [2.0]))
    first, second = blocks_of(media, clips, 10)
    assert first.bad == {}
    assert list(second.bad) == [15, 16, 17]
    assert "ends" in second.bad[15]
    assert "broken.wav" in second.bad[17]
    np.testing.assert_array_equal(second.duration_s, [2.0, 2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0])


def test_of_a_whole_recording_only_its_beginning_is_decoded(folder: Path) -> None:
    media, clips = table(([folder / "long.ogg"], [0.0], [np.inf]))
    (block,) = blocks_of(media, clips, 4)
    assert block.duration(0) == pytest.approx(130, abs=0.01)
    assert len(block.read(0, 0.0, 60.0)) == WINDOW * RATE
