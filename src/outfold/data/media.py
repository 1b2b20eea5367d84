"""Photos: from any file to upright 8-bit RGB, or an error that says what is wrong with the file.

OpenCV decodes what it decodes like PIL and faster: 8-bit grey and RGB JPEG and PNG. Everything else goes through PIL,
because OpenCV drops transparency, misreads CMYK and palettes with transparency, or cannot read the format at all. A
look at the header decides; both ways give the same pixels in the tests.
"""

import hashlib
import io
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from outfold.errors import MediaError

MAX_PIXELS = 178_956_970
"""Largest photo that is decoded: PIL's own limit, 512 MiB as RGB."""
_ORIENTATION_TAG = 0x0112
_JPEG_FORMATS = ("JPEG", "MPO")
_JPEG_END = b"\xff\xd9"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_REDUCED = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
_EIGHT_BIT = {"RGB", "L"}
_TRANSPARENT = {"RGBA", "LA", "PA", "RGBa", "La"}


@dataclass(frozen=True)
class ImageInfo:
    """What a photo's header says."""

    format: str
    """PIL's name: JPEG, PNG, .."""
    mode: str
    """PIL's name: RGB, L, P, CMYK, .."""
    width: int
    """Pixels as stored, before the EXIF orientation."""
    height: int
    bytes: int
    """Size of the file."""
    orientation: int = 1
    """EXIF orientation, 1..8."""
    has_transparency: bool = False

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height in pixels of the photo as it is shown, with its orientation applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def probe_image(source: Path | str | bytes) -> ImageInfo:
    """Read a photo's header; no pixel is decoded, so a photo cut short later on is not noticed."""
    data = _read(source)
    with _open(data, _name(source)) as image:
        return _info(image, data)


def decode_image(source: Path | str | bytes, *, shortest_side: int | None = None) -> np.ndarray:
    """Decode a photo to upright RGB.

    The EXIF orientation is applied. Transparent parts show white. 16-bit values are divided by 256, as libpng does. Of
    several frames the first is read. Colour profiles are not applied.

    Args:
        source: a file, or its bytes.
        shortest_side: pixels that the result's shorter side needs; a JPEG at least twice as large is decoded at 1/2,
            1/4 or 1/8 of its size, so long as the shorter side stays at least this long.

    Returns:
        uint8 (h, w, 3), contiguous.

    Raises:
        MediaError: the file is missing, empty, not an image, cut short, damaged, or larger than MAX_PIXELS.
    """
    data, name = _read(source), _name(source)
    with _open(data, name) as image:
        info = _info(image, data)
        if info.width * info.height > MAX_PIXELS:
            raise _too_large(name, f"{info.width} x {info.height} pixels")
        _refuse_faulty(data, info, name)
        pixels = _decode_opencv(data, info, shortest_side) if _opencv_is_right(info) else None
        if pixels is not None:
            return upright(pixels, info.orientation)
        pixels = _decode_pil(image, name)
        return upright(pixels, _orientation(image, data))  # read again: PIL turns a TIFF while it loads


def content_key(path: Path) -> str:
    """BLAKE2b of the file's bytes, 40 hexadecimal digits: equal files have equal keys, wherever they lie."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
    except OSError as error:
        raise _unreadable(str(path), error) from error


def content_key_of(data: bytes) -> str:
    """The content key of a file that holds these bytes."""
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation (1..8, section 4.6.4 of Exif 2.32) of (h, w, c) pixels; contiguous."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _read(source: Path | str | bytes) -> bytes:
    if isinstance(source, bytes):
        data = source
    else:
        try:
            data = Path(source).read_bytes()
        except OSError as error:
            raise _unreadable(str(source), error) from error
    if not data:
        raise MediaError(f"{_name(source)}: the file is empty (0 bytes)")
    return data


def _name(source: Path | str | bytes) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else str(source)


def _open(data: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise _too_large(name, str(error)) from error
    except Exception as error:  # PIL's readers raise whatever the damage leads them to
        raise MediaError(
            f"{name}: not an image that can be read", got=f"a file that starts with {data[:16]!r}"
        ) from error


def _info(image: Image.Image, data: bytes) -> ImageInfo:
    return ImageInfo(
        format=image.format or "unknown",
        mode=image.mode,
        width=image.width,
        height=image.height,
        bytes=len(data),
        orientation=_orientation(image, data),
        has_transparency=image.mode in _TRANSPARENT or "transparency" in image.info,
    )


def _orientation(image: Image.Image, data: bytes) -> int:
    """The EXIF orientation; 1 where there is none or its block is damaged, as viewers do."""
    try:
        value = _exif(image, data).get(_ORIENTATION_TAG, 1)
    except (OSError, SyntaxError, ValueError, TypeError, struct.error):
        return 1
    return value if value in range(1, 9) else 1


def _exif(image: Image.Image, data: bytes) -> Image.Exif:
    """PIL's own, except that PIL would decode a whole PNG to look for EXIF behind its pixels, where it seldom is."""
    if image.format != "PNG" or data.find(b"eXIf", data.find(b"IDAT") + 1) >= 0:
        return image.getexif()
    return Image.Image.getexif(image)


def _refuse_faulty(data: bytes, info: ImageInfo, name: str) -> None:
    """MediaError for a JPEG or PNG that is cut short or damaged; OpenCV would fill the rest with grey."""
    if info.format in _JPEG_FORMATS:
        fault = "cut short" if data.find(_JPEG_END, _first_scan(data)) < 0 else None
    else:
        fault = _png_fault(data) if info.format == "PNG" else None
    if fault is not None:
        raise MediaError(f"{name}: the {info.format} is {fault}", got=f"{len(data)} bytes")


def _png_fault(data: bytes) -> str | None:
    """What is wrong with the critical chunks (length, name, content, CRC-32) up to IEND; None if nothing is."""
    offset = len(_PNG_SIGNATURE)
    while offset + 12 <= len(data):
        end = offset + 12 + int.from_bytes(data[offset : offset + 4])
        name = data[offset + 4 : offset + 8]
        if end > len(data):
            break
        if name[0] < ord("a") and zlib.crc32(memoryview(data)[offset + 4 : end - 4]) != int.from_bytes(
            data[end - 4 : end]
        ):
            return f"damaged: a wrong checksum in chunk {name!r}"
        if name == b"IEND":
            return None
        offset = end
    return "cut short"


def _first_scan(data: bytes) -> int:
    """Offset of a JPEG's first scan, behind the segments whose thumbnails have end markers of their own."""
    offset = 2
    while offset + 4 <= len(data) and data[offset + 1] != 0xDA:
        padding = data[offset + 1] == 0xFF
        offset += 1 if padding else 2 + int.from_bytes(data[offset + 2 : offset + 4])
    return offset


def _opencv_is_right(info: ImageInfo) -> bool:
    return info.format in (*_JPEG_FORMATS, "PNG") and info.mode in _EIGHT_BIT and not info.has_transparency


def _decode_opencv(data: bytes, info: ImageInfo, shortest_side: int | None) -> np.ndarray | None:
    """RGB pixels as stored, or None where OpenCV gives up; PIL then says why."""
    flags = _REDUCED.get(decoding_scale(info, shortest_side), cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        return None
    return None if pixels is None else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def decoding_scale(info: ImageInfo, shortest_side: int | None) -> int:
    """1 / this is the part of its size at which `decode_image` decodes a photo: 1, and for a JPEG also 2, 4 or 8."""
    return reduction(min(info.width, info.height), shortest_side) if info.format in _JPEG_FORMATS else 1


def reduction(side: int, shortest_side: int | None) -> int:
    """The largest of 1, 2, 4, 8 that leaves ceil(side / it), libjpeg's size, at least `shortest_side`."""
    if shortest_side is None:
        return 1
    return next((scale for scale in (8, 4, 2) if -(-side // scale) >= shortest_side), 1)


def _decode_pil(image: Image.Image, name: str) -> np.ndarray:
    try:
        image.load()
        if image.mode.startswith(("I", "F")):
            return _grey_to_rgb(_eight_bit(np.asarray(image), image.mode, name))
        if image.mode in _TRANSPARENT or "transparency" in image.info:
            return _over_white(np.asarray(image.convert("RGBA")))
        return np.array(image.convert("RGB"))
    except MediaError:
        raise
    except Exception as error:  # PIL's readers raise whatever the damage leads them to
        raise MediaError(f"{name}: the image is damaged or cut short", got=str(error)) from error


def _eight_bit(values: np.ndarray, mode: str, name: str) -> np.ndarray:
    """16-bit grey (h, w) to uint8; wider types have no known range, so they are refused."""
    if mode.startswith("F") or values.min() < 0 or values.max() > 65535:
        raise MediaError(
            f"{name}: pixels of {'floating point' if mode.startswith('F') else '32 bits'} have no known range",
            expected="8 or 16 bits a channel",
            fix="convert the photos to 8 or 16 bits",
        )
    return (values >> 8).astype(np.uint8)


def _grey_to_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _over_white(rgba: np.ndarray) -> np.ndarray:
    """Straight-alpha uint8 (h, w, 4) over white, rounded: round((c a + 255 (255 - a)) / 255)."""
    colour, alpha = rgba[..., :3].astype(np.uint16), rgba[..., 3:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _unreadable(name: str, error: OSError) -> MediaError:
    if isinstance(error, FileNotFoundError):
        return MediaError(f"{name}: the file does not exist")
    return MediaError(f"{name}: the file cannot be read", got=error.strerror or os.strerror(error.errno or 0))


def _too_large(name: str, got: str) -> MediaError:
    return MediaError(
        f"{name}: the image is too large to decode",
        got=got,
        expected=f"at most {MAX_PIXELS} pixels",
        fix="scale it down",
    )
