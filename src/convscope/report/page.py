"""One HTML file that needs nothing but a browser: no server, no network, no other file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convscope.core.errors import ConvscopeError
from convscope.report.evidence import Evidence
from convscope.report.section import LeftOut, Section


def page(evidence: Evidence, sections: Sequence[Section], *, title: str) -> str:
    """The report as HTML. A section that cannot be made says why, and the others stand all the same.

    Everything that people named (classes, files, commands) is escaped by the templates.
    """
    environment = _environment()
    parts = []
    for number, section in enumerate(sections):
        evidence.tell(f"report: {section.title.lower()}", number, len(sections))
        try:
            body = environment.get_template(f"{section.name}.html").render(section.fill(evidence))
        except (LeftOut, ConvscopeError) as reason:
            body = environment.get_template("left_out.html").render(reason=str(reason))
        parts.append({"name": section.name, "title": section.title, "body": body})
    evidence.tell("report", len(sections), len(sections))
    html: str = environment.get_template("page.html").render(title=title, sections=parts)
    return html


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("convscope.report"),
        autoescape=True,
        undefined=StrictUndefined,  # a value that is missing is a fault, not an empty place
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share, digits=1: (
        "–" if share is None else f"{100 * share:.{digits}f}\xa0%"
    )
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["images"] = lambda number: f"{number:,}\xa0image{'s' * (number != 1)}"
    environment.filters["figure"] = lambda number, digits=3: "–" if number is None else f"{number:.{digits}f}"
    return environment
