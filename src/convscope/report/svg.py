"""Figures as SVG inside a page: sharp at every width, and in the colours of the page, light or dark."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from io import StringIO
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from convscope.core.plotting import GREY, draw_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#010203"
"""Drawn in this colour, which nothing else has: on the page it becomes the colour of the text around the
figure.
"""

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


def inline_svg(name: str, alt: str, draw: Callable[[], Figure]) -> Markup:
    """What `draw` returns, as an <svg> element for a page.

    `name` is unique on the page: every id in the figure begins with it, since the figures of a page share one
    space of ids. `alt` says in words what the figure shows.

    >>> from matplotlib.figure import Figure
    >>> str(inline_svg("empty", "nothing <yet>", Figure))[:57]
    '<svg role="img" aria-label="nothing &lt;yet&gt;" class="p'
    """
    import matplotlib as mpl

    text = StringIO()
    # matplotlib names clip paths and markers after a hash with this salt; random else, and no two pages would
    # be equal.
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = draw()
        draw_figure(figure, text, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(_for_a_page(text.getvalue(), name, alt))


def _for_a_page(svg: str, name: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'(?<=\bid=")', f"{name}-", body)
    body = re.sub(r"(?<=url\(#)", f"{name}-", body)
    # A link of a person's own, such as to a cell's images, begins with an exclamation mark and stays what it
    # is.
    body = re.sub(r'(?<=href="#)(?!!)', f"{name}-", body).replace('href="#!', 'href="#')
    body = body.replace(' target="_blank"', "")  # which matplotlib gives every link
    body = re.sub(INK, "currentColor", body, flags=re.IGNORECASE)
    body = re.sub(
        GREY, "var(--quiet)", body, flags=re.IGNORECASE
    )  # which the page has for light and for dark
    width = float(re.search(r'width="([\d.]+)pt"', body)[1])  # type: ignore[index]
    body = re.sub(r'\s(?:width|height)="[\d.]+pt"', "", body, count=2)
    shown = f'<svg role="img" aria-label="{escape(alt)}" class="plot" style="--natural:{width * 4 / 3:.0f}px"'
    return body.replace("<svg", shown, 1)
