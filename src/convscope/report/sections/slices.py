"""The kinds of images on which the network does worse than on the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from convscope.report.evidence import Evidence
from convscope.report.picture import picture

WRONG = 10


def slices(evidence: Evidence) -> dict[str, Any]:
    """The slices, the largest gap first, each with its surest wrong answers."""
    wrong = evidence.logits.argmax(axis=1) != evidence.labels
    sure = evidence.bundle.decision.probabilities(evidence.logits).max(axis=1)
    rows = []
    for found in evidence.findings.slices:
        mistakes = found.positions[wrong[found.positions]]
        first = mistakes[np.argsort(-sure[mistakes], kind="stable")[:WRONG]]
        shown = [
            picture(evidence, place, evidence.classes[evidence.logits[place].argmax()]) for place in first
        ]
        rows.append({"found": found, "count": len(found.positions), "pictures": shown})
    return {"rows": rows}
