"""From whatever a person calls an image to uint8 pixels, or a named reason why not."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from convscope.core.errors import UserError

ImageLike: TypeAlias = bytes | str | Path | Image.Image | NDArray[np.uint8]
Trouble: TypeAlias = Literal["unavailable", "empty", "unreadable", "truncated", "bomb"]

PIXEL_LIMIT = 120_000_000
"""Pixels above which a header alone is refused: a 108-megapixel telephone passes, and costs 360 MB."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
"""The formats that are opened. A short list is a safe one: Pillow's EPS reader, say, runs Ghostscript."""

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_METADATA = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
# What Pillow's readers say of a file that ends too early, each in its own way.
_CUT_SHORT = (
    *("truncated", "unexpected end", "broken png"),
    *("broken data stream", "cannot read that", "not enough"),
)

_PIXELS_ALLOWED = f"allowed are {PIXEL_LIMIT // 1_000_000} million; make it smaller, or leave it out"
_REASONS: tuple[tuple[type[Exception], str, Trouble], ...] = (
    (FileNotFoundError, "there is no such file", "unavailable"),
    (IsADirectoryError, "this is a folder", "unreadable"),
    (PermissionError, "no permission to read it", "unavailable"),
    (
        UnidentifiedImageError,
        f"not an image, or of a format not read here ({', '.join(FORMATS)})",
        "unreadable",
    ),
    (Image.DecompressionBombError, f"its header promises far too many pixels; {_PIXELS_ALLOWED}", "bomb"),
    (MemoryError, "decoding it needs more memory than there is", "unavailable"),
)

# `warnings.catch_warnings` changes a list that all threads share, so the two short calls that warn take
# turns.
_quiet_lock = threading.Lock()


class UnreadableImage(UserError):  # noqa: N818, a fact about a file
    """An image that cannot be decoded: `name` is which, `reason` what is wrong, `trouble` the kind.

    "unavailable" is what the system says about a file (absent, no permission); the other kinds are in its
    bytes.

    >>> str(UnreadableImage("cat.jpg", "the file has 0 bytes", "empty"))
    'cannot read the image cat.jpg: the file has 0 bytes'
    """

    def __init__(self, name: str, reason: str, trouble: Trouble = "unreadable") -> None:
        super().__init__(f"cannot read the image {name}: {reason}")
        self.name, self.reason, self.trouble = name, reason, trouble

    # Pickle calls a class with `args`, which hold the message and not these three.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.reason, self.trouble)


def decode(
    image: ImageLike, channels: int = 3, *, at_least: tuple[int, int] | None = None, name: str | None = None
) -> NDArray[np.uint8]:
    """The pixels of an image, upright. Every mode has one meaning:

    * EXIF orientation is applied; of an animation, the first frame counts;
    * transparency (alpha, palette or colour key) is composited on white;
    * grey is ITU-R 601-2 luma, 0.299 R + 0.587 G + 0.114 B; CMYK, YCbCr and LAB go through RGB;
    * 16-bit samples are scaled, v / 257, not clipped; 32-bit integers count as 16-bit samples; floats are
      0..1, or 0..255 when one exceeds 1; other ranges are refused.

    Args:
        image: a path, the bytes of a file, a PIL image, or an array (uint8 H×W, H×W×1, H×W×3, or H×W×4 with
            alpha).
        channels: 1 or 3.
        at_least: (height, width); a JPEG of twice that size or more may be decoded at 1/2, 1/4 or 1/8 scale,
            never below twice `at_least`: several times faster, for callers that shrink the image anyway.
        name: what errors call the image; its path by default.

    Returns:
        uint8 H×W×C, writable; an array that fits already is returned itself.

    Raises:
        UnreadableImage: the file is missing, empty, damaged, cut short, of a foreign format, or above
            `PIXEL_LIMIT` (120 megapixels, read from the header, nothing decoded).
        UserError: the arguments make no sense.

    >>> decode(np.full((2, 3), 7, np.uint8), 3).shape
    (2, 3, 3)
    """
    if channels not in (1, 3):
        raise UserError(f"an image cannot have {channels!r} channels here; allowed: 1 (grey) or 3 (RGB)")
    if isinstance(image, np.ndarray):
        return _from_array(image, channels)
    label = name or _name_of(image)
    with explaining(label):
        opened = open_image(image, name=label)
        if at_least is not None and opened.format == "JPEG" and not isinstance(image, Image.Image):
            # Upright or not is not known yet, so both sides allow for the larger one.
            side = 2 * max(at_least)
            opened.draft(None, (side, side))
        return pixels(opened, channels, name=label)


def open_image(image: bytes | str | Path | Image.Image, *, name: str | None = None) -> Image.Image:
    """A PIL image whose header is read and whose size is allowed; its pixels are not decoded yet.

    Args:
        image: a path, the bytes of a file, or a PIL image.
        name: what errors call it.

    Raises:
        UnreadableImage: as `decode` does.

    >>> open_image(Image.new("L", (4, 2))).size
    (4, 2)
    """
    label = name or _name_of(image)
    if isinstance(image, Image.Image):
        opened = image
    else:
        content = image if isinstance(image, bytes) else read_bytes(image)
        if not content:
            raise UnreadableImage(label, "the file has 0 bytes", "empty")
        # Pillow warns above half the limit of a bomb; the size is checked below.
        with explaining(label), _quiet():
            opened = Image.open(BytesIO(content), formats=FORMATS)
    # From the header: a bomb of 10 kB may hold 10 gigapixels, and nothing of it is decoded.
    width, height = opened.size
    if width * height > PIXEL_LIMIT:
        raise UnreadableImage(
            label, f"its header promises {width}×{height} pixels; {_PIXELS_ALLOWED}", "bomb"
        )
    return opened


def pixels(opened: Image.Image, channels: int, *, name: str) -> NDArray[np.uint8]:
    """The pixels of an open PIL image, as `decode` promises them.

    Args:
        opened: what `open_image` gave.
        channels: 1 or 3.
        name: what errors call the image.

    Returns:
        uint8 H×W×C, writable.
    """
    opened.load()
    image = _upright(opened)
    if image.mode.startswith(("I", "F")):
        # Pillow clips 16-bit samples at 255 when it converts: X-rays would come out white.
        image = Image.fromarray(_to_eight_bits(np.asarray(image), name))
    if image.has_transparency_data:
        image = _on_white(image)
    if image.mode != ("L" if channels == 1 else "RGB"):
        # Other modes go through RGB, so that grey is the same luma for all.
        image = image.convert("RGB") if image.mode not in ("1", "L", "RGB") else image
        image = image.convert("L" if channels == 1 else "RGB")
    array = np.array(image, dtype=np.uint8)
    return array[:, :, None] if channels == 1 else array


def orientation(opened: Image.Image) -> int:
    """The EXIF orientation of an open image, 1 (upright) to 8; 1 where there is none or it makes no sense.

    >>> orientation(Image.new("RGB", (1, 1)))
    1
    """
    # Most images have none, and asking Pillow for it parses the metadata.
    if not any(key in opened.info for key in _METADATA):
        return 1
    try:
        with _quiet():
            value = opened.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata raises what it likes; the pixels are still good
        return 1
    return value if isinstance(value, int) and value in _TRANSPOSE else 1


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file; a file that cannot be read is an `UnreadableImage` that says why."""
    with explaining(str(path)):
        return Path(path).read_bytes()


@contextmanager
def explaining(name: str) -> Iterator[None]:
    """Turn whatever reading or decoding raises inside into an `UnreadableImage` called `name`.

    >>> with explaining("cat.jpg"):
    ...     raise OSError("image file is truncated (3 bytes not processed)")
    Traceback (most recent call last):
    convscope.data.preparing.decode.UnreadableImage: cannot read the image cat.jpg: the file is cut short
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything, SyntaxError included
        raise UnreadableImage(name, *_explanation(error)) from error


@contextmanager
def _quiet() -> Iterator[None]:
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _explanation(error: Exception) -> tuple[str, Trouble]:
    # In this order: FileNotFoundError and PermissionError are OSErrors as well.
    for kind, reason, trouble in _REASONS:
        if isinstance(error, kind):
            return reason, trouble
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, EOFError) or any(part in text.lower() for part in _CUT_SHORT):
        return "the file is cut short", "truncated"
    if isinstance(error, OSError) and error.errno:
        return f"the system says: {error.strerror}", "unavailable"
    return f"the file is damaged ({text[:120]})", "unreadable"


def _name_of(image: bytes | str | Path | Image.Image) -> str:
    if isinstance(image, (str, Path)):
        return str(image)
    if isinstance(image, bytes):
        return "(given as bytes)"
    return str(getattr(image, "filename", "")) or "(given as a PIL image)"


def _upright(image: Image.Image) -> Image.Image:
    turn = _TRANSPOSE.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def _on_white(image: Image.Image) -> Image.Image:
    # Pillow has no direct way from La to RGBA.
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    page = Image.new("RGB", layer.size, "white")
    page.paste(layer, mask=layer.getchannel("A"))
    return page


def _to_eight_bits(samples: NDArray[Any], name: str) -> NDArray[np.uint8]:
    lowest, highest = samples.min(), samples.max()
    whole = samples.dtype.kind in "iu"
    # Nothing in a file says the range of floats; above 1 they are taken for 0..255.
    largest = 65535 if whole else 1 if highest <= 1 else 255
    if not (lowest >= 0 and highest <= largest):  # written so that NaN fails
        allowed = "0..65535" if whole else "0..1 or 0..255"
        raise UnreadableImage(name, f"its samples lie in {lowest:g}..{highest:g}; allowed: {allowed}")
    scale = 255 / largest
    return np.rint(samples * np.float64(scale)).astype(np.uint8)


def _from_array(array: NDArray[Any], channels: int) -> NDArray[np.uint8]:
    if not _is_image_array(array):
        numbers = array.size and array.dtype.kind in "iufb"
        span = f", values {array.min():g}..{array.max():g}" if numbers else ""
        raise UserError(
            f"an image array of shape {array.shape} and type {array.dtype}{span} cannot be used; allowed: "
            "uint8, 0..255, shaped H×W, H×W×1, H×W×3 or H×W×4 (RGB and alpha), not empty; one image at a time"
        )
    if array.shape[2:] == (channels,):
        # Torch warns of arrays that may not be written, and a memory map is one.
        return array if array.flags.writeable else array.copy()
    flat = array[:, :, 0] if array.shape[2:] == (1,) else array
    if flat.ndim == 2 and channels == 1:
        return np.ascontiguousarray(flat[:, :, None])
    return pixels(Image.fromarray(np.ascontiguousarray(flat)), channels, name="(given as an array)")


def _is_image_array(array: NDArray[Any]) -> bool:
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    return array.dtype == np.uint8 and shaped and array.size > 0
