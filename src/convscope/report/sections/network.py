"""The network, layer by layer."""

from __future__ import annotations

from typing import Any

from convscope.models.pytorch.shapes import times
from convscope.models.pytorch.summary import summarise
from convscope.report.evidence import Evidence

ROWS = 400


def network(evidence: Evidence) -> dict[str, Any]:
    """The rows of `convscope summary`, with the sums."""
    summary = summarise(evidence.subject.torch_network(), tuple(evidence.bundle.model["input_shape"]))
    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            "output": times(row.output),
            "parameters": row.parameters,
            "macs": row.macs,
            "stride": times(row.stride) if row.stride else "–",
            "field": times(row.field) if row.field else "all",
        }
        for row in summary.rows
    ]
    return {
        "name": evidence.bundle.model["name"],
        "input": times(summary.input_shape),
        "parameters": summary.parameters,
        "macs": summary.macs,
        "rows": rows[:ROWS],
        "more": max(0, len(rows) - ROWS),
    }
