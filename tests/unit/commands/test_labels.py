"""`convscope labels`: what is typed, what it prints, and its exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import small_data
from convscope.cli import main

QUICK = [
    *("--set", "train.batch_size=24", "--set", "train.lr=0.05", "--set", "train.epochs=4"),
    *(
        "--set",
        "train.precision=float32",
        "--set",
        "train.threads=1",
        "--folds",
        "3",
        "--model",
        "simple_cnn",
    ),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verb")
    images, labels = small_data.pictures(180)
    labels[[3, 50]] = (labels[[3, 50]] + 1) % 3
    images[20] = images[0]
    np.savez(
        folder / "small_data.npz",
        x_train=images,
        y_train=labels,
        classes=np.array(["ant", "[bold]bee", "cow"]),
    )
    return folder


@pytest.fixture
def said(place, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def type_in(*words):
        code = main(
            ["labels", str(place / "small_data.npz"), *map(str, words), *QUICK, "--out", str(place / "out")]
        )
        return code, *capsys.readouterr()

    return type_in


@pytest.mark.slow
def test_tables_the_estimate_and_what_to_do(said, place):
    code, shown, err = said()
    assert (code, err) == (0, "")
    for part in (
        "one picture, several labels: at least one is wrong",
        "train#0: ant",
        "label issues, most suspicious first",
        "[bold]bee",
        "small_data, train, 180 images: 1 picture under several labels, ",
        "by estimate",
        f"look at them: {place / 'out' / 'labels.png'}, all: {place / 'out' / 'labels.csv'}",
        "nothing was changed; where a label is wrong, write the data anew",
    ):
        assert part in shown
    assert shown.index("train#0: ant") < shown.index("train#3") and "train#50" in shown
    table = shown[shown.index("one picture") : shown.index("small_data, train")]
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.slow
def test_json_and_nothing_else(said):
    said()
    code, shown, err = said("--json")
    assert (code, err) == (0, "")
    assert {row["name"] for row in json.loads(shown)["issues"]} >= {"train#3", "train#50"}


@pytest.mark.slow
def test_options_win_over_the_file_and_set_over_options(said, place):
    file = place / "experiment.toml"
    file.write_text("seed = 4\n[train]\nmomentum = 0.5\n")
    code, shown, _ = said(
        "--config", file, "--seed", 6, "--set", "train.momentum=0.6", "--mode", "scratch", "--json"
    )
    settings = json.loads(shown)["settings"]
    assert code == 0 and (settings["seed"], settings["train.momentum"]) == (6, 0.6)
    assert (settings["model.name"], settings["transfer.mode"]) == ("simple_cnn", "scratch")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top", "0"], "--top 0"),
        (["--split", "validation"], "has no split 'validation'"),
        (["--split", "all"], "Invalid value"),
        (["--set", "train.lrr=1"], "did you mean 'train.lr'"),
    ],
)
def test_mistakes_are_one_line(said, words, message):
    code, _, err = said(*words)
    assert code == 2 and message in err and err.count("\n") == 1


def test_no_data(capsys):
    assert main(["labels"]) == 2 and "data" in capsys.readouterr().err.lower()
    assert main(["labels", "no/such/folder"]) == 2 and "no data set or path" in capsys.readouterr().err
