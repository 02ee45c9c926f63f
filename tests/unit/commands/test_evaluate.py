"""The tables of `convscope evaluate`."""

from __future__ import annotations

from io import StringIO

import numpy as np
from rich.console import Console

import small_data
from convscope.commands.evaluate import _table, robustness_table
from convscope.core.decision import Decision
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.evaluation.robustness.corruptions import corruptions
from convscope.evaluation.robustness.measure import CorruptionResult, Robustness
from convscope.tasks.classification.task import CLASSIFICATION


def measured() -> Robustness:
    rows = tuple(
        CorruptionResult(name, strength, amount, kind.unit, 1 - strength / 7, 60)
        for name, kind in ((name, corruptions[name]) for name in corruptions)
        for strength, amount in enumerate(kind.amounts, start=1)
    )
    return Robustness(1.0, 0.5, 60, rows)


def printed(table, width: int) -> str:
    screen = Console(width=width, file=StringIO())
    screen.print(table)
    return screen.file.getvalue()


def test_a_long_class_name_leaves_the_figures_whole():
    whole = ArrayDataset(*small_data.pictures(2), ("ox", 300 * "x", "yak"))
    images = prepare_split(whole, Preprocess(1, 12, 12))
    evaluation = CLASSIFICATION.evaluation(["ox", 300 * "x"])
    evaluation.add(np.eye(2)[images.targets].astype(np.float32), images.targets)
    rows = evaluation.result(images, Decision()).table()
    shown = printed(_table(rows), 60)
    assert shown.count("1.000") == 6 and shown.count("x") == 301 and "…" not in shown


def test_the_table_has_a_row_a_corruption():
    table = robustness_table(measured())
    assert table.row_count == len(corruptions) and len(table.columns) == 8


def test_in_a_narrow_terminal_the_figures_stay_whole():
    found = measured()
    shown = printed(robustness_table(found, narrow=True), 40)
    rows = shown.splitlines()
    assert "…" not in shown and max(len(row) for row in rows) <= 40
    words = " ".join(rows)
    assert all(f"{100 * row.score:.0f}" in words for row in found.rows)


def test_the_table_is_of_the_score_of_the_task():
    assert "error, %" in printed(robustness_table(Robustness(0.1, 0.2, 3, (), "error")), 80)
