"""The surest wrong answers, with what the network saw in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.explanation.attribute import explain_images
from convscope.explanation.faithfulness.choose import choose_method, most_faithful
from convscope.explanation.methods import methods
from convscope.explanation.pictures import overlay
from convscope.inference.prediction import printable
from convscope.report.evidence import Evidence
from convscope.report.picture import framed
from convscope.report.section import LeftOut
from convscope.tasks.classification.errors import most_confident_errors

COUNT = 18
SIDE = 160
THEN = ("layer_cam", "occlusion")
"""Where the most faithful method refuses an image, these are asked; the last needs answers alone."""


def mistakes(evidence: Evidence) -> dict[str, Any]:
    """For each error the image, what speaks for the answer, and what speaks for the label."""
    errors = most_confident_errors(evidence.logits, evidence.labels, evidence.bundle.decision, count=COUNT)
    if not len(errors):
        raise LeftOut("No image is answered wrongly.")
    images = evidence.images(errors)
    answers, labels = evidence.logits[errors].argmax(axis=1), evidence.labels[errors]
    probabilities = evidence.bundle.decision.probabilities(evidence.logits[errors])
    unknown = evidence.bundle.decision.unknown(evidence.logits[errors])
    choice = choose_method(evidence.run, evidence.explained_model, images)
    # Pixel by pixel, what a gradient says is dust at the size of a thumbnail; regions can be seen.
    regions = {name: score for name, score in choice.scores.items() if methods[name].needs != "gradients"}
    best = most_faithful(regions) if regions else choice.method
    order = tuple(dict.fromkeys((best, *THEN)))
    seen = {
        "answer": _seen(evidence, images, answers, order),
        "label": _seen(evidence, images, labels, order),
    }
    names = [printable(evidence.evaluation.part.names[position]) for position in errors]
    rows = []
    for number, name in enumerate(names):
        answer, label = evidence.classes[answers[number]], evidence.classes[labels[number]]
        rows.append(
            {
                "name": name,
                "answer": answer,
                "label": label,
                "probability": float(probabilities[number, answers[number]]),
                "of_label": float(probabilities[number, labels[number]]),
                "unknown": bool(unknown[number]),
                "image": framed(images[number], name, side=SIDE),
                "for_answer": _map(images[number], seen["answer"][number], name, answer),
                "for_label": _map(images[number], seen["label"][number], name, label),
            }
        )
    return {"rows": rows, "choice": choice.line(), "shown": methods[best].title}


def _seen(
    evidence: Evidence, images: NDArray[np.uint8], targets: NDArray[np.int64], order: Sequence[str]
) -> list[tuple[str, NDArray[Any] | str]]:
    """For each image the title of the method that shows something, and its map, or why none does."""
    found: list[tuple[str, NDArray[Any] | str]] = [("", "")] * len(images)
    left = np.arange(len(images))
    for name in order:
        if not len(left):
            break
        explained = explain_images(
            evidence.explained_model, images[left], methods[name], targets=targets[left]
        )
        for place, one, refused in zip(left, explained.maps, explained.refused, strict=True):
            found[place] = (methods[name].title, refused or one)
        left = left[[reason is not None for reason in explained.refused]]
    return found


def _map(
    image: NDArray[np.uint8], seen: tuple[str, NDArray[Any] | str], name: str, label: str
) -> dict[str, Any]:
    title, shown = seen
    if isinstance(shown, str):
        return {"method": title, "picture": None, "reason": shown}
    drawn = overlay(image, shown, signed=bool((shown < 0).any()))
    alt = f"{title}: where {name} speaks for {label}"
    return {"method": title, "picture": framed(drawn, name, alt=alt, side=SIDE), "reason": None}
