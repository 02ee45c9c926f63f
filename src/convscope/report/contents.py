"""The report from top to bottom: its sections in the order in which they stand on the page."""

from __future__ import annotations

from convscope.report.section import Section
from convscope.report.sections import (
    classes,
    confusion,
    data,
    learned,
    mistakes,
    network,
    provenance,
    result,
    robustness,
    slices,
    sureness,
    training,
)

SECTIONS = (
    Section("result", "Result", result.result),
    Section("confusion", "What is taken for what", confusion.confusion),
    Section("mistakes", "The surest mistakes", mistakes.mistakes),
    Section("slices", "Where it fails", slices.slices),
    Section("sureness", "How far to trust it", sureness.sureness),
    Section("robustness", "How robust it is", robustness.robustness),
    Section("classes", "Class by class", classes.classes),
    Section("learned", "What it learned", learned.learned),
    Section("training", "How it was trained", training.training),
    Section("network", "The network", network.network),
    Section("data", "The data", data.data),
    Section("provenance", "Where this comes from", provenance.provenance),
)
