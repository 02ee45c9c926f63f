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
def folder(tmp_path_factory):
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
def invoke(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments):
        code = main(
            [
                "labels",
                str(folder / "small_data.npz"),
                *map(str, arguments),
                *QUICK,
                "--out",
                str(folder / "out"),
            ]
        )
        return code, *capsys.readouterr()

    return call


@pytest.mark.slow
def test_tables_the_estimate_and_what_to_do(invoke, folder):
    code, output, err = invoke()
    assert (code, err) == (0, "")
    for part in (
        "one picture, several labels: at least one is wrong",
        "train#0: ant",
        "label issues, most suspicious first",
        "[bold]bee",
        "small_data, train, 180 images: 1 picture under several labels, ",
        "by estimate",
        f"look at them: {folder / 'out' / 'labels.png'}, all: {folder / 'out' / 'labels.csv'}",
        "nothing was changed; where a label is wrong, write the data anew",
    ):
        assert part in output
    assert output.index("train#0: ant") < output.index("train#3") and "train#50" in output
    table = output[output.index("one picture") : output.index("small_data, train")]
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.slow
def test_json_and_nothing_else(invoke):
    invoke()
    code, output, err = invoke("--json")
    assert (code, err) == (0, "")
    assert {row["name"] for row in json.loads(output)["issues"]} >= {"train#3", "train#50"}


@pytest.mark.slow
def test_options_win_over_the_file_and_set_over_options(invoke, folder):
    file = folder / "experiment.toml"
    file.write_text("seed = 4\n[train]\nmomentum = 0.5\n")
    code, output, _ = invoke(
        "--config", file, "--seed", 6, "--set", "train.momentum=0.6", "--mode", "scratch", "--json"
    )
    settings = json.loads(output)["settings"]
    assert code == 0 and (settings["seed"], settings["train.momentum"]) == (6, 0.6)
    assert (settings["model.name"], settings["transfer.mode"]) == ("simple_cnn", "scratch")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top", "0"], "--top 0"),
        (["--split", "validation"], "has no split 'validation'"),
        (["--split", "all"], "Invalid value"),
        (["--set", "train.lrr=1"], "did you mean 'train.lr'"),
    ],
)
def test_mistakes_are_one_line(invoke, arguments, message):
    code, _, err = invoke(*arguments)
    assert code == 2 and message in err and err.count("\n") == 1


def test_no_data(capsys):
    assert main(["labels"]) == 2 and "data" in capsys.readouterr().err.lower()
    assert main(["labels", "no/such/folder"]) == 2 and "no data set or path" in capsys.readouterr().err
