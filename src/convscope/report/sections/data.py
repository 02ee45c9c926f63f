"""The data: how many images, and what the scan found in them."""

from __future__ import annotations

from functools import partial
from typing import Any

from convscope.data.scanning.scan import scan_or_load_cached
from convscope.inference.prediction import printable
from convscope.inference.run_data import source_of
from convscope.report.evidence import Evidence


def data(evidence: Evidence) -> dict[str, Any]:
    """The findings of the scan, with a few examples each; the scan is recalled where it was done before."""
    source = source_of(evidence.bundle)
    report = scan_or_load_cached(source, progress=partial(evidence.tell, "scan"))
    findings = [
        {
            "kind": finding.kind.replace("_", " "),
            "severity": finding.severity,
            "count": finding.count,
            "advice": finding.advice,
            "examples": ["  =  ".join(printable(word) for word in item) for item in finding.examples],
        }
        for finding in report.findings
    ]
    return {
        "source": source.name,
        "images": report.images,
        "used": evidence.bundle.metrics.get("images", {}),
        "preprocess": evidence.bundle.preprocess,
        "findings": findings,
        "left_out": [entry for entry in report.quarantine if entry.split != "test"],
    }
