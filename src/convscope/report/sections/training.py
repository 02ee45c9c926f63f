"""How the run went: loss, accuracy and learning rate over the epochs."""

from __future__ import annotations

from typing import Any

from convscope.core.run.history import read_history
from convscope.report.evidence import Evidence
from convscope.report.section import LeftOut
from convscope.report.svg import inline_svg
from convscope.training.plots import training_curves


def training(evidence: Evidence) -> dict[str, Any]:
    """The curves, and the best epoch in words."""
    path = evidence.run.folder / "history.jsonl"
    rows = read_history(path) if path.is_file() else []
    if not rows:
        raise LeftOut("The run folder holds no history.jsonl, so nobody knows how training went.")
    best = max((row for row in rows if row.get("best")), key=lambda row: row["epoch"], default=None)
    words = f"Loss, accuracy and learning rate over {len(rows)} epochs"
    if best is not None:
        words += f"; best on validation is epoch {best['epoch']} with {best['validation_accuracy']:.2%}"
    return {
        "words": words,
        "curves": inline_svg("curves", words, lambda: training_curves(rows)),
        "rows": rows,
    }
