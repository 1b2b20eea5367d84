"""The cache of prepared photos: content, sharing, damage, full disks, and several processes at once."""

import errno
import multiprocessing
import os
import pickle
import resource
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from outfold.data import cache as cache_module
from outfold.data.cache import ImageCache, build_cache, default_cache_folder
from outfold.data.media import content_key, decode_image
from outfold.data.threads import AHEAD
from outfold.errors import MediaError, OutfoldError, RunError

LONG_AGO = (1_700_000_000, 1_700_000_000)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Six photos of different sizes; the last has the content of the second."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths[:5]):
        Image.fromarray(rng.integers(0, 256, (4 + number, 7, 3), np.uint8)).save(path)
    paths[5].write_bytes(paths[1].read_bytes())
    return paths


def build(paths: list[Path], folder: Path, key: str = "as it is", prepare=decode_image, **options) -> ImageCache:  # type: ignore[no-untyped-def]
    return build_cache(paths, key, prepare, folder, **{"workers": 2, **options})


def refuse(path: Path) -> np.ndarray:
    raise AssertionError(f"{path} is prepared a second time")


def test_rows_hold_what_was_prepared(photos: list[Path], tmp_path: Path) -> None:
    cache = build(photos, tmp_path / "cache")
    assert len(cache) == 6
    assert cache.bad == {}
    for row, path in enumerate(photos):
        assert np.array_equal(cache[row], decode_image(path))
    assert cache.content_keys == tuple(map(content_key, photos))
    assert all(np.array_equal(one, other) for one, other in zip(cache, map(decode_image, photos), strict=True))


def test_equal_contents_are_stored_once(photos: list[Path], tmp_path: Path) -> None:
    cache = build(photos, tmp_path / "cache")
    assert cache.nbytes == sum(decode_image(path).nbytes for path in photos[:5])
    assert np.shares_memory(cache[1], cache[5])


def test_views_are_read_only(photos: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        build(photos, tmp_path / "cache")[0][0, 0, 0] = 1


def test_a_cache_is_opened_without_preparing(photos: list[Path], tmp_path: Path) -> None:
    first = build(photos, tmp_path / "cache")
    seen: list[tuple[int, int]] = []
    again = build(photos, tmp_path / "cache", prepare=refuse, progress=lambda *counts: seen.append(counts))
    assert seen == [(5, 5)]
    assert np.array_equal(again[4], first[4])


def test_moved_files_keep_their_cache(photos: list[Path], tmp_path: Path) -> None:
    build(photos, tmp_path / "cache")
    moved = [path.rename(path.with_name(f"moved {path.name}")) for path in photos]
    assert len(build(moved, tmp_path / "cache", prepare=refuse)) == 6


@pytest.mark.parametrize("settled", [True, False])
def test_a_changed_file_is_noticed(photos: list[Path], tmp_path: Path, settled: bool) -> None:
    """Also where size and modification time stay the same: the time of the change itself differs, or is too fresh."""
    photos = photos[:2]
    for path in photos:
        path.write_bytes(path.read_bytes().ljust(2000, b"\0"))
        os.utime(path, LONG_AGO)
    if settled:
        time.sleep(2.1)
    build(photos, tmp_path / "cache")
    photos[0].write_bytes(photos[1].read_bytes())
    os.utime(photos[0], LONG_AGO)
    cache = build(photos, tmp_path / "cache")
    assert np.array_equal(cache[0], cache[1])


def test_unchanged_files_are_not_read_again(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outfold.data import keys

    monkeypatch.setattr(keys, "_SETTLED_NS", -1_000_000_000)
    build(photos, tmp_path / "cache")
    monkeypatch.setattr(keys, "content_key", refuse)
    assert len(build(photos, tmp_path / "cache", prepare=refuse)) == 6
    (tmp_path / "cache" / "content_keys.json").write_text("{damaged")
    monkeypatch.undo()
    assert len(build(photos, tmp_path / "cache", prepare=refuse)) == 6


def test_another_preparation_or_order_is_another_cache(photos: list[Path], tmp_path: Path) -> None:
    folders = {
        build(photos, tmp_path / "cache").folder,
        build(photos, tmp_path / "cache", key="half").folder,
        build(photos[::-1], tmp_path / "cache").folder,
        build(photos[:4], tmp_path / "cache").folder,
    }
    assert len(folders) == 4


def test_bad_files_stop_with_a_list(photos: list[Path], tmp_path: Path) -> None:
    photos[2].write_bytes(photos[2].read_bytes()[:-20])
    photos[4].write_bytes(b"text")
    with pytest.raises(MediaError, match="2 of 6 photos cannot be used") as caught:
        build(photos, tmp_path / "cache")
    for part in ("row 2", str(photos[2]), "cut short", "row 4", "not an image"):
        assert part in str(caught.value)
    dropped = build(photos, tmp_path / "cache", prepare=refuse, on_bad="drop")
    assert list(dropped.bad) == [2, 4]
    assert np.array_equal(dropped[3], decode_image(photos[3]))
    with pytest.raises(MediaError, match="row 4"):
        dropped[4]


def test_rows_are_called_as_the_caller_wants(photos: list[Path], tmp_path: Path) -> None:
    photos[2].write_bytes(b"text")
    with pytest.raises(MediaError, match=r"train\.csv:4: .*2\.png: not an image"):
        build(photos, tmp_path / "cache", name_row=lambda row: f"train.csv:{row + 2}")


def test_rows_count_from_the_end_as_in_lists(photos: list[Path], tmp_path: Path) -> None:
    cache = build([*photos[:4], tmp_path / "none"], tmp_path / "cache", on_bad="drop")
    assert np.array_equal(cache[-2], cache[3])
    with pytest.raises(MediaError, match="row 4"):
        cache[-1]
    with pytest.raises(IndexError):
        cache[5]


def test_missing_files_stop_before_anything_is_prepared(photos: list[Path], tmp_path: Path) -> None:
    photos[0] = tmp_path / "none.jpg"
    with pytest.raises(MediaError, match="does not exist"):
        build(photos, tmp_path / "cache", prepare=refuse)
    cache = build(photos, tmp_path / "cache", on_bad="drop")
    assert list(cache.bad) == [0]
    assert cache.content_keys[0] == ""
    assert np.array_equal(cache[1], decode_image(photos[1]))


def test_long_lists_of_bad_files_are_counted(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"40 of 40 .*\n(.*\n)+.* and 30 more"):
        build([tmp_path / f"{number}.jpg" for number in range(40)], tmp_path / "cache")
    cache = build([tmp_path / "none.jpg"], tmp_path / "cache", on_bad="drop")
    assert list(cache.bad) == [0]
    assert cache.nbytes == 0


def test_progress_counts_distinct_photos(photos: list[Path], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    build(photos, tmp_path / "cache", progress=lambda *counts: seen.append(counts))
    assert seen == [(done, 5) for done in range(6)]


def test_photos_in_memory_are_bounded(photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for number in range(60):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text(str(number))
    prepared: list[int] = []
    written: list[int] = []
    ahead: list[int] = []

    def prepare(path: Path) -> np.ndarray:
        prepared.append(1)
        return np.zeros((2, 2, 3), np.uint8)

    def progress(done: int, total: int) -> None:
        written.append(done)
        ahead.append(len(prepared) - done)
        time.sleep(0.001)

    build(paths, tmp_path / "cache", prepare=prepare, progress=progress, workers=2)
    assert max(ahead) <= 2 * AHEAD + 1


def test_a_preparation_of_the_wrong_kind_is_refused(photos: list[Path], tmp_path: Path) -> None:
    with pytest.raises(OutfoldError, match=r"uint8 \(height, width, 3\)"):
        build(photos, tmp_path / "cache", prepare=lambda path: np.zeros((3, 3, 3)))
    assert leftovers(tmp_path / "cache") == []


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix not in (".lock", ".json")]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_error_leaves_nothing(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_write_index", fail)
        with pytest.raises(RunError, match="disk is full" if code == errno.ENOSPC else "cannot be written"):
            build(photos, tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []
    assert len(build(photos, tmp_path / "cache")) == 6


def test_a_real_failure_to_write_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file sizes makes the operating system refuse the arena's bytes."""
    paths = [tmp_path / "1.txt", tmp_path / "2.txt"]
    for path in paths:
        path.write_text(path.name)
    process = multiprocessing.get_context("fork").Process(
        target=_write_beyond_a_limit, args=(paths, tmp_path / "cache")
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    assert leftovers(tmp_path / "cache") == []


def _write_beyond_a_limit(paths: list[Path], folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        build(paths, folder, prepare=lambda path: np.zeros((2000, 2000, 3), np.uint8))
    except RunError:
        os._exit(0)
    os._exit(1)


def test_a_folder_that_cannot_be_made(photos: list[Path]) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        build(photos, photos[0] / "cache")


@pytest.mark.parametrize("part", ["arena.bin", "index.npz"])
def test_a_damaged_cache_is_noticed(photos: list[Path], tmp_path: Path, part: str) -> None:
    cache = build(photos, tmp_path / "cache")
    os.truncate(cache.folder / part, 10)
    with pytest.raises(RunError, match="damaged"):
        build(photos, tmp_path / "cache")


def test_pickling_sends_no_pixels(photos: list[Path], tmp_path: Path) -> None:
    photos[3].write_bytes(b"text")
    cache = build([*photos, tmp_path / "none"], tmp_path / "cache", on_bad="drop")
    copy = pickle.loads(pickle.dumps(cache))
    assert len(pickle.dumps(cache)) < 2000
    assert np.array_equal(copy[4], cache[4])
    assert copy.bad == cache.bad


def test_reading_from_several_threads(photos: list[Path], tmp_path: Path) -> None:
    cache = build(photos, tmp_path / "cache")
    sums = [int(decode_image(path).sum()) for path in photos]
    rows = np.random.default_rng(0).integers(0, 6, 2000)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda row: int(cache[row].sum()), rows)) == [sums[row] for row in rows]


def _slow_and_counted(path: Path) -> np.ndarray:
    time.sleep(0.1)
    with (path.parents[1] / "prepared.log").open("a") as log:
        log.write(f"{os.getpid()}\n")
    return decode_image(path)


def _build_in_process(paths: list[Path], folder: Path) -> int:
    cache = build(paths, folder, prepare=_slow_and_counted)
    return sum(int(pixels.sum()) for pixels in cache)


def test_of_two_processes_one_builds_and_the_other_waits(photos: list[Path], tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = [pool.apply_async(_build_in_process, (photos, tmp_path / "cache")) for _ in range(2)]
        sums = {result.get(60) for result in results}
    assert sums == {sum(int(decode_image(path).sum()) for path in photos)}
    builders = (tmp_path / "prepared.log").read_text().split()
    assert len(builders) == 5
    assert len(set(builders)) == 1


def test_a_killed_builder_leaves_the_way_free(photos: list[Path], tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_build_in_process, args=(photos, tmp_path / "cache"))
    process.start()
    while not list(tmp_path.glob("cache/*.partial")):
        time.sleep(0.01)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert leftovers(tmp_path / "cache") != []
    cache = build(photos, tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == [cache.folder.name]
    assert np.array_equal(cache[4], decode_image(photos[4]))


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OUTFOLD_CACHE", str(tmp_path))
    assert default_cache_folder() == tmp_path
    monkeypatch.delenv("OUTFOLD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_folder() == tmp_path / "xdg" / "outfold"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_folder() == Path.home() / ".cache" / "outfold"
