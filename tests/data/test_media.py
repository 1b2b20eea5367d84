"""Photos of every kind against PIL as the reference."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from outfold.data import media
from outfold.data.media import content_key, decode_image, probe_image, reduction
from outfold.errors import MediaError


def photo(height: int = 61, width: int = 83) -> np.ndarray:
    """A smooth picture with a different gradient in each channel, uint8 (h, w, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / (width - 1), 255 * y / (height - 1)
    return np.stack([red, green, 255 - (red + green) / 2], axis=2).round().astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def by_pil(data: bytes) -> np.ndarray:
    """The reference: PIL, upright, over white where it is transparent."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))


def assert_like_pil(data: bytes, tolerance: int = 0) -> None:
    ours, reference = decode_image(data).astype(int), by_pil(data).astype(int)
    assert ours.shape == reference.shape
    assert abs(ours - reference).max() <= tolerance


LOSSLESS = ["RGB", "L", "1", "P", "RGBA", "LA"]


@pytest.mark.parametrize("mode", LOSSLESS)
def test_png_modes(mode: str) -> None:
    image = Image.fromarray(photo())
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(photo()[..., 1]))
    assert_like_pil(encoded(image.convert(mode), "PNG"), tolerance=1)


def test_an_opaque_photo_is_exact() -> None:
    assert np.array_equal(decode_image(encoded(Image.fromarray(photo()), "PNG")), photo())


def test_palette_with_transparency() -> None:
    image = Image.fromarray(photo()).quantize(16)
    data = encoded(image, "PNG", transparency=3)
    assert_like_pil(data)
    assert (decode_image(data)[np.asarray(image) == 3] == 255).all()


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (255, 0, 127)), ("L", 7)])
def test_one_transparent_colour(mode: str, colour: object) -> None:
    image = Image.new(mode, (9, 5), colour)
    data = encoded(image, "PNG", transparency=colour)
    assert probe_image(data).has_transparency
    assert (decode_image(data) == 255).all()


def test_transparent_pixels_show_white_whatever_colour_they_hide() -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[2:, :, 3] = 255
    decoded = decode_image(encoded(Image.fromarray(rgba), "PNG"))
    assert (decoded[:2] == 255).all()
    assert (decoded[2:] == 0).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_modes(mode: str, progressive: bool) -> None:
    """OpenCV and PIL may ship different libjpeg versions, so a few levels of rounding are allowed."""
    data = encoded(Image.fromarray(photo()).convert(mode), "JPEG", quality=95, progressive=progressive)
    assert_like_pil(data, tolerance=3)


@pytest.mark.parametrize("kind", ["WEBP", "BMP", "TIFF", "GIF"])
def test_other_formats(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert_like_pil(encoded(Image.fromarray(photo()), kind, **options))


def test_16_bit_is_divided_by_256() -> None:
    values = np.array([[0, 255, 256, 511], [32768, 65279, 65280, 65535]], np.uint16)
    expected = np.repeat((values >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(decode_image(encoded(Image.fromarray(values), kind)), expected)


def test_16_bit_colour_follows_the_same_rule() -> None:
    import cv2

    values = np.arange(4 * 5 * 3, dtype=np.uint16).reshape(4, 5, 3) * 1000
    data = cv2.imencode(".png", values[..., ::-1])[1].tobytes()
    assert np.array_equal(decode_image(data), (values >> 8).astype(np.uint8))


def test_8_bit_values_stored_in_16_bits_come_back() -> None:
    grey = photo()[..., 0]
    data = encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")
    assert np.array_equal(decode_image(data)[..., 0], grey)


def test_pixels_without_a_known_range_are_refused() -> None:
    with pytest.raises(MediaError, match="floating point"):
        decode_image(encoded(Image.fromarray(np.full((3, 3), 0.5, np.float32)), "TIFF"))
    with pytest.raises(MediaError, match="32 bits"):
        decode_image(encoded(Image.fromarray(np.full((3, 3), 70_000, np.int32)), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(photo()), kind, exif=exif, **options)
    assert probe_image(data).orientation == orientation
    assert_like_pil(data, tolerance=3 if kind == "JPEG" else 0)


def test_exif_behind_the_pixels_of_a_png() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(photo()), "PNG", exif=exif)
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    assert_like_pil(moved)
    assert decode_image(moved).shape == (83, 61, 3)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    data = encoded(Image.fromarray(photo()), "JPEG", exif=exif)
    assert decode_image(data).shape == photo().shape


def test_upright_has_the_corner_where_exif_says() -> None:
    """The stored first pixel of orientations 1..8 is at top left, top right, bottom right, bottom left, .."""
    stored = np.zeros((2, 3, 1), np.uint8)
    stored[0, 0] = 1
    corners = [tuple(np.argwhere(media.upright(stored, kind))[0][:2]) for kind in range(1, 9)]
    assert corners == [(0, 0), (0, 2), (1, 2), (1, 0), (0, 0), (0, 1), (2, 1), (2, 0)]


@pytest.mark.parametrize(
    ("side", "wanted", "scale"),
    [(1000, None, 1), (1000, 1000, 1), (1000, 501, 1), (1000, 500, 2), (1000, 250, 4), (1000, 125, 8), (999, 125, 8)],
)
def test_reduction(side: int, wanted: int | None, scale: int) -> None:
    assert reduction(side, wanted) == scale


@pytest.mark.parametrize("height_width", [(640, 801), (803, 641), (1279, 777)])
@pytest.mark.parametrize("shortest_side", [80, 160, 161, 320, 640])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_is_decoded_smaller(height_width: tuple[int, int], shortest_side: int, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(photo(*height_width)), "JPEG", quality=95, exif=exif)
    decoded = decode_image(data, shortest_side=shortest_side)
    scale = reduction(min(height_width), shortest_side)
    height, width = (-(-side // scale) for side in height_width)
    assert decoded.shape[:2] == ((height, width) if orientation == 1 else (width, height))
    assert min(decoded.shape[:2]) >= shortest_side
    whole = Image.fromarray(decode_image(data)).resize(decoded.shape[1::-1], Image.Resampling.BOX)
    assert abs(np.asarray(whole).astype(int) - decoded).mean() < 1.5


def test_a_png_is_never_reduced() -> None:
    assert decode_image(encoded(Image.fromarray(photo(400, 400)), "PNG"), shortest_side=10).shape == (400, 400, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_a_file_cut_short_is_noticed(kind: str, share: float, tmp_path: Path) -> None:
    data = encoded(Image.fromarray(photo(120, 160)), kind)
    path = tmp_path / "cut.img"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(MediaError, match=r"cut\.img"):
        decode_image(path)


def test_a_jpeg_without_its_last_two_bytes_is_cut_short() -> None:
    data = encoded(Image.fromarray(photo()), "JPEG")
    with pytest.raises(MediaError, match="cut short"):
        decode_image(data[:-2])
    assert decode_image(data + b"\0" * 100).shape == photo().shape  # cameras append what they like


def test_the_thumbnail_of_a_jpeg_does_not_hide_that_it_is_cut_short() -> None:
    thumbnail = encoded(Image.fromarray(photo(8, 8)), "JPEG")
    data = encoded(Image.fromarray(photo(200, 200)), "JPEG", exif=b"Exif\0\0" + thumbnail)
    assert decode_image(data).shape == (200, 200, 3)
    with pytest.raises(MediaError, match="cut short"):
        decode_image(data[: len(data) * 2 // 3])


def test_a_png_with_damaged_pixels_is_refused() -> None:
    data = bytearray(encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(MediaError, match="damaged"):
        decode_image(bytes(data))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "not an image"),
        (b"\xff\xd8\xff", "not an image"),
        (b"\0" * 99, "not"),
    ],
)
def test_files_that_are_no_image(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    for read in (decode_image, probe_image):
        with pytest.raises(MediaError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        decode_image(tmp_path / "none.jpg")
    with pytest.raises(MediaError, match="cannot be read"):
        decode_image(tmp_path)
    with pytest.raises(MediaError, match="does not exist"):
        content_key(tmp_path / "none.jpg")


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encoded(Image.fromarray(photo()), "PNG"))
    assert np.array_equal(decode_image(path), photo())
    assert probe_image(path).format == "PNG"


def test_too_many_pixels_are_refused_by_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(photo()), "PNG")
    monkeypatch.setattr(media, "MAX_PIXELS", 1000)
    with pytest.raises(MediaError, match="too large"):
        decode_image(data)


def test_a_decompression_bomb_is_an_error_not_a_crash() -> None:
    header = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4) + b"IHDR" + (60_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    import zlib

    bomb = header + zlib.crc32(header[12:]).to_bytes(4) + b"\0\0\0\0IEND\xaeB`\x82"
    with pytest.raises(MediaError, match="too large"):
        decode_image(bomb)


def test_probe_reads_the_header(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(encoded(Image.fromarray(photo()).convert("L"), "JPEG"))
    info = probe_image(path)
    assert (info.format, info.mode, info.width, info.height) == ("JPEG", "L", 83, 61)
    assert info.bytes == path.stat().st_size


def test_content_key_depends_on_the_bytes_alone(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (content_key(tmp_path / name) for name in "abc")
    assert a == b != c
    assert len(a) == 40


def test_real_photos_like_pil(shared_data) -> None:  # type: ignore[no-untyped-def]
    folder = shared_data("grocery")
    for path in sorted(folder.rglob("*.jpg"))[::500]:
        assert_like_pil(path.read_bytes(), tolerance=3)
