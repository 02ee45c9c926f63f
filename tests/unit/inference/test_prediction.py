from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from convscope.commands.output import predictions_table
from convscope.core.decision import Decision
from convscope.inference.prediction import (
    failed_prediction,
    prediction_header,
    predictions_csv,
    predictions_json,
    predictions_of,
    printable,
)

CLASSES = ("cat", "dog", "[red]owl", "ant")
LOGITS = np.log([[0.1, 0.6, 0.2, 0.1], [0.7, 0.1, 0.1, 0.1]])
FEW = predictions_of(["a.jpg", "=b.jpg"], LOGITS, CLASSES, decision=Decision(), top=3)


def shown(table) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()


def test_the_first_answers_come_most_probable_first():
    first, second = FEW
    assert (first.label, first.probability) == ("dog", 0.6)
    assert [label for label, _ in first.top] == ["dog", "[red]owl", "cat"]
    assert [p for _, p in first.top] == pytest.approx([0.6, 0.2, 0.1])
    assert [label for label, _ in second.top] == ["cat", "dog", "[red]owl"]  # of equal ones, the first class


@given(st.integers(1, 6), st.integers(-1, 9), st.integers(0, 5))
def test_top_is_cut_to_the_classes_there_are(k, top, n):
    logits = np.random.default_rng(0).normal(size=(n, k))
    got = predictions_of(
        [str(i) for i in range(n)], logits, [str(i) for i in range(k)], decision=Decision(), top=top
    )
    assert [len(answer.top) for answer in got] == [min(max(top, 1), k)] * n
    for answer, row in zip(got, Decision().probabilities(logits), strict=True):
        assert answer.probability == row.max()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize(
    "decision", [Decision(), Decision(threshold=0.5), Decision(score="energy", threshold=0.5)]
)
def test_where_there_is_no_number_the_answer_is_an_error(wrong, decision):
    logits = LOGITS.copy()
    logits[0, 2] = wrong
    first, second = predictions_of(["a.jpg", "b.jpg"], logits, CLASSES, decision=decision)
    assert first.label is None and first.top == () and not first.unknown and "NaN or infinity" in first.error
    assert second.error is None
    assert json.loads(predictions_json([first, second]))[0]["probability"] is None
    assert "NaN or infinity" in shown(predictions_table([first, second]))


def test_a_class_that_is_ruled_out_is_no_error():
    assert (
        predictions_of(["a.jpg"], np.array([[0.0, -np.inf]]), ("cat", "dog"), decision=Decision())[
            0
        ].probability
        == 1
    )


def test_json_has_every_field_and_names_as_they_are():
    rows = json.loads(predictions_json([*FEW, failed_prediction("c.jpg", "the file is cut short")]))
    assert rows[1]["name"] == "=b.jpg"
    assert rows[0]["top"][1] == {"label": "[red]owl", "probability": 0.2}
    assert rows[2] == {
        "name": "c.jpg",
        "label": None,
        "probability": None,
        "top": [],
        "error": "the file is cut short",
        "unknown": False,
    }


def test_csv_has_a_row_for_each_and_safe_cells():
    rows = list(csv.DictReader(io.StringIO(predictions_csv([*FEW, failed_prediction("c.jpg", "cut short")]))))
    assert [row["name"] for row in rows] == ["a.jpg", "'=b.jpg", "c.jpg"]
    assert (rows[0]["prediction"], rows[0]["probability"], rows[0]["third"]) == ("dog", "0.6", "cat")
    assert (rows[2]["prediction"], rows[2]["probability_3"], rows[2]["error"]) == ("", "", "cut short")


def test_an_answer_that_is_not_sure_enough_is_unknown_everywhere_and_keeps_its_guess():
    decision = Decision(threshold=0.65)
    unsure, sure = predictions_of(
        ["a", "b"], np.log([[0.4, 0.6], [0.2, 0.8]]), ("cat", "dog"), decision=decision
    )
    assert (unsure.unknown, unsure.label, sure.unknown) == (True, "dog", False)
    text = shown(predictions_table([unsure, sure]))
    assert "unknown" in text and "dog 60.0%, cat 40.0%" in text and "80.0%" in text
    assert [row["unknown"] for row in csv.DictReader(io.StringIO(predictions_csv([unsure, sure])))] == [
        "1",
        "0",
    ]
    assert [row["unknown"] for row in json.loads(predictions_json([unsure, sure]))] == [True, False]


def test_csv_of_nothing_is_a_header():
    assert predictions_csv([]) == "name,prediction,probability,unknown,error\n"


def test_header_of_five():
    assert prediction_header(5)[-2:] == ["5th", "probability_5"]
    assert prediction_header(0) == ["prediction", "probability"]


def test_the_table_shows_names_as_they_are():
    text = shown(predictions_table([*FEW, failed_prediction("[bold]c.jpg", "the file is cut short")]))
    assert "[red]owl 20.0%" in text
    assert "[bold]c.jpg" in text
    assert "the file is cut short" in text
    assert "60.0%" in text


@pytest.mark.parametrize("raw", [b"caf\xe9.jpg", "grüße.jpg".encode(), b"\xff\xfe"])
def test_a_name_that_is_not_utf8_can_be_printed(raw):
    name = raw.decode("utf-8", "surrogateescape")
    printable(name).encode()
    predictions_json([failed_prediction(name, "x")]).encode()
