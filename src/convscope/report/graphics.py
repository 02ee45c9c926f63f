"""Images and figures inside a page: nothing is loaded from anywhere.

An image is a data URI. A figure is SVG, sharp at every width, and in the colours of the page, light or dark.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from convscope.core.plotting import GREY, draw_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 96
"""Pixels of the longer side, at most: a page with 200 photographs stays below a megabyte."""
SMALL = 64
"""Up to this side an image is shown pixel by pixel."""
EXACT = 40
"""Up to this side an image is a PNG, beyond it a JPEG: of 700 photographs at 64×64, a fifth of PNG's 4 MB."""

INK = "#010203"
"""A figure is drawn in this colour, which nothing else has; on the page it becomes that of the text."""

STYLE: Any = {
    "svg.fonttype": "path",  # a reader's machine may lack the font, and another one has other widths
    "font.size": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.facecolor": "none",
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"),
        INK,
    ),
}


@dataclass(frozen=True)
class Picture:
    """An image on the page: `uri` holds its pixels, `text` stands below it, `name` is the file's."""

    uri: str
    small: bool
    name: str
    alt: str
    text: str = ""


def framed(
    image: NDArray[np.uint8], name: str, *, alt: str = "", text: str = "", side: int = SIDE
) -> Picture:
    """Any image as a Picture.

    Args:
        image: uint8 H×W×C, C 1 or 3.
        name: of its file.
        alt: says what the image shows; else its name does.
        text: stands below it.
        side: pixels of the longer side, at most.
    """
    return Picture(data_uri(image, side=side), max(image.shape[:2]) <= SMALL, name, alt or name, text)


def data_uri(image: NDArray[np.uint8], *, side: int = SIDE) -> str:
    """An image uint8 H×W×C, C 1 or 3, as a data URI of at most `side` pixels a side.

    >>> data_uri(np.zeros((4, 4, 1), np.uint8))[:22]
    'data:image/png;base64,'
    """
    pixels = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    # Made smaller only: a small image is enlarged by the browser, pixel by pixel.
    pixels.thumbnail((side, side), Image.Resampling.LANCZOS)
    # JPEG's blocks of 8 pixels would be all that is seen of a small image.
    exact = max(pixels.size) <= EXACT
    file = BytesIO()
    options: dict[str, Any] = {"optimize": True} if exact else {"quality": 82}
    pixels.save(file, "PNG" if exact else "JPEG", **options)
    kind = "png" if exact else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def inline_svg(name: str, alt: str, draw: Callable[[], Figure]) -> Markup:
    """What `draw` returns, as an <svg> element for a page.

    Args:
        name: unique on the page; every id in the figure begins with it, since the figures of a page share one
            space of ids.
        alt: says in words what the figure shows.
        draw: called under the style of the page.

    >>> from matplotlib.figure import Figure
    >>> str(inline_svg("empty", "nothing <yet>", Figure))[:57]
    '<svg role="img" aria-label="nothing &lt;yet&gt;" class="p'
    """
    import matplotlib as mpl

    text = StringIO()
    # matplotlib names clip paths and markers after a hash with this salt. A random one, which is its default,
    # would make no two pages equal.
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = draw()
        draw_figure(figure, text, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(_for_a_page(text.getvalue(), name, alt))


def _for_a_page(svg: str, name: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'(?<=\bid=")', f"{name}-", body)
    body = re.sub(r"(?<=url\(#)", f"{name}-", body)
    # A link into the page, such as to a cell's images, begins with an exclamation mark and stays what it is.
    body = re.sub(r'(?<=href="#)(?!!)', f"{name}-", body).replace('href="#!', 'href="#')
    body = body.replace(' target="_blank"', "")  # which matplotlib gives every link
    body = re.sub(INK, "currentColor", body, flags=re.IGNORECASE)
    # The page has this colour for light and for dark.
    body = re.sub(GREY, "var(--quiet)", body, flags=re.IGNORECASE)
    # In points of 1/72 inch; a page counts 96 pixels an inch.
    width = float(re.search(r'width="([\d.]+)pt"', body)[1])  # type: ignore[index]
    body = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", body, count=2)
    shown = f'<svg role="img" aria-label="{escape(alt)}" class="plot" style="--natural:{width * 4 / 3:.0f}px"'
    return body.replace("<svg", shown, 1)
