"""Images inside a page, as data URIs: nothing to load from anywhere."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convscope.evaluation.answer import printable
from convscope.report.evidence import Evidence

SIDE = 96
"""Pixels of the longer side, at most: a page with 200 photographs stays below a megabyte."""
SMALL = 64
"""Up to this side an image is a PNG and shown pixel by pixel; beyond, a JPEG."""


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


def framed(image: NDArray[np.uint8], name: str, *, alt: str = "", words: str = "", side: int = SIDE) -> Picture:
    """Any image uint8 H×W×C as a Picture; `alt` says what it shows, else its name does."""
    return Picture(data_uri(image, side=side), max(image.shape[:2]) <= SMALL, name, alt or name, words)


def data_uri(image: NDArray[np.uint8], *, side: int = SIDE) -> str:
    """An image uint8 H×W×C, C 1 or 3, as a data URI of at most `side` pixels a side.

    >>> data_uri(np.zeros((4, 4, 1), np.uint8))[:22]
    'data:image/png;base64,'
    """
    pixels = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    pixels.thumbnail((side, side), Image.Resampling.LANCZOS)
    small = max(pixels.size) <= SMALL
    file = BytesIO()
    keywords: dict[str, Any] = {"optimize": True} if small else {"quality": 82}
    pixels.save(file, "PNG" if small else "JPEG", **keywords)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
