"""What is taken for what: the matrix, and behind each of its cells the images."""

from __future__ import annotations

from typing import Any

from convscope.report.evidence import Evidence
from convscope.report.picture import picture
from convscope.report.svg import inline_svg
from convscope.tasks.classification.errors import cells
from convscope.tasks.classification.plots import NUMBERED_CLASSES, confusion_figure

CELLS, FIRST = 60, 10
"""Wrong cells whose images are on the page, and those of them that stand in the open list."""
IMAGES = 12


def confusion(evidence: Evidence) -> dict[str, Any]:
    """The matrix with links, and the images of its fullest wrong cells, the surest mistakes first."""
    found = cells(evidence.logits, evidence.labels, evidence.bundle.decision)
    wrong = sorted((cell for cell in found if cell[0] != cell[1]), key=lambda cell: -len(found[cell]))
    probabilities = evidence.bundle.decision.probabilities(evidence.logits)
    shown = [
        {
            "anchor": anchor(label, answer),
            "label": evidence.classes[label],
            "answer": evidence.classes[answer],
            "count": len(found[label, answer]),
            "share": len(found[label, answer]) / max(1, int((evidence.labels == label).sum())),
            "pictures": [
                picture(evidence, position, f"{probabilities[position, answer]:.0%}")
                for position in found[label, answer][:IMAGES]
            ],
        }
        for label, answer in wrong[:CELLS]
    ]
    listed = set(wrong[:CELLS])
    matrix = evidence.findings.metrics.confusion
    words = f"Confusion matrix of {len(evidence.classes)} classes, a row for each label and a column for each answer"
    return {
        "figure": inline_svg(
            "confusion",
            words,
            lambda: confusion_figure(
                matrix, evidence.classes, link=lambda k, j: f"#!{anchor(k, j)}" if (k, j) in listed else None
            ),
        ),
        "numbered": len(evidence.classes) <= NUMBERED_CLASSES,
        "cells": shown,
        "first": FIRST,
        "more": len(wrong) - len(shown),
    }


def anchor(label: int, answer: int) -> str:
    """The name on the page of a cell's images."""
    return f"cell-{label}-{answer}"
