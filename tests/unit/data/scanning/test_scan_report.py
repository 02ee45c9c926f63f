from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.data.scanning.scan_report import Quarantined, ScanIssue, ScanReport

words = st.text(max_size=8)
findings = st.builds(
    ScanIssue, words, st.just("note"), words, st.lists(st.tuples(words, words), max_size=7).map(tuple)
)
entries = st.builds(Quarantined, words, st.sampled_from(["train", "test"]), words)
reports = st.builds(
    ScanReport,
    words,
    words,
    st.dictionaries(words, st.integers(0, 9)),
    st.lists(findings, max_size=3).map(tuple),
    st.lists(entries, max_size=3).map(tuple),
    st.lists(st.tuples(words, words), max_size=3).map(tuple),
)


@pytest.mark.slow
@given(reports)
def test_json_gives_the_same_report_back(report: ScanReport) -> None:
    assert ScanReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


@given(findings)
def test_examples_are_the_first_five(finding: ScanIssue) -> None:
    assert finding.examples == finding.items[:5]
    assert finding.count == len(finding.items)


def test_something_else_is_not_a_report() -> None:
    with pytest.raises(KeyError):
        ScanReport.from_dict({"source": "pets"})


def test_quarantine_is_asked_by_split() -> None:
    entries_ = (Quarantined("a", "train", ""), Quarantined("b", "test", ""))
    assert ScanReport("pets", "", {}, (), entries_).quarantined("train") == {"a"}
