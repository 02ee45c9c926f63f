"""What a scan notes about one image: what it is, whether its name is true, and what finds its duplicates."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convscope.data.preparing.decode import explaining, open_image, orientation, pixels

THUMBNAIL = 32
"""The side of a thumbnail in pixels."""

# Duplicates are sought at no more than this size, so that a large JPEG is decoded at a fraction of its scale.
_ENOUGH = 256

_FORMATS = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "PNG": ("png",),
    "WEBP": ("webp",),
    "GIF": ("gif",),
    "BMP": ("bmp",),
    "TIFF": ("tif", "tiff"),
    "PPM": ("ppm", "pgm", "pbm", "pnm"),
    "AVIF": ("avif",),
    "JPEG2000": ("jp2", "j2k"),
}
_FORMAT_OF = {ending: name for name, endings in _FORMATS.items() for ending in endings}


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The facts of one image. `height` and `width` are as stored, before EXIF orientation.

    `mode` is L, LA, P, RGB, RGBA, CMYK, "16-bit" or another of Pillow's; `turned` says that EXIF orientation
    applies; `actual` is the format where the ending promises another one, else ""; `digest` is equal for
    images of equal pixels; `thumbnail` is grey, uint8 32×32, proportions ignored.
    """

    height: int
    width: int
    mode: str
    turned: bool
    actual: str
    digest: bytes
    thumbnail: NDArray[np.uint8]


def facts_of_file(content: bytes, name: str) -> ImageFacts:
    """The facts of an encoded image; its pixels are decoded, so damage shows.

    Args:
        content: the bytes of the file.
        name: what errors call it; its ending is compared with the content.

    Raises:
        UnreadableImage: it cannot be decoded.
    """
    with explaining(name):
        opened = open_image(content, name=name)
        width, height = opened.size
        mode, turned, actual = _mode(opened, content), orientation(opened) > 1, _actual_format(opened, name)
        opened.draft(None, (2 * _ENOUGH, 2 * _ENOUGH))
        array = pixels(opened, 3, name=name)
    return ImageFacts(height, width, mode, turned, actual, _digest(array), _thumbnail(array))


def facts_of_array(image: NDArray[np.uint8]) -> ImageFacts:
    """The facts of an image that was never a file: uint8 H×W×C.

    >>> facts_of_array(np.zeros((28, 28, 1), np.uint8)).mode
    'L'
    """
    mode = "L" if image.shape[2] == 1 else "RGB"
    return ImageFacts(image.shape[0], image.shape[1], mode, False, "", _digest(image), _thumbnail(image))


def _mode(opened: Image.Image, content: bytes) -> str:
    # Byte 24 is the bit depth in a PNG's first chunk; Pillow gives 8 bits of 16 in colour, silently.
    sixteen = content[:8] == b"\x89PNG\r\n\x1a\n" and content[24] == 16
    return "16-bit" if sixteen or opened.mode.startswith("I") else opened.mode


def _actual_format(opened: Image.Image, name: str) -> str:
    # MPO is a JPEG with a second image behind it.
    actual = "JPEG" if opened.format == "MPO" else str(opened.format)
    promised = _FORMAT_OF.get(PurePosixPath(name).suffix.lower().lstrip("."))
    return actual if promised not in (None, actual) else ""


def _digest(array: NDArray[np.uint8]) -> bytes:
    digest = hashlib.sha256(str(array.shape).encode())
    digest.update(np.ascontiguousarray(array).data)
    # 128 bits: a million images collide by chance with a probability of 10^-27.
    return digest.digest()[:16]


def _thumbnail(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Proportions go: a copy that was stretched is found as well.
    grey = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).convert("L")
    return np.array(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR), dtype=np.uint8)
