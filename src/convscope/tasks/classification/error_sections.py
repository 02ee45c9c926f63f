"""The parts of a report that show images of errors: by cell, the most confident ones, and by slice."""

from __future__ import annotations

from typing import Any

import numpy as np

from convscope.tasks.classification.confusion import (
    NUMBERED_CLASSES,
    cells,
    confusion_figure,
    most_confident_errors,
)
from convscope.tasks.classification.result import EvaluationResult
from convscope.tasks.section import LeftOut, Page

CELLS, FIRST = 60, 10
"""Wrong cells whose images are on the page, and those of them that stand in the open list."""
CELL_IMAGES, SLICE_IMAGES = 12, 10
ERRORS, SIDE = 18, 160
"""The most confident errors that are shown, and the pixels a side that a heat map needs to be read."""


def confusion(result: EvaluationResult, page: Page) -> dict[str, Any]:
    """The matrix with links, and the images of its fullest wrong cells, the most confident first."""
    images = cells(result.logits, result.labels, result.decision)
    # The fullest cells first; the sort is stable, so equal ones stay in the order of the classes.
    wrong = sorted((cell for cell in images if cell[0] != cell[1]), key=lambda cell: -len(images[cell]))
    probabilities = result.decision.probabilities(result.logits)
    support = result.metrics.confusion.sum(axis=1)
    shown = [
        {
            "anchor": anchor(label, predicted),
            "label": result.classes[label],
            "answer": result.classes[predicted],
            "count": len(images[label, predicted]),
            "share": len(images[label, predicted]) / max(1, int(support[label])),
            "pictures": [
                page.thumbnail(position, f"{probabilities[position, predicted]:.0%}")
                for position in images[label, predicted][:CELL_IMAGES]
            ],
        }
        for label, predicted in wrong[:CELLS]
    ]
    return {
        "figure": _linked_matrix(result, page, linked=set(wrong[:CELLS])),
        "numbered": len(result.classes) <= NUMBERED_CLASSES,
        "cells": shown,
        "first": FIRST,
        "more": len(wrong) - len(shown),
    }


def anchor(label: int, predicted: int) -> str:
    """The name on the page of a cell's images.

    >>> anchor(0, 2)
    'cell-0-2'
    """
    return f"cell-{label}-{predicted}"


def _linked_matrix(result: EvaluationResult, page: Page, linked: set[tuple[int, int]]) -> Any:
    count = len(result.classes)
    alt = f"Confusion matrix of {count} classes, a row for each label and a column for each answer"

    def link(label: int, predicted: int) -> str | None:
        return f"#!{anchor(label, predicted)}" if (label, predicted) in linked else None

    # The exclamation mark tells a link into the page from matplotlib's own ones.
    matrix = result.metrics.confusion
    return page.figure("confusion", alt, lambda: confusion_figure(matrix, result.classes, link=link))


def errors(result: EvaluationResult, page: Page) -> dict[str, Any]:
    """For each error the image, what speaks for the predicted class, and what speaks for the label."""
    positions = most_confident_errors(result.logits, result.labels, result.decision, count=ERRORS)
    if not len(positions):
        raise LeftOut("No image is answered wrongly.")
    logits, labels = result.logits[positions], result.labels[positions]
    predicted = logits.argmax(axis=1)
    probabilities, unknown = result.decision.probabilities(logits), result.decision.unknown(logits)
    heat = page.heat_maps(positions, predicted, labels)
    rows = []
    for number, position in enumerate(positions.tolist()):
        image = page.thumbnail(position, side=SIDE)
        rows.append(
            {
                "name": image.name,
                "answer": result.classes[predicted[number]],
                "label": result.classes[labels[number]],
                "probability": float(probabilities[number, predicted[number]]),
                "of_label": float(probabilities[number, labels[number]]),
                "unknown": bool(unknown[number]),
                "image": image,
                "for_answer": heat.rows[0][number],
                "for_label": heat.rows[1][number],
            }
        )
    return {"rows": rows, "choice": heat.choice, "shown": heat.method}


def slices(result: EvaluationResult, page: Page) -> dict[str, Any]:
    """The kinds of images with the largest gaps, each with its most confident errors."""
    predicted = result.logits.argmax(axis=1)
    wrong = predicted != result.labels
    confidence = result.decision.probabilities(result.logits).max(axis=1)
    rows = []
    for one in result.slices:
        # Positions of the slice's own errors: what it gets right explains nothing.
        own = one.positions[wrong[one.positions]]
        first = own[np.argsort(-confidence[own], kind="stable")[:SLICE_IMAGES]]
        shown = [page.thumbnail(position, result.classes[predicted[position]]) for position in first]
        rows.append({"slice": one, "count": len(one.positions), "pictures": shown})
    return {"rows": rows}
