"""Every verb over one small run, in this process: what it prints, and that --json prints JSON alone."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

import small_data
from convscope.cli import main

pytestmark = pytest.mark.slow

QUICK = [
    *("--model", "simple_cnn", "--set", "data.quarantine=none", "--set", "train.batch_size=24"),
    *("--set", "train.precision=float32", "--set", "train.threads=1", "--set", "train.lr=0.05"),
]


@pytest.fixture(scope="module")
def run(npz, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbs") / "run"
    assert main(["train", str(npz), "--out", str(folder), "--epochs", "3", *QUICK]) == 0
    return folder


@pytest.fixture
def invoke(capsys, monkeypatch):
    """Type a command; its exit code and what it wrote to both streams."""
    monkeypatch.setenv("COLUMNS", "200")  # long paths stay on one line, however narrow the terminal is

    def call(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


def test_train_ends_with_accuracy_folder_and_the_next_command(npz, tmp_path, invoke):
    code, out, err = invoke("train", npz, "--out", tmp_path / "run", "--epochs", 1, *QUICK)
    assert code == 0 and err == ""
    *_, accuracy, unknown, folder, following = out.splitlines()
    assert accuracy.startswith("test accuracy ") and folder == f"run folder    {tmp_path / 'run'}"
    assert re.fullmatch(
        r"unknown       \d+\.\d% of the answers, the least sure; of the others \d+\.\d\d% are right", unknown
    )
    assert following == f"next          convscope evaluate {tmp_path / 'run'}"
    assert "device: cpu" in out and "epoch   1/1" in out and "network: simple_cnn on 12×12×1" in out


def test_train_is_silent_on_unknown_where_every_prediction_stands(npz, tmp_path, invoke):
    arguments = [
        "train",
        npz,
        "--out",
        tmp_path / "run",
        "--epochs",
        1,
        "--set",
        "decision.coverage=1",
        *QUICK,
    ]
    code, out, _ = invoke(*arguments)
    assert code == 0 and "unknown" not in out


def test_several_seeds_give_mean_and_deviation(npz, tmp_path, invoke):
    arguments = ["train", npz, "--out", tmp_path / "run", "--epochs", 1, "--seeds", 2, *QUICK]
    _, out, _ = invoke(*arguments)
    assert "\n2 seeds: test accuracy " in out and "± " in out
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["run", "run-2"]
    code, again, _ = invoke(*arguments, "--resume")
    assert (
        code == 0
        and again.splitlines()[-1] == out.splitlines()[-1]
        and again.count("nothing was trained") == 2
    )


def test_the_order_of_precedence(npz, tmp_path, invoke):
    """Recipe, then file, then options, then --set; each is seen in what it alone sets last."""
    file = tmp_path / "a.toml"
    file.write_text("seed = 5\n[train]\nepochs = 7\nlr = 0.7\nbatch_size = 30\n")
    arguments = ["--recipe", "cifar10_small_cnn", "--config", file, "--epochs", 1, "--set", "train.lr=0.02"]
    code, _, err = invoke(
        "train", npz, *arguments, "--out", tmp_path / "run", "--set", "data.quarantine=none"
    )
    assert code == 0, err
    made = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (made["seed"], made["train"]["lr"], made["train"]["epochs"], made["train"]["batch_size"]) == (
        5,
        0.02,
        1,
        30,
    )
    assert made["data"]["source"] == str(npz) and made["model"]["name"] == "small_cnn"


@pytest.mark.parametrize("check", ["lr", "overfit"])
def test_checks_print_their_result_and_leave_no_run(npz, tmp_path, invoke, check, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = invoke(
        "train", npz, "--check", check, *QUICK, *(["--out", "."] if check == "lr" else [])
    )
    assert code == 0, err
    assert ("suggested peak learning rate" if check == "lr" else "one batch is memorised") in out
    assert [p.name for p in tmp_path.iterdir()] == (["learning_rate.png"] if check == "lr" else [])


def test_a_network_that_learns_nothing_fails_the_check(npz, invoke):
    code, _, err = invoke("train", npz, "--check", "overfit", *QUICK, "--set", "train.lr=1e-12")
    assert code == 1 and "one batch was not memorised in 200 steps" in err


def test_evaluate(run, invoke):
    code, out, _ = invoke("evaluate", run)
    assert code == 0 and "macro-F1" in out and all(name in out for name in small_data.CLASSES)
    names = {p.name for p in (run / "evaluation").iterdir()}
    pictures = ("confusion", "recall", "reliability", "risk_coverage", "curves")
    assert names == {
        f"test_{n}" for n in ("metrics.json", "predictions.csv", *(f"{name}.png" for name in pictures))
    }
    assert "(95 % interval " in out and "calibration error (ECE)" in out and "answered unknown: " in out


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_evaluate_as_json(run, invoke, split, tmp_path):
    code, out, err = invoke("evaluate", run, "--json", "--split", split, "--out", tmp_path)
    assert (code, err) == (0, "") and json.loads(out)["split"] == split
    assert json.loads(out)["images"] == {"train": 162, "validation": 18, "test": 45}[split]


def test_evaluate_on_other_data_goes_by_class_names(run, invoke, tmp_path):
    """The folder's classes have the same names in another order of labels, and one of them is missing."""
    images, labels = small_data.pictures(60, seed=5)
    swapped = ("cow", "bee", "ant")
    np.savez(tmp_path / "o.npz", images=images, labels=2 - labels, classes=np.array(swapped))
    code, out, _ = invoke("evaluate", run, "--data", tmp_path / "o.npz", "--json", "--out", tmp_path / "e")
    assert code == 0 and json.loads(out)["top1"] > 0.9
    np.savez(tmp_path / "p.npz", images=images, labels=labels, classes=np.array(("ant", "bee", "emu")))
    code, _, err = invoke("evaluate", run, "--data", tmp_path / "p.npz")
    assert code == 2 and "classes that the network does not know: emu; it knows ant, bee, cow" in err


def test_predict(run, invoke, tmp_path):
    small_data.write_folder(tmp_path / "photos", count=6)
    (tmp_path / "photos" / "bad.png").write_bytes(b"no")
    code, out, err = invoke("predict", run, tmp_path / "photos", "--format", "json")
    predictions = json.loads(out)
    assert (code, err, len(predictions)) == (0, "", 7)
    assert [p["label"] for p in predictions if p["error"] is None] == [
        "ant",
        "ant",
        "bee",
        "bee",
        "cow",
        "cow",
    ]
    assert [p["name"].rpartition("/")[2] for p in predictions if p["error"]] == ["bad.png"]
    code, out, _ = invoke("predict", run, tmp_path / "photos", "--format", "csv", "--top", 2)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and len(rows) == 7 and {"name", "prediction", "second", "error"} <= set(rows[0])
    code, out, _ = invoke("predict", run, tmp_path / "photos")
    assert code == 0 and "bad.png" in out


def test_summary(run, invoke):
    assert "545,194" in invoke("summary", "small_cnn", "--input", "3x32x32")[1]
    assert json.loads(invoke("summary", "small_cnn", "--json", "--set", "widths=[4, 4]")[1])
    assert "resnet110" in invoke("summary")[1] and len(json.loads(invoke("summary", "--json")[1])) >= 12
    code, out, _ = invoke("summary", run, "--json")
    assert code == 0 and json.loads(out)


def test_compare(run, npz, invoke, tmp_path):
    invoke("train", npz, "--out", tmp_path / "other", "--epochs", 1, *QUICK)
    code, out, _ = invoke("compare", run, tmp_path / "other")
    assert code == 0 and "train.epochs" in out and "test accuracy" in out
    code, out, err = invoke("compare", run, tmp_path / "other", "--json")
    assert (code, err) == (0, "") and "train.epochs" in json.loads(out)["differing"]


def test_scan(invoke, tmp_path):
    folder = small_data.write_folder(tmp_path / "photos", count=12)
    (folder / "ant" / "bad.png").write_bytes(b"no")
    code, out, err = invoke("scan", folder, "--json")
    assert (code, err) == (0, "") and json.loads(out)["quarantine"][0]["name"] == "ant/bad.png"
    code, out, _ = invoke("scan", folder)
    assert code == 0 and "ant/bad.png" in out


OWN = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self, classes):
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, classes))
"""


def test_a_custom_model_through_every_verb(npz, invoke, tmp_path):
    (tmp_path / "net.py").write_text(OWN)
    name, quick = f"{tmp_path / 'net.py'}:Net", QUICK[2:]
    run = tmp_path / "run"
    assert invoke("train", npz, "--model", name, "--out", run, "--epochs", 1, *quick)[0] == 0
    Image.new("L", (12, 12)).save(tmp_path / "a.png")
    for arguments in (["evaluate", run], ["predict", run, tmp_path / "a.png"]):
        code, _, err = invoke(*arguments)
        assert code == 2 and "your own network Net" in err and err.count("\n") == 1
        assert invoke(*arguments, "--model", name)[0] == 0
    assert invoke("summary", name, "--input", "1x12x12")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere"], "there is no data set or path 'nowhere'"),
        (["train", "fashion_mnits"], "did you mean 'fashion_mnist'"),
        (["train", "{empty}"], "empty"),
        (["train", "{one}"], "class"),
        (["train", "--set", "trian.lr=1"], "did you mean 'train'"),
        (["train", "--recipe", "cifar"], "there is no recipe 'cifar'"),
        (["train", "--config", "no.toml"], "there is no configuration file at no.toml"),
        (["train", "--model", "smal_cnn"], "did you mean 'small_cnn'"),
        (["train", "--model", "{broken}:Net"], "cannot be run: SyntaxError"),
        (["train", "--model", "{fails}:Net"], "ZeroDivisionError"),
        (["train", "--modle", "x"], "Unknown option: --modle"),
        (["train", "--epochs", "many"], "epochs"),
        (["train", "--check", "x"], "check"),
        (["frobnicate"], "Unknown command"),
        (["summary", "small_cnn", "--input", "3x32"], "--input '3x32' is no image shape"),
        (["summary", "small_cnn", "--input", "2x32x32"], "1 or 3 channels"),
        (["summary", "small_cnn", "--input", "3x999999x999999"], "up to 4096 pixels"),
        (["summary", "small_cn"], "did you mean 'small_cnn'"),
        (["evaluate", "nowhere"], "there is no run or bundle at nowhere"),
        (["evaluate", "{empty}"], "holds no bundle.safetensors"),
        (["evaluate"], "run"),
        (["predict", "{run}"], "no image was given"),
        (["predict", "{run}", "nofile.png"], "there is no file or folder at nofile.png"),
        (["predict", "{run}", "{empty}"], "holds no images"),
        (["compare"], "compare needs run folders"),
        (["compare", "nowhere"], "there is no run folder at nowhere"),
        (["scan", "nowhere"], "there is no data set or path 'nowhere'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run, invoke, tmp_path, arguments, message, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    small_data.write_folder(tmp_path / "one", classes=("ant", "ant", "ant"))
    (tmp_path / "broken.py").write_text("def (\n")
    (tmp_path / "fails.py").write_text("1 / 0\n")
    places = {"empty": "empty", "one": "one", "broken": "broken.py", "fails": "fails.py", "run": str(run)}
    code, _, err = invoke(*(argument.format(**places) for argument in arguments))
    assert code == 2 and message in err
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    assert not (tmp_path / "artifacts").exists() or list((tmp_path / "artifacts").iterdir()) == []


def test_a_failure_is_exit_code_1(npz, invoke, tmp_path):
    code, _, err = invoke("train", npz, "--out", tmp_path / "run", *QUICK, "--set", "train.lr=1e30")
    assert code == 1 and "the loss became" in err and "--set train.lr=1e+29" in err and err.count("\n") == 1
