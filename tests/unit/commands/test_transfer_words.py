"""Starting from trained weights at the command line: what a new user reads, and what a wrong word leads
to."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import urllib.error

import pytest
import torch

import photographs
import small_data
from convscope.cli import main
from convscope.core.bundle import Bundle
from convscope.models.pytorch.zoo import create
from convscope.training.pytorch import loop

pytestmark = pytest.mark.slow

QUICK = [
    *("--set", "data.size=72", "--set", "data.quarantine=none", "--set", "train.precision=float32"),
    *("--set", "train.threads=1", "--set", "train.batch_size=12", "--set", "data.validation=0.25"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photographs.write(tmp_path_factory.mktemp("photographs") / "set")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    assert main(["train", str(folder), "--out", str(out), "--epochs", "4", *QUICK]) == 0
    return out


@pytest.fixture
def said(capsys, monkeypatch):
    """Type a command; its exit code and what it wrote to both streams."""
    monkeypatch.setenv("COLUMNS", "200")

    def type_in(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return type_in


@pytest.mark.usefixtures("no_pictures")
def test_what_a_new_user_reads(folder, tmp_path, said):
    code, out, err = said("train", folder, "--out", tmp_path / "run", "--epochs", 2, *QUICK)
    assert (code, err) == (0, "")
    network, weights, device, images, place, *_ = out.splitlines()
    assert network == (
        "network: a linear head on the features of squeezenet1_0 (SqueezeNet 1.0, trained on ImageNet, in "
        "the package) "
        "on 72×72×3, for photographs, 12 at a time; change with --model, --mode and --set"
    )
    assert weights == "weights: all 50 tensors of the body (torchvision names); the head is new"
    assert device.startswith("device: ") and images.endswith("validation images, 3 classes")
    assert place == f"the run goes to {tmp_path / 'run'}"
    assert not [word for word in ("missing", "unexpected", "error", "warning") if word in out]
    assert out.splitlines()[-1] == f"next          convscope evaluate {tmp_path / 'run'}"


@pytest.mark.usefixtures("no_pictures")
def test_the_verbs_after_training(run, folder, tmp_path, said):
    code, out, err = said("evaluate", run, "--json", "--out", tmp_path)
    assert (code, err) == (0, "") and json.loads(out)["top1"] > 0.7
    assert json.loads(out)["images"] == json.loads((run / "metrics.json").read_text())["test"]["images"]
    code, out, _ = said("predict", run, folder / "stripes", "--format", "csv")
    answers = [row["prediction"] for row in csv.DictReader(io.StringIO(out))]
    assert code == 0 and answers.count("stripes") > 0.7 * len(answers) == 0.7 * 16
    code, out, _ = said("summary", run, "--json")
    assert code == 0 and "Standardise" in out
    assert said("train", folder, "--out", tmp_path / "b", "--mode", "scratch", "--epochs", 1, *QUICK)[0] == 0
    code, out, _ = said("compare", run, tmp_path / "b", "--json")
    assert code == 0 and {"transfer.mode", "transfer.pretrained"} <= {*json.loads(out)["differing"]}
    assert (
        said("evaluate", run, "--data", folder, "--split", "train", "--json", "--out", tmp_path / "e")[0] == 0
    )


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("words", "reason", "mode", "head"),
    [
        ([], "a linear head on the features of squeezenet1_0", "probe", "linear"),
        (
            ["--pretrained", "squeezenet1_0"],
            "a linear head on the features of squeezenet1_0",
            "probe",
            "linear",
        ),
        (["--mode", "probe", "--model", "squeezenet1_0"], "a linear head on the features", "probe", "linear"),
        (["--mode", "finetune"], "fine-tuning squeezenet1_0", "finetune", "linear"),
        (["--mode", "scratch"], "deeper_cnn on 72×72×3", "scratch", "own"),
        (["--model", "small_cnn"], "small_cnn on 72×72×3", "scratch", "own"),
        (
            ["--mode", "scratch", "--pretrained", "squeezenet1_0"],
            "squeezenet1_0 on 72×72×3",
            "scratch",
            "own",
        ),
    ],
)
def test_words_lead_where_they_say(folder, tmp_path, said, words, reason, mode, head):
    words = [*words, "--set", "train.lr=0.001"]
    code, out, err = said("train", folder, "--out", tmp_path / "run", "--epochs", 1, *QUICK, *words)
    assert (code, err) == (0, "") and f"network: {reason}" in out
    assert ("weights: " in out) == (mode != "scratch") and ("head first: " in out) == (mode == "finetune")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["transfer"]["mode"] == mode
    assert Bundle.load(tmp_path / "run").model["head"] == head


@pytest.mark.usefixtures("no_pictures")
def test_ctrl_c_says_how_to_go_on(folder, tmp_path, said, monkeypatch):
    words = ["train", folder, "--out", tmp_path / "run", "--epochs", 3, *QUICK]
    with monkeypatch.context() as patch:
        at_epoch(patch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
        code, out, err = said(*words)
    assert code == 130 and err == "error: stopped by Ctrl-C\n"
    *_, last = out.splitlines()
    assert last.startswith("stopped with validation accuracy ")
    assert last.endswith(f"run folder {tmp_path / 'run'}; go on with the same words and --resume")
    code, out, _ = said(*words, "--resume")
    assert code == 0 and "resumed at epoch 3, batch 1 of " in out and "test accuracy" in out


def at_epoch(monkeypatch, count, action):
    """Call `action` when an epoch ends for the `count`-th time."""
    real, calls = loop.validate_epoch, 0

    def validate_epoch(job, state):
        nonlocal calls
        calls += 1
        if calls == count:
            action()
        return real(job, state)

    monkeypatch.setattr(loop, "validate_epoch", validate_epoch)


@pytest.mark.usefixtures("no_pictures")
def test_a_finished_head_is_not_trained_again(run, folder, said):
    words = ["train", folder, "--out", run, "--epochs", 4, *QUICK, "--resume"]
    code, out, _ = said(*words)
    assert code == 0 and f"{run} is finished already; nothing was trained" in out


@pytest.mark.usefixtures("no_pictures")
def test_several_seeds(folder, tmp_path, said):
    _, out, _ = said("train", folder, "--out", tmp_path / "run", "--epochs", 1, "--seeds", 2, *QUICK)
    assert "\n2 seeds: test accuracy " in out and {p.name for p in tmp_path.iterdir()} == {"run", "run-2"}


@pytest.mark.parametrize("mode", ["probe", "finetune"])
@pytest.mark.parametrize("check", ["lr", "overfit"])
def test_checks_work_before_every_way_of_training(folder, tmp_path, said, monkeypatch, check, mode):
    monkeypatch.chdir(tmp_path)
    code, out, err = said(
        "train", folder, "--check", check, "--mode", mode, *QUICK, "--set", "augment.mix=mixup"
    )
    assert code == 0, err
    assert ("suggested peak learning rate" if check == "lr" else "one batch is memorised") in out
    assert [*tmp_path.iterdir()] == []


NO_NETWORK = urllib.error.URLError(OSError(-3, "Temporary failure in name resolution"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pretrained", ""], "there is no trained network (nor file or run) ''"),
        (["--pretrained", "squezenet1_0"], "did you mean 'squeezenet1_0'"),
        (["--pretrained", "{empty}"], "holds no bundle.safetensors; give a run folder"),
        (["--pretrained", "nowhere/run"], "there is no run or weight file at nowhere/run"),
        (
            ["--pretrained", "{weights}"],
            "holds weights and no word on the network they are for; add --model NAME",
        ),
        (
            ["--pretrained", "{weights}", "--model", "small_cnn"],
            "does not fit small_cnn: missing or of another shape",
        ),
        (["--pretrained", "{weights}", "--model", "resnet32"], "does not fit resnet32"),
        (["--pretrained", "{weights}", "--model", "{own}:Net"], "with a network of one's own"),
        (["--pretrained", "squeezenet1_0", "--model", "{own}:Net"], "with a network of one's own"),
        (["--mode", "probe", "--model", "{own}:Net"], "with a network of one's own"),
        (["--pretrained", "squeezenet1_0", "--model", "resnet20"], "and --model says resnet20"),
        (["--pretrained", "torchvision:x"], "does not say which network of the list it is; add --model NAME"),
        (["--mode", "heads"], "mode"),
        (["--mode", "probe", "--model", "small_cnn"], "torchvision has no trained weights for small_cnn"),
        (["--set", "augment.mix=cutmix"], "a head learns from features, which have no positions to cut out"),
        (["--set", "transfer.mode=both"], 'it must be "probe", "finetune" or "scratch"'),
        (["--set", "transfer.layer_decay=0"], "transfer.layer_decay was given 0; it must be greater than 0"),
        (["--set", "transfer.unfreeze_every=-1"], "transfer.unfreeze_every was given -1"),
        (["--set", "transfer.weights_fingerprint=0123"], "transfer.weights_fingerprint is 0123"),
        (
            ["--set", "data.normalise=weights", "--mode", "scratch"],
            "there are no trained weights; add --pretrained",
        ),
        (["--set", "data.train_fraction=0"], "data.train_fraction was given 0; it must be greater than 0"),
        (
            ["--mode", "probe", "--set", "model.options.stem=4"],
            "model.options were given with trained weights",
        ),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_run(folder, tmp_path, said, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "net.py").write_text("from torch import nn\nclass Net(nn.Sequential):\n    pass\n")
    torch.save(create("resnet20").state_dict(), tmp_path / "weights.pth")
    places = {"empty": "empty", "own": "net.py", "weights": "weights.pth"}
    words = [word if word.startswith("data.") else word.format(**places) for word in words]
    code, _, err = said("train", folder, *QUICK, *words)
    assert code == 2 and message in err
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in err
    assert not (tmp_path / "artifacts").exists() or [*(tmp_path / "artifacts").iterdir()] == []


def test_without_a_network_the_line_says_what_to_do(folder, tmp_path, said, monkeypatch):
    def download(*_arguments, **_words):
        raise NO_NETWORK

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("torch.hub.download_url_to_file", download)
    code, _, err = said("train", folder, "--mode", "probe", "--model", "squeezenet1_1", *QUICK)
    assert code == 1 and "could not be downloaded (<urlopen error [Errno -3] Temporary failure" in err
    assert (
        err.endswith("and give the file: --pretrained FILE --model squeezenet1_1\n") and err.count("\n") == 1
    )
    assert not (tmp_path / "artifacts").exists() and not [*tmp_path.rglob("*.pth")]


@pytest.mark.usefixtures("no_pictures")
def test_small_images_and_a_run_as_weights(tmp_path, said):
    """A network trained on small images is weights for others of that size."""
    first, second = (small_data.write_npz(tmp_path / name, channels=3) for name in ("one.npz", "two.npz"))
    quick = ["--epochs", 1, "--set", "data.quarantine=none", "--set", "train.batch_size=24"]
    assert said("train", first, "--model", "small_cnn", "--out", tmp_path / "first", *quick)[0] == 0
    code, out, err = said(
        "train", second, "--pretrained", tmp_path / "first", "--out", tmp_path / "second", *quick
    )
    assert (code, err) == (0, "")
    assert f"a linear head on the features of small_cnn (the run {tmp_path / 'first'}) on 12×12×3" in out
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("first", "second"))
    assert two["test"]["images"] == one["test"]["images"] == 45


OLD_AND_NEW = [
    (["--mode", "head"], "note: transfer.mode=head is now transfer.mode=probe\n"),
    (["--set", "transfer.thaw=2"], "note: transfer.thaw is now transfer.unfreeze_every\n"),
    (["--set", "data.share=0.5"], "note: data.share is now data.train_fraction\n"),
    (["--mode", "probe", "--set", "transfer.unfreeze_every=2"], ""),
]


@pytest.mark.parametrize("verb", ["train", "labels"])
@pytest.mark.parametrize(("words", "note"), OLD_AND_NEW)
def test_a_name_of_version_0_1_is_read_and_the_new_one_named(verb, words, note, said):
    """The data are not there, so that nothing is trained; the note comes before."""
    code, _, err = said(verb, "nowhere", *words)
    assert code == 2 and err.startswith(f"{note}error: there is no data set or path 'nowhere'")


def test_old_names_in_a_file_are_lines_of_their_own(tmp_path, said):
    (tmp_path / "old.toml").write_text('[transfer]\nthaw = 2\nmode = "head"\n[data]\nshare = 0.5\n')
    code, _, err = said("train", "nowhere", "--config", tmp_path / "old.toml")
    assert code == 2 and err.splitlines()[:3] == [
        "note: data.share is now data.train_fraction",
        "note: transfer.thaw is now transfer.unfreeze_every",
        "note: transfer.mode=head is now transfer.mode=probe",
    ]


def test_a_comparison_reads_old_names_too(said):
    words = ("lenet5", "simple_cnn", "--data", "nowhere", "--set", "data.share=0.5")
    code, _, err = said("compare", *words)
    assert code == 2 and err.startswith("note: data.share is now data.train_fraction\n")
