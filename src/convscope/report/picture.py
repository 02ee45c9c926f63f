"""Images inside a page, as data URIs: nothing to load from anywhere."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convscope.inference.prediction import printable
from convscope.report.evidence import Evidence

SIDE = 96
"""Pixels of the longer side, at most: a page with 200 photographs stays below a megabyte."""
SMALL = 64
"""Up to this side an image is shown pixel by pixel."""
EXACT = 40
"""Up to this side it is a PNG, beyond a JPEG: 700 photographs of 64×64 pixels take 4 MB as PNG, and a fifth
as JPEG.
"""


@dataclass(frozen=True)
class Picture:
    """An image on the page: `uri` holds its pixels, `words` stand below it, `name` is the file's."""

    uri: str
    small: bool
    name: str
    alt: str
    words: str = ""


def picture(evidence: Evidence, position: int, words: str = "") -> Picture:
    """The image at a position of the evaluated split, as a thumbnail."""
    name = printable(evidence.evaluation.part.names[position])
    return framed(evidence.images([position])[0], name, words=words)


def framed(
    image: NDArray[np.uint8], name: str, *, alt: str = "", words: str = "", side: int = SIDE
) -> Picture:
    """Any image uint8 H×W×C as a Picture; `alt` says what it shows, else its name does."""
    return Picture(data_uri(image, side=side), max(image.shape[:2]) <= SMALL, name, alt or name, words)


def data_uri(image: NDArray[np.uint8], *, side: int = SIDE) -> str:
    """An image uint8 H×W×C, C 1 or 3, as a data URI of at most `side` pixels a side.

    >>> data_uri(np.zeros((4, 4, 1), np.uint8))[:22]
    'data:image/png;base64,'
    """
    pixels = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    pixels.thumbnail((side, side), Image.Resampling.LANCZOS)
    exact = max(pixels.size) <= EXACT
    file = BytesIO()
    keywords: dict[str, Any] = {"optimize": True} if exact else {"quality": 82}
    pixels.save(file, "PNG" if exact else "JPEG", **keywords)
    kind = "png" if exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
