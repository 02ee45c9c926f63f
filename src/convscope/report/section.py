"""A part of the report: its values for a template of the same name, or the reason why it is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from convscope.report.evidence import Evidence

Fill: TypeAlias = Callable[[Evidence], dict[str, Any]]


class LeftOut(Exception):  # noqa: N818 (what happened, not an error)
    """Raised by a section that has nothing to show; the message says why and stands in its place on the
    page.
    """


@dataclass(frozen=True)
class Section:
    """`name` is the anchor on the page and the template, `templates/<name>.html`; `title` the heading."""

    name: str
    title: str
    fill: Fill
