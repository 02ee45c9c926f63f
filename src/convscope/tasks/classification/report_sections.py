"""The parts of a report that speak of classes, in their order: the headline, confidence, and class by class.

Those with images of errors are in `error_sections.py`. Each fills the template of its name in `templates/`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from convscope.tasks.classification.confidence_plots import reliability_figure, risk_coverage_figure
from convscope.tasks.classification.curves import curves_figure
from convscope.tasks.classification.error_sections import confusion, errors, slices
from convscope.tasks.classification.result import EvaluationResult
from convscope.tasks.classification.selective import score_curves
from convscope.tasks.section import Page, Section

PACKAGE = "convscope.tasks.classification"
"""Whose folder `templates` has a template for each section."""


def sections_of(result: EvaluationResult) -> tuple[Section, ...]:
    """All sections, which show `result`."""

    def section(
        name: str,
        title: str,
        fill: Callable[[EvaluationResult, Page], dict[str, Any]],
        *,
        after: str | None = None,
    ) -> Section:
        return Section(name, title, partial(fill, result), PACKAGE, after)

    return (
        section("result", "Result", headline),
        section("confusion", "What is taken for what", confusion),
        section("errors", "The most confident errors", errors),
        section("slices", "Where it fails", slices),
        section("confidence", "How far to trust it", confidence),
        # A long table, which robustness would be lost behind.
        section("classes", "Class by class", classes, after="robustness"),
    )


def headline(result: EvaluationResult, page: Page) -> dict[str, Any]:
    """The figures of the whole split, each with its interval."""
    return {
        "metrics": result.metrics,
        "intervals": result.intervals,
        "calibration": result.calibration,
        "kept": result.selective,
        **page.facts,
    }


def confidence(result: EvaluationResult, page: Page) -> dict[str, Any]:
    """The reliability diagram before and after temperature, and the risk–coverage curve."""
    before, after, kept = result.uncalibrated, result.calibration, result.selective
    return {
        "before": before,
        "after": after,
        "kept": kept,
        "decision": result.decision,
        "reliability": page.figure(
            "reliability",
            f"Reliability diagram: calibration error {before.ece:.2%} before and {after.ece:.2%} after "
            f"temperature",
            lambda: reliability_figure(before, after),
        ),
        "selective": page.figure(
            "risk-coverage",
            "Share of wrong answers among those kept, over the share that is kept",
            lambda: risk_coverage_figure(score_curves(result.logits, result.labels, result.decision), kept),
        ),
    }


def classes(result: EvaluationResult, page: Page) -> dict[str, Any]:
    """The table of all classes, and ROC and precision–recall curves."""
    curves = result.curves
    drawn = sum(curve.roc is not None for curve in curves)
    alt = f"ROC and precision–recall curves of {drawn} classes; the areas stand in the table"
    return {
        "rows": list(zip(result.metrics.per_class, curves, strict=True)),
        "figure": page.figure("class-curves", alt, lambda: curves_figure(curves)) if drawn else None,
    }
