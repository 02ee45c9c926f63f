"""The report from top to bottom: its sections in the order in which they stand on the page."""

from __future__ import annotations

from convscope.report.section import Section
from convscope.report.sections import (
    classes,
    confidence,
    confusion,
    data,
    errors,
    feature_visualisation,
    network,
    provenance,
    result,
    robustness,
    slices,
    training,
)

SECTIONS = (
    Section("result", "Result", result.result),
    Section("confusion", "What is taken for what", confusion.confusion),
    Section("errors", "The most confident errors", errors.mistakes),
    Section("slices", "Where it fails", slices.slices),
    Section("confidence", "How far to trust it", confidence.sureness),
    Section("robustness", "How robust it is", robustness.robustness),
    Section("classes", "Class by class", classes.classes),
    Section("feature_visualisation", "What it learned", feature_visualisation.learned),
    Section("training", "How it was trained", training.training),
    Section("network", "The network", network.network),
    Section("data", "The data", data.data),
    Section("provenance", "Where this comes from", provenance.provenance),
)
