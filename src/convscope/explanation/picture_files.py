"""Where the picture of an image goes: under the image's name, and never over the picture of another image."""

from __future__ import annotations

import re
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from convscope.core.atomic import write_bytes
from convscope.core.plotting import draw_figure
from convscope.inference.prediction import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 60
SOURCE = "Source"
"""The key of a PNG's text that says which image it explains."""


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
            owner = self._taken.get(path.name.casefold()) or _owner(path)
            if owner in (None, source):
                self._taken[path.name.casefold()] = source
                return path
        raise AssertionError("there is always a next number")

    def save(self, figure: Figure, image: str) -> Path:
        """Write a figure as the picture of an image in one step; returns its path."""
        path = self.place(image)
        png = BytesIO()
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
