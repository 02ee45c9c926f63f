"""Whether 0.97 means 97 in a hundred, and what it brings to answer only when sure."""

from __future__ import annotations

from typing import Any

from convscope.report.evidence import Evidence
from convscope.report.svg import inline_svg
from convscope.tasks.classification.confidence_plots import reliability_figure, risk_coverage_figure
from convscope.tasks.classification.selective import score_curves


def sureness(evidence: Evidence) -> dict[str, Any]:
    """The reliability diagram before and after temperature, and the risk–coverage curve."""
    decision = evidence.bundle.decision
    before, after = evidence.findings.uncalibrated, evidence.findings.calibration
    kept = evidence.findings.selective
    return {
        "before": before,
        "after": after,
        "kept": kept,
        "decision": decision,
        "reliability": inline_svg(
            "reliability",
            f"Reliability diagram: calibration error {before.ece:.2%} before and {after.ece:.2%} after "
            f"temperature",
            lambda: reliability_figure(before, after),
        ),
        "selective": inline_svg(
            "risk-coverage",
            "Share of wrong answers among those kept, over the share that is kept",
            lambda: risk_coverage_figure(score_curves(evidence.logits, evidence.labels, decision), kept),
        ),
    }
