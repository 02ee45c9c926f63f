"""Runs without figures: they cost a second each and are tested elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

FIGURES = {
    "convscope.training.finalise": ("training_curves", "save_figure"),
    "convscope.tasks.classification.result_files": (
        *("confusion_figure", "recall_bars", "save_figure"),
        *("reliability_figure", "risk_coverage_figure", "curves_figure"),
    ),
    "convscope.evaluation.evaluate": ("robustness_figure", "save_figure"),
}


def undrawn(set_attribute: Callable[..., None] = setattr) -> None:
    """Let a run draw nothing, by `setattr` or by that of a MonkeyPatch."""
    for module, names in FIGURES.items():
        for name in names:
            set_attribute(import_module(module), name, lambda *a, **k: None)
