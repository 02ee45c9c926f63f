"""`convscope compare A B --data D`: what is typed, what it prints, and its exit codes."""

from __future__ import annotations

import json

import pytest

from convscope.cli import main
from convscope.experiments import benchmark_run as module

QUICK = [
    *("--set", "data.quarantine=none", "--set", "train.batch_size=24", "--set", "train.lr=0.05"),
    *("--set", "train.precision=float32", "--set", "train.threads=1", "--epochs", "1"),
]

pytestmark = [pytest.mark.usefixtures("no_pictures"), pytest.mark.slow]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """One folder, so that no network is trained twice."""
    return tmp_path_factory.mktemp("verb") / "c"


@pytest.fixture
def invoke(npz, out, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments, to=out, quick=QUICK):
        code = main(
            ["compare", *map(str, arguments), *quick, "--data", str(npz), *(["--out", str(to)] if to else [])]
        )
        return code, *capsys.readouterr()

    return call


def test_a_table_and_where_the_chart_is(invoke, out):
    code, output, err = invoke("simple_cnn", "lenet5", "--seeds", 2)
    assert (code, err) == (0, "")
    table = output[output.index("\nnetwork ") :]
    for part in ("simple_cnn", "lenet5", "±", "budget: 12×12×1, 1 epoch from scratch, 2 seeds", "1 thread"):
        assert part in table
    assert output.splitlines()[-1] == f"picture: {out / 'comparison.png'}"
    assert (out / "comparison.png").is_file()


def test_options_may_stand_before_the_names(invoke):
    code, output, _ = invoke("--seeds", 2, "--set", "train.momentum=0.9", "simple_cnn", "lenet5")
    assert code == 0 and output.count("nothing was trained") == 4


def test_json_and_nothing_else(invoke):
    code, output, err = invoke("simple_cnn", "lenet5", "--json")
    assert (code, err) == (0, "") and [e["name"] for e in json.loads(output)["entries"]] == [
        "simple_cnn",
        "lenet5",
    ]


def test_without_a_folder_it_goes_below_artifacts(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invoke("simple_cnn", "lenet5", to=None)[0] == 0
    assert {p.name for p in (tmp_path / "artifacts" / "compare_small_data").iterdir()} == {
        "comparison.json",
        "comparison.png",
        "torch_simple_cnn_small_data",
        "torch_lenet5_small_data",
    }


def test_the_runs_are_runs_that_can_be_set_side_by_side(invoke, out, capsys):
    invoke("simple_cnn", "lenet5")
    capsys.readouterr()
    assert (
        main(["compare", str(out / "torch_simple_cnn_small_data"), str(out / "torch_lenet5_small_data")]) == 0
    )
    assert "model.name" in capsys.readouterr().out


def test_a_failure_is_in_the_table_and_in_the_exit_code(invoke, tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\nclass Net(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(9, 3))\n"
    )
    code, output, err = invoke(f"{tmp_path / 'own.py'}:Net", "simple_cnn")
    assert code == 1 and err == "error: 1 of 2 networks failed: own.py:Net; the others are kept\n"
    assert (
        "own.py:Net failed: " in output and "needs 9 numbers an image" in output and "simple_cnn  " in output
    )


def test_ctrl_c_says_how_to_go_on(invoke, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train_run", stop)
    code, output, err = invoke("simple_cnn", "lenet5")
    assert code == 130 and err == "error: stopped by Ctrl-C\n"
    assert output.splitlines()[-1] == "stopped; the same command goes on from here"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simple_cnn", "--data", "{npz}"], "1 network was named; give two or more"),
        (["simple_cnn", "smal_cnn", "--data", "{npz}"], "did you mean 'small_cnn'"),
        (["simple_cnn", "lenet5", "--data", "nowhere"], "there is no data set or path 'nowhere'"),
        (["simple_cnn", "lenet5"], "there is no run folder at simple_cnn"),
        (["simple_cnn", "lenet5"], "to train networks and compare them, say on what: --data fashion_mnist"),
        (["my.py:Net", "lenet5"], "say on what: --data"),
        (["a", "b", "--epochs", "3"], "--epochs is for training; say on what with --data"),
        (["a", "b", "--seeds", "1"], "--seeds is for training"),
        (["a", "b", "--out", "x"], "--out is for training"),
        (["a", "b", "--set", "train.lr=1"], "--set is for training"),
        (["simple_cnn", "lenet5", "--data", "{npz}", "--seeds", "0"], "--seeds 0 was given"),
        (["simple_cnn", "lenet5", "--data", "{npz}", "--set", "trian.lr=1"], "did you mean 'train'"),
        (["simple_cnn", "lenet5", "--data", "{npz}", "--epochs", "0"], "train.epochs was given 0"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(npz, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *(argument.format(npz=npz) for argument in arguments)]) == 2
    err = capsys.readouterr().err
    assert message in err and err.startswith("error: ") and err.count("\n") == 1
    assert not (tmp_path / "artifacts").exists()
