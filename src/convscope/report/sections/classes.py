"""Each class on its own: precision, recall, F1 and its curves."""

from __future__ import annotations

from typing import Any

from convscope.report.evidence import Evidence
from convscope.report.svg import inline_svg
from convscope.tasks.classification.curves import curves_figure


def classes(evidence: Evidence) -> dict[str, Any]:
    """The table of all classes, and ROC and precision–recall curves."""
    curves = evidence.findings.curves
    drawn = sum(one.roc is not None for one in curves)
    words = f"ROC and precision–recall curves of {drawn} classes; the areas stand in the table"
    return {
        "rows": list(zip(evidence.findings.metrics.per_class, curves, strict=True)),
        "figure": inline_svg("class-curves", words, lambda: curves_figure(curves)) if drawn else None,
    }
