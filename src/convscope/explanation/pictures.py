"""The picture of an explanation, an image beside the heat map of each method, and its file."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import write_bytes
from convscope.core.plotting import draw_figure, new_figure, short_name
from convscope.inference.prediction import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

Floats = NDArray[np.floating[Any]]
# Both can be read by the colour-blind: red to blue with white at 0, and plasma from dark to light.
SIGNED, UNSIGNED = "RdBu_r", "plasma"
PERCENTILE = 99
"""Of a map's strengths: what lies above has the full colour, so that one pixel does not hide all others."""
COLUMNS, SIDE = 5, 2.5
"""Panels in a row, and the width of one in inches."""
LEGEND = (
    "insertion: high is good · deletion: low is good · ROAD: above 0 · untrained: near 0 · "
    "★ the most faithful"
)
# A panel of 2.5 inches has 375 dots at 150 an inch, so 96 pixels are almost four dots each.
SMALL = 96
GREY = np.array([0.299, 0.587, 0.114])
"""The luma of ITU-R BT.601, as decoding uses it."""
# 60 characters of 4 bytes, a suffix and .png stay below the 255 bytes of most file systems.
LONGEST = 60
"""Characters of a file's name."""
SOURCE = "Source"
"""The key of a PNG's text that says which image it explains."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One method for one image: a `heat_map` H×W, or the reason why it is `refused`.

    `numbers`: lines that stand below. `best`: is it the most faithful of the picture?
    """

    title: str
    heat_map: Floats
    signed: bool = False
    refused: str | None = None
    numbers: str = ""
    best: bool = False


def strength(heat_map: Floats, *, signed: bool) -> Floats:
    """A heat map H×W on the scale of its colours; the 99th percentile of its strengths has the full colour.

    Args:
        heat_map: H×W.
        signed: is zero the middle, or the smallest value the lower end?

    Returns:
        −1 to 1 where `signed`, else 0 to 1; H×W.

    >>> strength(np.array([[0.0, 1.0, 2.0]]), signed=False).round(2).tolist()
    [[0.0, 0.51, 1.0]]
    >>> strength(np.array([[-4.0, 0.0, 4.0]]), signed=True).tolist()
    [[-1.0, 0.0, 1.0]]
    """
    # Infinity is drawn as the strongest value, and NaN as none.
    values = np.nan_to_num(heat_map.astype(np.float64))
    if not signed:
        values = values - values.min()
    sizes = np.abs(values)
    # Where nearly all is 0 the percentile is 0, too, and the largest value has to do.
    full = np.percentile(sizes, PERCENTILE) or sizes.max()
    scaled: Floats = np.clip(values / full, -1, 1) if full > 0 else values * 0
    return scaled


def overlay(image: NDArray[np.uint8], heat_map: Floats, *, signed: bool) -> NDArray[np.uint8]:
    """A heat map in colours over its image in grey.

    Args:
        image: uint8 H×W×C.
        heat_map: H×W.
        signed: red speaks for the class, blue against it, and what is white or grey does neither; else from
            dark violet, which counts least, to yellow.

    Returns:
        uint8 H×W×3.

    >>> overlay(np.zeros((2, 2, 1), np.uint8), np.eye(2), signed=True).shape
    (2, 2, 3)
    """
    values = strength(heat_map, signed=signed)
    grey = (image @ GREY if image.shape[2] == 3 else image[..., 0])[..., None] / 255
    # A third of grey: enough to know the place again, too little to be taken for the map.
    mixed = 0.35 * grey + 0.65 * _colours(values, signed)
    return (255 * mixed).round().astype(np.uint8)


def explanation_figure(
    image: NDArray[np.uint8], heading: str, panels: Sequence[Panel], *, label: str
) -> Figure:
    """An image under its heading, then a panel a method; what a colour means stands below.

    Small images are enlarged without smoothing: a pixel stays a square.

    Args:
        image: uint8 H×W×C.
        heading: lines above it.
        panels: one a method.
        label: the class that is explained.
    """
    height, width = image.shape[:2]
    # As many rows as five columns need, then as few columns as those rows need.
    rows = -(-(len(panels) + 1) // COLUMNS)
    columns = -(-(len(panels) + 1) // rows)
    # 0.17 inches a line: 7.5 points are 0.10 inches, and the rest is the space between.
    below = 0.17 * max((panel.numbers.count("\n") + 1 for panel in panels if panel.numbers), default=0)
    # Very wide and very tall images keep a panel that can be seen.
    tall = float(np.clip(SIDE * height / width, 1.2, 2 * SIDE)) + 0.5 + below
    figure = new_figure(max(SIDE * columns, 2 * SIDE), tall * rows + 0.6)
    parts: Any = figure.subfigures(2, 1, height_ratios=[tall * rows, 0.6])
    above, legend = parts
    grid = above.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    # imshow takes H×W or H×W×3, and no single channel.
    shown = image if image.shape[2] == 3 else image[..., 0]
    grid[0].imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation=_interpolation(image))
    grid[0].set_title(heading, fontsize=9)
    for axes, panel in zip(grid[1:], panels, strict=False):
        _draw(axes, image, panel)
    kinds = sorted({panel.signed for panel in panels if panel.refused is None})
    _explain_colours(legend, kinds, short_name(label))
    return figure


def _draw(axes: Any, image: NDArray[np.uint8], panel: Panel) -> None:
    weight = "bold" if panel.best else "normal"
    axes.set_title(panel.title + (" ★" if panel.best else ""), fontsize=9, fontweight=weight)
    if panel.refused is not None:
        axes.imshow(np.full_like(image[..., :1], 240).repeat(3, axis=2))
        # A dollar would begin mathematics in matplotlib.
        reason = textwrap.fill(panel.refused, 30, max_lines=11, placeholder=" …").replace("$", r"\$")
        axes.text(
            0.5,
            0.5,
            reason,
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=7.5,
            color="#444444",
        )
        return
    axes.imshow(overlay(image, panel.heat_map, signed=panel.signed), interpolation=_interpolation(image))
    axes.text(0.5, -0.03, panel.numbers, transform=axes.transAxes, ha="center", va="top", fontsize=7.5)


def _colours(values: Floats, signed: bool) -> Floats:
    """Strengths, −1 to 1 where `signed` and else 0 to 1, as red, green and blue 0 to 1 on a new last axis."""
    from matplotlib import colormaps

    if signed:
        # The outer tenths of the diverging colours are almost black, as images are.
        return np.asarray(colormaps[SIGNED](0.5 + 0.4 * values))[..., :3]
    return np.asarray(colormaps[UNSIGNED](values))[..., :3]


def _interpolation(image: NDArray[np.uint8]) -> str:
    """Squares for small images; large ones may be shrunk, where dropping pixels would make patterns."""
    return "nearest" if max(image.shape[:2]) <= SMALL else "auto"


def _explain_colours(figure: SubFigure, kinds: Sequence[bool], label: str) -> None:
    if not kinds:
        return
    figure.supxlabel(LEGEND, fontsize=7.5, color="#444444")
    for axes, signed in zip(figure.subplots(1, len(kinds), squeeze=False).ravel(), kinds, strict=True):
        axes.imshow(_colours(np.linspace(-1 if signed else 0, 1, 256)[None], signed), aspect="auto")
        axes.set_axis_off()
        ends = (
            (f"against {label}", "neither", f"for {label}") if signed else ("counts least", "", "counts most")
        )
        for x, text, side in zip((0, 0.5, 1), ends, ("left", "center", "right"), strict=True):
            axes.text(x, -0.25, text, transform=axes.transAxes, ha=side, va="top", fontsize=7.5)


class PictureFiles:
    """Names of pictures in `folder`, one an image.

    The same image gets the same name again, in this call and in later ones; an image of the same name
    elsewhere gets the suffix -2, and so on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: dict[str, str] = {}

    def place(self, image: str) -> Path:
        r"""The path for the image of this name or path.

        >>> files = PictureFiles(Path("nowhere"))
        >>> [str(files.place(name)) for name in ("a/cat.jpg", "b/cat.png", "a/cat.jpg", "")]
        ['nowhere/cat.png', 'nowhere/cat-2.png', 'nowhere/cat.png', 'nowhere/image.png']
        """
        source = self._source(image)
        stem = re.sub(r"[^\w.-]+", "_", printable(Path(image).stem)).strip("._")[:LONGEST] or "image"
        for number in count(1):
            path = self.folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
            # Folded, because two names that differ in case are one file on macOS and Windows.
            owner = self._taken.get(path.name.casefold()) or _owner(path)
            if owner in (None, source):
                self._taken[path.name.casefold()] = source
                return path
        raise AssertionError("there is always a next number")

    def save(self, figure: Figure, image: str) -> Path:
        """Write a figure as the picture of an image in one step; returns its path."""
        path = self.place(image)
        png = BytesIO()
        # The source stands in the file itself, so that a later call knows whose picture it is.
        draw_figure(figure, png, format="png", metadata={SOURCE: self._source(image)})
        write_bytes(path, png.getvalue())
        return path

    @staticmethod
    def _source(image: str) -> str:
        return printable(str(Path(image).absolute())) if image else ""


def _owner(path: Path) -> str | None:
    """The image that the PNG at `path` explains, "" where it is not said; None where there is no file."""
    from PIL import Image

    if not path.exists():
        return None
    try:
        with Image.open(path) as picture:
            return str(picture.info.get(SOURCE, ""))
    except (OSError, ValueError):
        return ""
