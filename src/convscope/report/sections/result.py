"""The headline: how good, how sure of that, and on what."""

from __future__ import annotations

from typing import Any

from convscope.report.evidence import Evidence


def result(evidence: Evidence) -> dict[str, Any]:
    """The figures of the whole split, each with its interval."""
    found = evidence.findings
    return {
        "metrics": found.metrics,
        "intervals": found.intervals,
        "calibration": found.calibration,
        "kept": found.selective,
        "data": evidence.evaluation.data,
        "split": evidence.evaluation.split,
        "model": evidence.bundle.model["name"],
        "failed": evidence.evaluation.failed,
    }
