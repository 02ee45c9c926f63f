"""The report of a label audit: its JSON and its table, the conflicts and the sheet of images."""

from __future__ import annotations

import csv
import io
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from convscope.core.plotting import save_figure
from convscope.data.dataset import ArrayDataset
from convscope.data.scanning.scan import scan_source
from convscope.data.sources.origin import Source
from convscope.label_audit.confident_learning import confident_learning
from convscope.label_audit.label_report import (
    HEADER,
    LabelReport,
    find_conflicts,
    label_conflict,
    named_issues,
)
from convscope.label_audit.label_sheet import LETTERS, SheetRow, label_sheet, sheet_rows

CLASSES = ("=cmd()", "<b>dog</b>", "a class whose name is as long as a sentence, $x$ and all")
NAMES = ["+evil.jpg", "b\nc.png", "folder/" + "long" * 40 + ".jpg", "d", "e", "f"]


@pytest.fixture
def report(tmp_path):
    p = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8], [0.02, 0.97, 0.01], [0.9, 0.1, 0.0]])
    p = np.vstack([p, [[0.0, 0.01, 0.99]]])
    evidence = confident_learning(p, np.array([0, 1, 2, 0, 0, 1]))
    conflict = label_conflict({"d": CLASSES[0], "gone": CLASSES[1]}, {"d": 3}, p, classes=CLASSES)
    issues = named_issues(evidence.issues, NAMES, CLASSES)
    return LabelReport(
        data="tiny",
        kind="CSV",
        split="train",
        classes=CLASSES,
        images=6,
        accuracy=4 / 6,
        conflicts=(conflict,),
        issues=tuple(issue for issue in issues if issue.name != "d"),
        evidence=evidence,
        origin={"seed": 3},
        folder=tmp_path,
    )


def test_everything_is_json(report):
    value = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert value["estimated_wrong_fraction"] == report.wrong_fraction == pytest.approx(1 / 3)
    assert value["conflicts"][0]["names"] == ["d", "gone"] and value["conflicts"][0]["positions"] == [3, None]
    assert [(row["name"], row["label"], row["suggested"]) for row in value["issues"]] == [
        ("f", CLASSES[1], CLASSES[2])
    ]
    assert [row["label"] for row in value["per_class"]] == list(CLASSES)
    assert [row["likeliest"] for row in value["per_class"]] == [CLASSES[1], CLASSES[2], None]
    assert value["seed"] == 3 and len(value["joint"]) == 3


def test_the_table_is_safe_in_a_spreadsheet(report):
    header, *rows = csv.reader(io.StringIO(report.to_csv()))
    assert tuple(header) == HEADER
    assert rows[0] == ["d", "'=cmd()", CLASSES[1], "", "0.97", "1"]
    assert rows[1][:3] == ["gone", CLASSES[1], CLASSES[1]]
    assert rows[2] == ["f", CLASSES[1], CLASSES[2], "0.01", "0.99", ""]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("CSV", "in the table"), ("class folders", "folder of its class"), ("IDX files", "anew")],
)
def test_the_advice_is_what_the_source_allows(report, kind, words):
    from dataclasses import replace

    assert words in replace(report, kind=kind).advice and "by itself" in report.advice
    assert "by itself" not in replace(report, conflicts=()).advice


# Conflicts


def source(images, labels, *, test=None):
    splits = {"train": lambda: ArrayDataset(images, np.array(labels), CLASSES, "train")}
    if test is not None:
        splits["test"] = lambda: ArrayDataset(test[0], np.array(test[1]), CLASSES, "test")
    return Source("tiny", None, splits, lambda: "0")


def random_images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (count, 32, 32, 1), dtype=np.uint8)


def test_one_picture_under_two_labels_is_a_conflict_and_a_mere_copy_is_not():
    images = random_images(5)
    images[1], images[3] = images[0], images[2]
    made = source(images, [0, 2, 1, 1, 0])
    p = np.full((5, 3), 1 / 3)
    p[:2] = [[0.3, 0.4, 0.3], [0.1, 0.2, 0.7]]
    conflicts = find_conflicts(made, scan_source(made), [f"train#{i}" for i in range(5)], probabilities=p)
    assert [(c.names, c.labels, c.positions) for c in conflicts] == [
        (("train#0", "train#1"), (CLASSES[0], CLASSES[2]), (0, 1))
    ]
    assert conflicts[0].suggested == CLASSES[2] and conflicts[0].p_suggested == pytest.approx(0.5)


def test_a_conflict_with_another_split_counts_and_one_between_others_does_not():
    images = random_images(4)
    test = random_images(4, seed=1)
    test[0] = images[2]  # the same picture in train and in test
    test[2] = test[1]  # twice in test
    made = source(images, [0, 0, 1, 2], test=(test, [2, 0, 1, 2]))
    p = np.array([[0.1, 0.9, 0.0], [0.2, 0.3, 0.5]])
    conflicts = find_conflicts(made, scan_source(made), ["train#2", "train#3"], probabilities=p)
    assert [(sorted(c.names), c.suggested) for c in conflicts] == [(["test#0", "train#2"], CLASSES[1])]
    assert find_conflicts(made, scan_source(made), ["train#3"], probabilities=p[1:]) == ()


def test_without_conflicts_nothing_is_opened():
    made = source(random_images(3), [0, 1, 2])
    scanned = scan_source(made)
    closed = Source("tiny", None, {"train": lambda: pytest.fail("opened")}, lambda: "0")
    assert find_conflicts(closed, scanned, ["train#0"], probabilities=np.eye(3)[:1]) == ()


# The sheet


def test_conflicts_come_first_and_top_limits_the_sheet(report):
    rows = sheet_rows(report, 10)
    assert [(row.position, row.certain) for row in rows] == [(3, True), (5, False)]
    assert sheet_rows(report, 1) == rows[:1]
    assert rows[1].caption.endswith("0.99") and len(rows[1].caption) <= LETTERS + 8


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 8, 11])
def test_sheets_of_every_size(channels, count, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (count, 9, 14, channels), dtype=np.uint8)
    rows = [SheetRow(i, NAMES[i % 6], f"{CLASSES[2][:12]} → $x 0.99", i % 3 == 0) for i in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = save_figure(label_sheet(images, rows), tmp_path / "sheet.png")
    with Image.open(path) as picture:
        assert picture.width > 150 * min(count, 8) and picture.height > 200 * -(-count // 8)


def test_a_name_keeps_to_its_line(tmp_path):
    """Whatever a name is, the words above an image are two lines of bounded length."""
    figure = label_sheet(
        np.zeros((3, 8, 8, 1), np.uint8), [SheetRow(i, NAMES[i], "a → b 0.5", False) for i in range(3)]
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert all(title.count("\n") == 1 and len(title) <= LETTERS + 12 for title in titles)
    assert titles[2].split("\n")[0].endswith("long.jpg")


def test_black_is_black_and_white_is_white():
    """A grey image is not stretched: what is dark stays dark."""
    figure = label_sheet(np.full((1, 8, 8, 1), 40, np.uint8), [SheetRow(0, "a", "b", False)])
    assert figure.axes[0].images[0].get_clim() == (0, 255)


def test_long_labels_do_not_run_into_those_of_the_next_image():
    long = [f"{letter * 11}… → {letter * 11}… 0.15" for letter in "xno"]
    figure = label_sheet(
        np.zeros((3, 8, 8, 1), np.uint8), [SheetRow(i, "name", long[i], False) for i in range(3)]
    )
    figure.draw_without_rendering()
    lines = [line for axes in figure.axes for line in axes.get_title().split("\n")]
    assert max(len(line) for line in lines) <= LETTERS
    first, second, third = (axes.title.get_window_extent() for axes in figure.axes)
    assert first.x1 < second.x0 and second.x1 < third.x0
