"""Where the figures come from: enough to make them again."""

from __future__ import annotations

import json
from typing import Any

from convscope.core.provenance import command, hardware, now, versions
from convscope.report.evidence import Evidence


def provenance(evidence: Evidence) -> dict[str, Any]:
    """How the network was trained, and how this page was made."""
    made = evidence.bundle.provenance
    trained = {
        "command": made.get("command"),
        "date": made.get("date"),
        "seed": made.get("seed"),
        "data": made.get("data"),
        "hardware": made.get("hardware"),
        "versions": made.get("versions"),
    }
    page = {
        "command": command(),
        "date": now(),
        "hardware": hardware(),
        "versions": versions(),
    }
    return {
        "trained": {key: _words(value) for key, value in trained.items() if value is not None},
        "page": {key: _words(value) for key, value in page.items()},
        "decision": {key: _words(value) for key, value in evidence.bundle.decision.to_dict().items()},
        "config": json.dumps(made.get("config", {}), indent=2, ensure_ascii=False),
    }


def _words(value: Any) -> str:
    return (
        ", ".join(f"{k} {_words(v)}" for k, v in value.items())
        if isinstance(value, dict)
        else "none"
        if value is None
        else str(value)
    )
