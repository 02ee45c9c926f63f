"""The parts of a report about the network itself: how robust it is, and what it learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convscope.core.errors import ConvscopeError
from convscope.core.seeds import generator
from convscope.data.preparing.prepared_split import evenly_spaced
from convscope.evaluation.robustness.measure import affordable, robustness_figure
from convscope.explanation.attacks import accuracy_under_attack
from convscope.explanation.feature_visualisation.embedding import embed, embedding_figure
from convscope.explanation.feature_visualisation.filters import filters_figure, first_filters
from convscope.explanation.feature_visualisation.receptive_field import field_lines, stage_fields
from convscope.explanation.feature_visualisation.receptive_field_plot import growth_figure
from convscope.report.evidence import Evidence
from convscope.report.graphics import inline_svg
from convscope.tasks.section import LeftOut

ATTACKED = 200
"""Images that are attacked, of photographs a fifth: each costs eleven passes forward and back a strength."""
FIELD_IMAGES = 16
EMBEDDED = 1000
"""Points of the map of images: more hide each other, and each is an element of the page."""
NO_INDICES = "The targets of this task are no indices of outputs, which this view needs."


def robustness(evidence: Evidence) -> dict[str, Any]:
    """The score under eight corruptions at five strengths, and accuracy under FGSM and PGD."""
    measured = evidence.evaluation.robustness
    if measured is None:
        raise LeftOut("Robustness was not measured.")
    alt = f"{measured.score.capitalize()} under eight corruptions of five strengths"
    return {
        "robustness": measured,
        "figure": inline_svg("robustness", alt, lambda: robustness_figure(measured)),
        "attacks": _attacks(evidence),
    }


def _attacks(evidence: Evidence) -> dict[str, Any]:
    labels = evidence.output_indices
    # An attack climbs the loss of a class; what to climb for other targets, nobody has said.
    if labels is None:
        return {"reason": NO_INDICES}
    height, width, _ = evidence.explained_model.preprocess.shape
    # By seed and not the first ones, which are of one class where data lie class by class.
    order = generator(evidence.bundle.seed, "attacked").permutation(len(labels))
    order = order[: affordable(ATTACKED, height, width)]
    try:
        under_attack = accuracy_under_attack(
            evidence.explained_model,
            evidence.images(order),
            labels[order],
            progress=evidence.progress,
        )
    except ConvscopeError as reason:
        return {"reason": str(reason)}
    none, *attacked = under_attack.rows
    rows: dict[str, list[float]] = {}
    for row in attacked:
        rows.setdefault(row.attack, [none.accuracy]).append(row.accuracy)
    levels = [0, *dict.fromkeys(row.epsilon for row in attacked)]
    return {"reason": None, "rows": rows, "levels": levels, "images": none.images}


def feature_visualisation(evidence: Evidence) -> dict[str, Any]:
    """The first filters, what the stages see, and where images lie; of what cannot be drawn, the reason."""
    views = (("filters", _filters), ("field", _receptive_field), ("embedding", _embedding))
    return {"views": [_or_reason(name, view, evidence) for name, view in views]}


def _or_reason(name: str, view: Callable[[Evidence], dict[str, Any]], evidence: Evidence) -> dict[str, Any]:
    try:
        return {"name": name, "reason": None} | view(evidence)
    # A network without convolutions has no filters, and the other views all the same.
    except (ConvscopeError, LeftOut) as reason:
        return {"name": name, "reason": str(reason)}


def _filters(evidence: Evidence) -> dict[str, Any]:
    filters = first_filters(evidence.explained_model)
    alt = "The filters of the first convolution, and their norms"
    figure = inline_svg("filters", alt, lambda: filters_figure(filters))
    return {"lines": filters.lines(), "figure": figure, "words": alt}


def _receptive_field(evidence: Evidence) -> dict[str, Any]:
    images = evidence.images(evenly_spaced(len(evidence.evaluation.images), FIELD_IMAGES))
    fields = stage_fields(evidence.explained_model, images, progress=evidence.progress)
    size = (images.shape[1], images.shape[2])
    alt = "Receptive field and resolution of each stage"
    figure = inline_svg("field", alt, lambda: growth_figure(fields, size))
    return {"lines": field_lines(fields, size), "figure": figure, "words": alt}


def _embedding(evidence: Evidence) -> dict[str, Any]:
    if evidence.output_indices is None:
        raise LeftOut(NO_INDICES)
    images = evidence.evaluation.images.subsample(EMBEDDED)
    embedding = embed(evidence.explained_model, images, progress=evidence.progress)
    where = "the first two principal components of its last features"
    alt = f"Where the network puts {len(images):,} of the images: {where}"
    figure = inline_svg("embedding", alt, lambda: embedding_figure(embedding, evidence.bundle.classes))
    return {"lines": (), "figure": figure, "words": alt}
