"""The store of prepared photos: sizes and crops, sharing, damage, killed processes, full disks."""

import errno
import multiprocessing
import os
import pickle
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from outfold.data import prepared as prepared_module
from outfold.data.jpeg import is_whole, read_jpeg, stored_pixels, write_jpeg
from outfold.data.media import content_key, decode_image
from outfold.data.prepared import Prepared, Store, prepare_photos, store_name, stored_size
from outfold.errors import MediaError, RunError
from outfold.settings.data import Prepare


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A photo without fine noise, as JPEG is made for."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 20 + 2, width // 20 + 2, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 images."""
    assert one.shape == other.shape
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Five photos of different shapes; the last has the content of the second."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shapes = [(300, 400), (400, 300), (301, 300), (90, 120)]
    paths = [folder / f"{number}.{'png' if number == 2 else 'jpg'}" for number in range(5)]
    for number, (path, shape) in enumerate(zip(paths, shapes, strict=False)):
        Image.fromarray(smooth(*shape, seed=number)).save(path, quality=95)
    paths[4].write_bytes(paths[1].read_bytes())
    return paths


def prepared(paths: list[Path], folder: Path, *sizes: int, **options: object) -> Prepared:
    settings = Prepare(**{name: options.pop(name) for name in ("crop", "quality") if name in options})  # type: ignore[arg-type]
    return prepare_photos(paths, Store(folder, settings), sizes, **{"workers": 2, **options})  # type: ignore[arg-type]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".lock", ".json"))


def refuse(*_: object, **__: object) -> np.ndarray:
    raise AssertionError("a photo is made a second time")


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 70))
def test_the_square_is_the_exact_centre(height: int, width: int, size: int) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    side = min(height, width)
    square = np.asarray(Image.fromarray(photo))[
        (height - side) // 2 : (height - side) // 2 + side, (width - side) // 2 : (width - side) // 2 + side
    ]
    stored = stored_pixels(photo, "square", size)
    assert stored.shape == (min(side, size), min(side, size), 3)
    if size >= side:
        assert np.array_equal(stored, square)
    else:
        assert np.array_equal(stored, cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA))
    whole = stored_pixels(photo, "none", size)
    assert min(whole.shape[:2]) == min(side, size)
    assert abs(whole.shape[0] * width - whole.shape[1] * height) <= max(height, width) / 2


def test_the_smallest_size_that_is_large_enough_is_read() -> None:
    sizes = (512, 1024, 768)
    read = [stored_size(sizes, side) for side in (1, 512, 513, 768, 769, 1024, 2000)]
    assert read == [512, 512, 768, 768, 1024, 1024, 1024]


@pytest.mark.parametrize("crop", ["square", "none"])
def test_stored_photos_look_like_their_originals(photos: list[Path], tmp_path: Path, crop: str) -> None:
    """Against a resize of the fully decoded photo."""
    source = prepared(photos, tmp_path / "store", 128, crop=crop).photos(128)
    assert len(source) == 5
    assert source.bad == {}
    assert source.content_keys == tuple(map(content_key, photos))
    for row, path in enumerate(photos):
        reference = stored_pixels(decode_image(path), crop, 128)  # type: ignore[arg-type]
        assert psnr(source[row], reference) > 35
    assert [photo.shape for photo in source] == [source[row].shape for row in range(5)]


def test_quality_decides_fidelity_and_room(photos: list[Path], tmp_path: Path) -> None:
    reference = stored_pixels(decode_image(photos[0]), "square", 256)
    fidelity, room = [], []
    for quality in (50, 80, 95):
        source = prepared(photos[:1], tmp_path / "store", 256, quality=quality)
        fidelity.append(psnr(source.photos(256)[0], reference))
        room.append(sum(path.stat().st_size for path in source.files(256)))
    assert fidelity == sorted(fidelity)
    assert room == sorted(room)


def test_real_photos_keep_their_look(shared_data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    paths = sorted((shared_data("ham10000") / "images").glob("*.jpg"))[:40]
    source = prepared(paths, tmp_path / "store", 128).photos(128)
    fidelity = [psnr(source[row], stored_pixels(decode_image(path), "square", 128)) for row, path in enumerate(paths)]
    assert min(fidelity) > 35
    assert np.median(fidelity) > 40


def test_members_of_one_size_share_a_file(photos: list[Path], tmp_path: Path) -> None:
    store = prepared(photos, tmp_path / "store", 128, 256)
    assert len(files(tmp_path / "store")) == 2 * 4
    one, other, larger = store.photos(100), store.photos(128), store.photos(200)
    assert (one.size, other.size, larger.size) == (128, 128, 256)
    assert np.array_equal(one[0], other[0])
    assert larger[0].shape == (256, 256, 3)
    assert store.photos(1000).size == 256


def test_small_members_decode_large_files_at_a_fraction(photos: list[Path], tmp_path: Path) -> None:
    store = prepared(photos, tmp_path / "store", 256)
    half = store.photos(100)[0]
    assert half.shape == (128, 128, 3)
    assert psnr(half, cv2.resize(store.photos(256)[0], (128, 128), interpolation=cv2.INTER_AREA)) > 38
    assert store.photos(100)[3].shape == (90, 90, 3)  # the photo has no more


def test_what_is_stored_does_not_depend_on_the_other_sizes(photos: list[Path], tmp_path: Path) -> None:
    together = prepared(photos, tmp_path / "together", 30, 60, 90, 128, 256)
    for size in together.sizes:
        alone = prepared(photos, tmp_path / "alone", size)
        assert [file.read_bytes() for file in sorted(together.files(size))] == [
            file.read_bytes() for file in sorted(alone.files(size))
        ]


def test_one_more_photo_is_one_more_file(photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(photos[:3], tmp_path / "store", 128)
    before = {path: path.stat().st_mtime_ns for path in files(tmp_path / "store")}
    made: list[int] = []
    write = prepared_module.write_jpeg
    monkeypatch.setattr(prepared_module, "write_jpeg", lambda *arguments: (made.append(1), write(*arguments)))
    seen: list[tuple[int, int]] = []
    prepared(photos[::-1], tmp_path / "store", 128, progress=lambda *counts: seen.append(counts))
    after = {path: path.stat().st_mtime_ns for path in files(tmp_path / "store")}
    assert len(made) == 1
    assert seen == [(3, 4), (4, 4)]
    assert len(after) == 4
    assert before.items() <= after.items()


def test_moved_photos_keep_their_files(photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(photos, tmp_path / "store", 128)
    moved = [path.rename(path.with_name(f"moved {path.name}")) for path in photos]
    monkeypatch.setattr(prepared_module, "decode_photo", refuse)
    assert len(prepared(moved, tmp_path / "store", 128).photos(128)) == 5


def test_a_small_photo_takes_room_once(photos: list[Path], tmp_path: Path) -> None:
    store = prepared(photos[3:4], tmp_path / "store", 64, 128, 256)
    places = [next(iter(store.files(size))) for size in (64, 128, 256)]
    inodes = [place.stat().st_ino for place in places]
    assert inodes[1] == inodes[2] != inodes[0]
    assert np.array_equal(store.photos(128)[0], store.photos(256)[0])
    assert store.photos(256)[0].shape == (90, 90, 3)


def test_equal_photos_are_written_where_names_cannot_be_shared(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", fail)
    store = prepared(photos[3:4], tmp_path / "store", 128, 256)
    assert np.array_equal(store.photos(128)[0], store.photos(256)[0])
    assert len(files(tmp_path / "store")) == 2


@pytest.mark.parametrize("damage", ["empty", "cut", "gone", "header", "text"])
@pytest.mark.parametrize("again", [True, False])
def test_a_damaged_file_is_made_anew(photos: list[Path], tmp_path: Path, damage: str, again: bool) -> None:
    """Where a store is opened, and where a photo is read."""
    store = prepared(photos, tmp_path / "store", 128)
    whole = store.photos(128)[0]
    (place,) = prepared(photos[:1], tmp_path / "store", 128).files(128)
    data = place.read_bytes()
    if damage == "gone":
        place.unlink()
    else:
        place.write_bytes(
            {"empty": b"", "cut": data[:-100], "header": b"\xff\xd8" + b"\0" * 90 + b"\xff\xd9", "text": b"x"}[damage]
        )
    store = prepared(photos, tmp_path / "store", 128) if again else store
    assert np.array_equal(store.photos(128)[0], whole)
    assert place.read_bytes() == data


def test_many_threads_mend_one_file(photos: list[Path], tmp_path: Path) -> None:
    source = prepared(photos, tmp_path / "store", 128).photos(128)
    whole = source[0]
    for path in files(tmp_path / "store"):
        path.write_bytes(b"\xff\xd9")
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: source[0], range(16)))
    assert all(np.array_equal(photo, whole) for photo in read)


def test_bad_photos_stop_with_a_list_or_are_dropped(photos: list[Path], tmp_path: Path) -> None:
    photos[0].write_bytes(photos[0].read_bytes()[:-500])
    photos[3].write_text("text")
    photos.append(tmp_path / "none.jpg")
    with pytest.raises(MediaError, match="1 of 6 photos cannot be used"):
        prepared(photos, tmp_path / "store", 128)
    with pytest.raises(MediaError, match="2 of 5 photos cannot be used") as caught:
        prepared(photos[:5], tmp_path / "store", 128, name_row=lambda row: f"train.csv:{row + 2}")
    for part in (f"train.csv:2: {photos[0]}", "cut short", f"train.csv:5: {photos[3]}", "not an image"):
        assert part in str(caught.value)
    source = prepared(photos, tmp_path / "store", 128, on_bad="drop").photos(128)
    assert list(source.bad) == [0, 3, 5]
    assert source[1].shape == (128, 128, 3)
    with pytest.raises(MediaError, match="row 3 has no stored photo"):
        source[3]
    assert len(files(tmp_path / "store")) == 2


def test_a_photo_that_changed_is_not_stored_under_its_old_name(photos: list[Path], tmp_path: Path) -> None:
    source = prepared(photos, tmp_path / "store", 128).photos(128)
    for path in files(tmp_path / "store"):
        path.unlink()
    photos[0].write_bytes(photos[1].read_bytes())
    with pytest.raises(MediaError, match="has changed since"):
        source[0]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_error_leaves_nothing_half_written(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    write = Path.write_bytes

    def fail(path: Path, data: bytes) -> int:
        if path.suffix != ".part":
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(RunError, match="disk is full" if code == errno.ENOSPC else "cannot be written"):
            prepared(photos, tmp_path / "store", 128)
    assert files(tmp_path / "store") == []
    assert len(prepared(photos, tmp_path / "store", 128).photos(128)) == 5


def test_a_killed_process_leaves_a_usable_store(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(60)]
    for number, path in enumerate(paths):
        Image.fromarray(smooth(80, 100, seed=number)).save(path)
    process = multiprocessing.get_context("fork").Process(target=prepared, args=(paths, tmp_path / "store", 32, 64))
    process.start()
    while len(files(tmp_path / "store")) < 20:
        time.sleep(0.001)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    there = [path for path in files(tmp_path / "store") if path.suffix == ".jpg"]
    assert all(read_jpeg(path, 32) is not None for path in there)
    store = prepared(paths, tmp_path / "store", 32, 64)
    assert len(files(tmp_path / "store")) == 120
    assert all(is_whole(path) for path in files(tmp_path / "store"))
    assert all(photo.shape == (64, 64, 3) for photo in store.photos(64))


def test_processes_share_a_store(photos: list[Path], tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=prepared, args=(photos, tmp_path / "store", 64, 128)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len(files(tmp_path / "store")) == 8


def test_photos_travel_to_other_processes(photos: list[Path], tmp_path: Path) -> None:
    source = prepared(photos, tmp_path / "store", 128).photos(128)
    assert np.array_equal(pickle.loads(pickle.dumps(source))[2], source[2])


def test_another_way_is_another_folder(photos: list[Path], tmp_path: Path) -> None:
    names = [store_name(Prepare(), 512), store_name(Prepare(quality=90), 512), store_name(Prepare(crop="none"), 512)]
    assert names == ["square-512-q95-v1", "square-512-q90-v1", "none-512-q95-v1"]
    store = prepared(photos, tmp_path / "store", 128)
    (key,) = {path.stem for path in store.files(128)} & {content_key(photos[0])}
    assert (tmp_path / "store" / "square-128-q95-v1" / key[:2] / f"{key}.jpg").is_file()


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 10, 50, 100]), st.integers(1, 50))
def test_files_of_any_size_and_quality_are_read_back(height: int, width: int, quality: int, side: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "x.jpg"
        write_jpeg(place, np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), quality)
        photo = read_jpeg(place, side)
    assert photo is not None
    assert min(photo.shape[:2]) >= min(side, height, width)
    assert photo.shape[0] in {-(-height // scale) for scale in (1, 2, 4, 8)}
