"""The headline: how good, how sure of that, and on what."""

from __future__ import annotations

from typing import Any

from convscope.evaluation.intervals import intervals
from convscope.report.evidence import Evidence


def result(evidence: Evidence) -> dict[str, Any]:
    """The figures of the whole split, each with its interval."""
    metrics = evidence.evaluation.metrics
    unknown = evidence.bundle.decision.unknown(evidence.logits)
    right = evidence.logits.argmax(axis=1) == evidence.labels
    return {
        "metrics": metrics,
        "intervals": intervals(evidence.logits, evidence.labels),
        "data": evidence.evaluation.data,
        "split": evidence.evaluation.split,
        "model": evidence.bundle.model["name"],
        "unknown": float(unknown.mean()),
        "kept": float(right[~unknown].mean()) if not unknown.all() else None,
        "threshold": evidence.bundle.decision.threshold,
        "failed": evidence.evaluation.failed,
    }
