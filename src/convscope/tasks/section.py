"""A part of a report, and what the report lends to whoever fills one: figures, thumbnails, heat maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# An exception, since what is missing shows up deep in a section, while others go on.
class LeftOut(Exception):  # noqa: N818 (what happened, not an error)
    """Raised by a section that has nothing to show; the message says why and stands in its place."""


@dataclass(frozen=True)
class HeatMap:
    """What one image shows of one output: `picture`, for a template, or the `reason` why there is none.

    `method`: the title of the method that was asked.
    """

    method: str
    picture: Any = None
    reason: str | None = None


@dataclass(frozen=True)
class HeatMaps:
    """The maps of some images, one tuple for each array of targets.

    `method`: the title of the method that was preferred. `choice`: how it was chosen, in a line.
    """

    method: str
    choice: str
    rows: tuple[tuple[HeatMap, ...], ...]


class Page(Protocol):
    """The report, as a section sees it; positions are those of the images in the evaluated split."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the page is about: `model`, `data`, `split`, and `failed`, (name, reason) of unread images."""

    def figure(self, name: str, alt: str, draw: Callable[[], Figure]) -> Any:
        """A figure for a template; `name` is unique on the page, `alt` says in words what it shows."""

    def thumbnail(self, position: int, text: str = "", *, side: int | None = None) -> Any:
        """An image for a template, at most `side` pixels a side, with a text to stand below it."""

    def heat_maps(self, positions: NDArray[np.int64], *targets: NDArray[np.int64]) -> HeatMaps:
        """What the network saw in n images, by the most faithful method.

        Args:
            positions: of the images, n.
            targets: arrays n, each of output indices: whose map an image is to have.
        """


@dataclass(frozen=True)
class Section:
    """A heading, and a template with its values.

    `name`: the anchor on the page, and the template `<name>.html` in the folder `templates` of `package`.
    `title`: the heading. `fill`: the values; a general section is called with more than a `Page`. `after`:
    the general section that it stands behind, None for the top of the page.
    """

    name: str
    title: str
    # Any: a general section is given the whole evidence, one of a task a Page.
    fill: Callable[[Any], dict[str, Any]]
    package: str = "convscope.report"
    after: str | None = None
