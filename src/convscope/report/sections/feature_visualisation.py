"""What the network learned: its first filters, what its stages see, and where it puts the images."""

from __future__ import annotations

from functools import partial
from typing import Any

from convscope.core.errors import ConvscopeError
from convscope.data.preparing.prepared_split import evenly_spaced
from convscope.explanation.feature_visualisation.embedding import embed
from convscope.explanation.feature_visualisation.embedding_plot import embedding_figure
from convscope.explanation.feature_visualisation.filters import filters_figure, first_filters
from convscope.explanation.feature_visualisation.receptive_field import field_lines, stage_fields
from convscope.explanation.feature_visualisation.receptive_field_plot import growth_figure
from convscope.report.evidence import Evidence
from convscope.report.section import Fill
from convscope.report.svg import inline_svg

FIELD_IMAGES = 16
EMBEDDED = 1000
"""Points of the map of images: more hide each other, and each is an element of the page."""


def learned(evidence: Evidence) -> dict[str, Any]:
    """Three figures; of one that cannot be drawn, the reason."""
    views = (("filters", _filters), ("field", _field), ("embedding", _embedding))
    return {"views": [_or_reason(name, view, evidence) for name, view in views]}


def _or_reason(name: str, view: Fill, evidence: Evidence) -> dict[str, Any]:
    try:
        return {"name": name, "reason": None} | view(evidence)
    except ConvscopeError as reason:
        return {"name": name, "reason": str(reason)}


def _filters(evidence: Evidence) -> dict[str, Any]:
    explained_model = evidence.explained_model
    found = first_filters(explained_model.torch_network(), explained_model.inputs(evidence.images([0])))
    words = "The filters of the first convolution, and their norms"
    return {
        "lines": found.lines(),
        "figure": inline_svg("filters", words, lambda: filters_figure(found)),
        "words": words,
    }


def _field(evidence: Evidence) -> dict[str, Any]:
    explained_model = evidence.explained_model
    images = evidence.images(evenly_spaced(len(evidence.labels), FIELD_IMAGES))
    tell = partial(evidence.tell, "measure receptive fields")
    found = stage_fields(explained_model.torch_network(), explained_model.inputs(images), tell=tell)
    size = (images.shape[1], images.shape[2])
    words = "Receptive field and resolution of each stage"
    return {
        "lines": field_lines(found, size),
        "figure": inline_svg("field", words, lambda: growth_figure(found, size)),
        "words": words,
    }


def _embedding(evidence: Evidence) -> dict[str, Any]:
    part = evidence.evaluation.part.subsample(EMBEDDED)
    found = embed(evidence.explained_model, part, tell=evidence.tell)
    words = f"Where the network puts {len(part):,} of the images: the first two principal components of its last features"
    figure = inline_svg("embedding", words, lambda: embedding_figure(found, evidence.classes))
    return {"lines": (), "figure": figure, "words": words}
