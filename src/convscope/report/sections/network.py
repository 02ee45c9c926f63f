"""The network, layer by layer."""

from __future__ import annotations

from typing import Any

from convscope.models.pytorch.shapes import format_shape
from convscope.models.pytorch.summary import summarise
from convscope.report.evidence import Evidence

ROWS = 400


def network(evidence: Evidence) -> dict[str, Any]:
    """The rows of `convscope summary`, with the sums."""
    summary = summarise(evidence.explained_model.torch_network(), tuple(evidence.bundle.model["input_shape"]))
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
