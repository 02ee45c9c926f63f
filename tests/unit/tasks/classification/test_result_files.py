from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import small_data
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.tasks.classification.result_files import write_predictions
from convscope.tasks.classification.task import ClassificationResult

P = np.log([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
SPLIT = {"names": ["a.png", "-b.png"], "classes": ("cat", "dog", "=owl"), "decision": Decision(threshold=0.5)}


def test_csv(tmp_path):
    path = write_predictions(tmp_path / "p.csv", P, [0, 1], **SPLIT, top=2)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "name": "a.png",
        "label": "cat",
        "correct": "1",
        "unknown": "0",
        "prediction": "cat",
        "probability": "0.7",
        "second": "dog",
        "probability_2": "0.2",
    }
    assert (rows[1]["name"], rows[1]["prediction"], rows[1]["correct"]) == ("'-b.png", "'=owl", "0")


def test_json_has_names_exactly(tmp_path):
    rows = json.loads(write_predictions(tmp_path / "p.JSON", P, np.array([0, 1]), **SPLIT).read_text())
    assert rows[1]["name"] == "-b.png"
    assert (rows[1]["label"], rows[1]["prediction"], rows[1]["correct"]) == ("dog", "=owl", False)
    assert [entry["label"] for entry in rows[1]["top"]] == ["=owl", "cat", "dog"]


def test_the_default_asks_for_no_more_than_there_is(tmp_path):
    header = write_predictions(tmp_path / "p.csv", P, [0, 1], **SPLIT).read_text().splitlines()[0]
    assert header.endswith("third,probability_3")


def test_no_images_make_a_header(tmp_path):
    none = {"names": [], "classes": ("a", "b"), "decision": Decision()}
    path = write_predictions(tmp_path / "p.csv", np.empty((0, 2)), [], **none)
    assert len(path.read_text().splitlines()) == 1


def test_hostile_arguments(tmp_path):
    with pytest.raises(UserError, match="allowed endings"):
        write_predictions(tmp_path / "p.xlsx", P, [0, 1], **SPLIT)
    with pytest.raises(UserError, match="do not belong together"):
        write_predictions(tmp_path / "p.csv", P, [0], **SPLIT)
    with pytest.raises(UserError, match="do not belong together"):
        write_predictions(
            tmp_path / "p.csv", P, [0, 1], names=["a"], classes=("a", "b", "c"), decision=Decision()
        )


def test_an_error_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    path = write_predictions(tmp_path / "p.csv", P, [0, 1], **SPLIT)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(Exception, match="disk is full"):
        write_predictions(path, P[:1], [1], names=["c"], classes=SPLIT["classes"], decision=Decision())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_figures_predictions_and_pictures(tmp_path):
    whole = ArrayDataset(*small_data.pictures(9), small_data.CLASSES, "test")
    images = prepare_split(whole, Preprocess(1, 12, 12))
    logits = 4 * np.eye(3, dtype=np.float32)[images.targets]
    logits[0] = [0, 4, 0]
    result = ClassificationResult.of(images, logits, classes=small_data.CLASSES, decision=Decision(2.0))
    result.write(tmp_path, "test")
    assert result.metrics.top1 == 8 / 9
    assert json.loads((tmp_path / "test_metrics.json").read_text()) == result.to_dict()
    with (tmp_path / "test_predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    shown = [rows[0][key] for key in ("name", "label", "prediction", "correct")]
    assert shown == ["test#0", "ant", "bee", "0"]
    assert float(rows[0]["probability"]) == round(np.exp(2) / (np.exp(2) + 2), 6)
    assert sum(int(row["correct"]) for row in rows) == 8
    drawn = {"confusion", "recall"}
    assert {path.stem for path in tmp_path.glob("*.png")} == {f"test_{name}" for name in drawn}
    result.write(tmp_path, "test", everything=True)
    drawn |= {"reliability", "risk_coverage", "curves"}
    assert {path.stem for path in tmp_path.glob("*.png")} == {f"test_{name}" for name in drawn}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.glob("*.png"))
