"""The parts of a report about the run: how it was trained, its network, its data, its provenance."""

from __future__ import annotations

import json
from typing import Any

from convscope.core.provenance import command, hardware, now, versions
from convscope.core.run.history import read_history
from convscope.data.scanning.scan import scan_or_load_cached
from convscope.inference.prediction import printable
from convscope.inference.run_data import source_of
from convscope.models.engine import engine_named
from convscope.models.spec_text import format_shape
from convscope.report.evidence import Evidence
from convscope.report.graphics import inline_svg
from convscope.tasks.section import LeftOut
from convscope.training.plots import training_curves

ROWS = 400
"""Layers of the table; a network with more has thousands, and the page would be slow."""


def training(evidence: Evidence) -> dict[str, Any]:
    """The curves of loss, score and learning rate, and the best epoch in words."""
    path = evidence.run.folder / "history.jsonl"
    rows = read_history(path) if path.is_file() else []
    if not rows:
        raise LeftOut("The run folder holds no history.jsonl, so nobody knows how training went.")
    score = evidence.evaluation.task.score.name
    # Every epoch that was the best so far is marked; the last of them is the best of all.
    best = max((row for row in rows if row.get("best")), key=lambda row: row["epoch"], default=None)
    text = f"Loss, {score} and learning rate over {len(rows)} epochs"
    if best is not None:
        text += f"; best on validation is epoch {best['epoch']} with {best[f'validation_{score}']:.2%}"
    return {
        "words": text,
        "score": score,
        "curves": inline_svg("curves", text, lambda: training_curves(rows, score=score)),
        "rows": rows,
    }


def network(evidence: Evidence) -> dict[str, Any]:
    """The rows of `convscope summary`, with the sums."""
    engine, predictor = engine_named(evidence.bundle.engine), evidence.explained_model.predictor
    network = predictor.network  # type: ignore[attr-defined]  # a bundle is opened by an engine, which has one
    summary = engine.summarise(network, tuple(evidence.bundle.model["input_shape"]))
    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            "output": format_shape(row.output),
            "parameters": row.parameters,
            "macs": row.macs,
            "stride": format_shape(row.stride) if row.stride else "–",
            "receptive_field": format_shape(row.receptive_field) if row.receptive_field else "all",
        }
        for row in summary.rows
    ]
    return {
        "name": evidence.bundle.model["name"],
        "input": format_shape(summary.input_shape),
        "parameters": summary.parameters,
        "macs": summary.macs,
        "rows": rows[:ROWS],
        "more": max(0, len(rows) - ROWS),
    }


def data(evidence: Evidence) -> dict[str, Any]:
    """What the scan found, with a few examples each; a scan that was done before is loaded from the cache."""
    source = source_of(evidence.bundle)
    report = scan_or_load_cached(source, progress=evidence.progress)
    findings = [
        {
            "kind": finding.kind.replace("_", " "),
            "severity": finding.severity,
            "count": finding.count,
            "advice": finding.advice,
            "examples": ["  =  ".join(printable(name) for name in names) for names in finding.examples],
        }
        for finding in report.findings
    ]
    return {
        "source": source.name,
        "images": report.images,
        # A bundle that no training wrote lacks it.
        "used": evidence.bundle.metrics.get("images", {}),
        "preprocess": evidence.bundle.preprocess,
        "findings": findings,
        # Nothing of a test split is ever left out.
        "left_out": [entry for entry in report.quarantine if entry.split != "test"],
    }


def provenance(evidence: Evidence) -> dict[str, Any]:
    """How the network was trained, and how this page was made: enough to make the figures again."""
    made = evidence.bundle.provenance
    trained = {key: made.get(key) for key in ("command", "date", "seed", "data", "hardware", "versions")}
    page = {"command": command(), "date": now(), "hardware": hardware(), "versions": versions()}
    return {
        "trained": {key: _in_words(value) for key, value in trained.items() if value is not None},
        "page": {key: _in_words(value) for key, value in page.items()},
        "decision": {key: _in_words(value) for key, value in evidence.bundle.decision.to_dict().items()},
        "config": json.dumps(made.get("config", {}), indent=2, ensure_ascii=False),
    }


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_words(item)}" for key, item in value.items())
    return "none" if value is None else str(value)
