from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import small_data
from convscope.core.decision import Decision
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.tasks.classification.result_files import write_confidence_plots, write_results


@pytest.mark.slow
def test_figures_answers_and_pictures(tmp_path):
    part = prepare_split(
        ArrayDataset(*small_data.pictures(9), small_data.CLASSES, "test"), Preprocess(1, 12, 12)
    )
    logits = 4 * np.eye(3, dtype=np.float32)[part.targets]
    logits[0] = [0, 4, 0]
    found = write_results(
        tmp_path, "test", part, logits=logits, classes=small_data.CLASSES, decision=Decision(2.0)
    )
    assert (
        found.metrics.top1 == 8 / 9
        and json.loads((tmp_path / "test_metrics.json").read_text()) == found.to_dict()
    )
    with (tmp_path / "test_predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["name"], rows[0]["label"], rows[0]["prediction"], rows[0]["correct"]) == (
        "test#0",
        "ant",
        "bee",
        "0",
    )
    assert float(rows[0]["probability"]) == round(np.exp(2) / (np.exp(2) + 2), 6)
    assert sum(int(row["correct"]) for row in rows) == 8
    write_confidence_plots(
        tmp_path, "test", found, logits=logits, labels=part.targets, decision=Decision(2.0)
    )
    for name in ("confusion", "recall", "reliability", "risk_coverage", "curves"):
        assert (tmp_path / f"test_{name}.png").read_bytes().startswith(b"\x89PNG")
