from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch
from torch import nn

import convscope
import small_data
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.data import prepare_data as prepare_module
from convscope.data.scanning.scan import scan_or_load_cached
from convscope.data.source import open_source
from convscope.data.sources.origin import Source
from convscope.inference.load import load
from convscope.training.engine import DivergedError
from convscope.training.pytorch import loop
from convscope.training.train import train, train_run

pytestmark = pytest.mark.usefixtures("no_pictures")

FILES = {
    "bundle.safetensors",
    "checkpoint.safetensors",
    "config.json",
    "history.jsonl",
    "metrics.json",
    "split.json",
    "test_metrics.json",
    "test_predictions.csv",
}


def config(source, **train_settings):
    return RunConfig.from_dict(small_data.settings(**train_settings)).merge({"data": {"source": str(source)}})


def run(made, out, **words):
    return train_run(made, out=out, observer=Silent(), **words)


def at_update(monkeypatch, count, action):
    """Call `action` after the `count`-th update of the weights."""
    real, calls = loop.update_weights, 0

    def counted(state, settings):
        nonlocal calls
        calls += 1
        real(state, settings)
        if calls == count:
            action(state)

    monkeypatch.setattr(loop, "update_weights", counted)


def interrupt(_state):
    os.kill(os.getpid(), signal.SIGINT)


def weights(folder):
    return {name: value.tobytes() for name, value in Bundle.load(folder).weights.items()}


def test_a_run_learns_and_leaves_everything_behind(npz, tmp_path):
    done = train(
        npz, "simple_cnn", config=config(npz, epochs=9), epochs=4, seed=2, out=tmp_path / "run", quiet=True
    )
    assert done.status == "finished" and done.metrics["test"]["top1"] > 0.9
    assert {p.name for p in done.folder.iterdir()} == FILES
    assert [row["epoch"] for row in done.history] == [1, 2, 3, 4]
    bundle = Bundle.load(done.folder)
    assert bundle.classes == small_data.CLASSES and bundle.provenance["seed"] == 2
    assert bundle.provenance["config"]["train"]["epochs"] == 4
    assert {"cpu", "device", "precision", "threads"} <= set(bundle.provenance["hardware"])
    assert {"name", "location", "fingerprint"} == set(bundle.provenance["data"])
    assert bundle.metrics == json.loads((done.folder / "metrics.json").read_text())
    image = np.load(npz)["x_test"][1]
    assert done.network.classify(image)[0].label == "bee"


def test_the_test_split_is_opened_once_and_after_training(npz, tmp_path, monkeypatch):
    """A scan looks at every split beforehand, for duplicates of test images in train; training opens it but
    once.
    """
    scan_or_load_cached(open_source(npz))
    events = []
    real, real_prepare = Source.open, prepare_module.prepare_split
    monkeypatch.setattr(Source, "open", lambda s, split: (events.append(split), real(s, split))[1])
    monkeypatch.setattr(
        prepare_module,
        "prepare_split",
        lambda *a, what, **k: (events.append(what), real_prepare(*a, what=what, **k))[1],
    )
    at_update(monkeypatch, 12, lambda _: events.append("last step"))
    run(config(npz), tmp_path / "run")
    assert events.count("decode test") == 1
    assert events.index("last step") < events.index("test") < events.index("decode test")


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_reached_and_the_run_goes_on_as_if_nothing_had_been(npz, tmp_path, monkeypatch):
    scan_or_load_cached(open_source(npz))
    opened = []
    real = Source.open
    with monkeypatch.context() as patch:
        patch.setattr(Source, "open", lambda s, split: (opened.append(split), real(s, split))[1])
        at_update(patch, 8, interrupt)  # in the second of three epochs
        stopped = run(config(npz, epochs=3), tmp_path / "run")
    assert stopped.status == "interrupted" and "test" not in stopped.metrics and "test" not in opened
    assert stopped.metrics["validation"]["images"] == 18 and len(stopped.history) == 1
    assert load(stopped.folder).classify(np.load(npz)["x_test"])[0].label in small_data.CLASSES
    done = run(config(npz, epochs=3), tmp_path / "run", resume=True)
    whole = run(config(npz, epochs=3), tmp_path / "whole")
    assert done.folder == stopped.folder and done.status == "finished"
    assert weights(done.folder) == weights(whole.folder)
    assert done.metrics["test"] == whole.metrics["test"]


def test_ctrl_c_in_the_first_epoch_has_no_bundle_yet_and_says_so(npz, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        at_update(patch, 2, interrupt)
        stopped = train_run(config(npz), out=tmp_path / "run")
    assert stopped.status == "interrupted" and not (tmp_path / "run" / "bundle.safetensors").exists()
    assert "stopped before the first epoch was over; go on with --resume" in capsys.readouterr().out
    assert run(config(npz), tmp_path / "run", resume=True).status == "finished"


def test_ctrl_c_before_training_stops_at_once_and_leaves_no_folder(npz, tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.training.prepare_run.prepare_data", lambda *a, **k: interrupt(None))
    with pytest.raises(KeyboardInterrupt):
        run(config(npz), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def break_weights(state):
    for p in state.network.parameters():
        p.data.fill_(float("nan"))


def test_a_nan_loss_keeps_the_last_good_weights(npz, tmp_path, monkeypatch):
    at_update(monkeypatch, 9, break_weights)
    with pytest.raises(
        DivergedError, match=r"nan at step 10 \(epoch 2, .*the best weights before it are kept in"
    ):
        run(config(npz, epochs=3), tmp_path / "run")
    bundle = Bundle.load(tmp_path / "run")
    assert bundle.metrics["status"] == "diverged" and "test" not in bundle.metrics
    assert all(np.isfinite(value).all() for value in bundle.weights.values())
    assert load(tmp_path / "run").classify(np.load(npz)["x_test"])[0].label in small_data.CLASSES


def test_a_nan_loss_in_the_first_epoch(npz, tmp_path, monkeypatch):
    at_update(monkeypatch, 3, break_weights)
    with pytest.raises(DivergedError, match=r"nan at step 4 \(epoch 1, batch 4 of 6\)"):
        run(config(npz), tmp_path / "run")


def test_a_rate_far_too_high_is_found_out(npz, tmp_path):
    with pytest.raises(DivergedError, match=r"try a tenth: --set train\.lr=1e\+29"):
        run(config(npz, lr=1e30, warmup=0.0, schedule="constant"), tmp_path / "run")


def test_resuming_what_is_finished_trains_nothing(npz, tmp_path, capsys):
    first = run(config(npz, epochs=1), tmp_path / "run")
    before = {p.name: p.stat().st_mtime_ns for p in first.folder.iterdir()}
    again = train_run(config(npz, epochs=1), out=tmp_path / "run", resume=True)
    assert (
        again.metrics == first.metrics and "finished already; nothing was trained" in capsys.readouterr().out
    )
    assert {p.name: p.stat().st_mtime_ns for p in first.folder.iterdir()} == before


def test_a_second_run_never_overwrites_the_first(npz, tmp_path):
    for name in ("run", "run-2"):
        assert run(config(npz, epochs=1), tmp_path / "run").folder == tmp_path / name
    with pytest.raises(UserError, match=r"train\.epochs was 1 and is now 5"):
        run(config(npz, epochs=5), tmp_path / "run", resume=True)
    assert not (tmp_path / "run-3").exists()


def test_what_the_data_decide_is_no_difference_to_a_run_that_goes_on(npz, tmp_path, monkeypatch):
    """Batch size, image size and network are left open, as in `convscope train DATA --resume`."""
    made = RunConfig.from_dict({"data": {"source": str(npz)}, "train": {"epochs": 2, "precision": "float32"}})
    with monkeypatch.context() as patch:
        at_update(patch, 1, interrupt)
        stopped = run(made, tmp_path / "run")
    assert stopped.status == "interrupted"
    assert run(made, tmp_path / "run", resume=True).folder == stopped.folder


def test_runs_land_in_artifacts_by_name(npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(run(config(npz, epochs=1), None).folder) == "artifacts/torch_simple_cnn_small_data"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"augment": {"policy": "basick"}}, "no augmentation policy 'basick'; did you mean 'basic'"),
        ({"model": {"name": "small_cn"}}, "no network 'small_cn'; did you mean 'small_cnn'"),
        ({"model": {"options": {"width": 3}}}, "no option of simple_cnn 'width'; did you mean 'widths'"),
        ({"model": {"name": "no_such.py:Net"}}, "there is no file no_such.py"),
        ({"train": {"device": "mps"}}, "device 'mps' was asked for"),
        ({"train": {"precision": "float16"}}, "float16 was asked for on a CPU"),
        ({"data": {"validation": 0.999}}, "."),
    ],
)
def test_what_cannot_be_done_leaves_no_folder(npz, tmp_path, change, message):
    if change == {"data": {"validation": 0.999}}:
        x, y = small_data.pictures(2)
        np.savez(tmp_path / "few.npz", x_train=x, y_train=y)
        change = {"data": {"source": str(tmp_path / "few.npz")}}
    with pytest.raises(UserError, match=message):
        run(config(npz).merge(change), tmp_path / "out" / "run")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


OWN = """
import torch
from torch import nn
with open({mark!r}, "a") as mark:
    mark.write("x")
class Net(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_channels, 4, 3), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(400, classes)
    def forward(self, x):
        return self.head(self.body(x))
"""


def test_a_network_of_ones_own_from_a_file(npz, tmp_path):
    mark, file = tmp_path / "ran", tmp_path / "my_net.py"
    file.write_text(OWN.format(mark=str(mark)))
    done = train(npz, f"{file}:Net", config=config(npz), out=tmp_path / "run", quiet=True)
    bundle, runs = Bundle.load(done.folder), mark.read_text()
    assert bundle.model["source"] == str(file) and len(bundle.model["source_sha256"]) == 64
    with pytest.raises(UserError, match=r"your own network Net .*and no code; give it: load"):
        load(done.folder)
    assert mark.read_text() == runs, "a bundle ran code"
    images = np.load(npz)["x_test"]
    answers = load(done.folder, f"{file}:Net").classify(images)
    assert (
        np.mean(
            [a.label == small_data.CLASSES[k] for a, k in zip(answers, np.load(npz)["y_test"], strict=True)]
        )
        == (done.metrics["test"]["top1"])
    )
    file.write_text(
        OWN.format(mark=str(mark)).replace("3), nn.ReLU()", "5), nn.ReLU()").replace("400", "256")
    )
    with pytest.raises(UserError, match="weights do not fit"):
        load(done.folder, f"{file}:Net")


class Mine(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 4, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, classes)
        )

    def forward(self, x):
        return self.net(x)


def test_a_module_of_ones_own(npz, tmp_path):
    torch.manual_seed(0)
    done = train(
        npz, Mine(), config=config(npz).merge({"model": {"name": None}}), out=tmp_path / "run", quiet=True
    )
    images = np.load(npz)["x_test"][:5]
    expected = load(done.folder, Mine()).predict(images)
    assert np.array_equal(load(done.folder, Mine).predict(images), expected)


def test_tensorboard_writes_event_files(npz, tmp_path):
    pytest.importorskip("tensorboard")
    done = run(config(npz, epochs=1, tensorboard=True), tmp_path / "run")
    assert [p for p in (done.folder / "tensorboard").iterdir() if "tfevents" in p.name]


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("form", ["folder", "csv", "npz", "idx", "parquet"])
def test_every_kind_of_source_trains_evaluates_and_predicts(form, channels, tmp_path):
    if form == "idx" and channels == 3:
        pytest.skip("the images of IDX are grey")
    if form == "npz":
        source = small_data.write_npz(tmp_path / "data.npz", channels=channels, test=0)
    elif form == "idx":
        source = small_data.write_idx(tmp_path / "data")
    else:
        source = getattr(small_data, f"write_{form}")(tmp_path / "data", channels=channels)
    done = run(config(source, epochs=1), tmp_path / "run")
    assert Bundle.load(done.folder).preprocess["channels"] == channels
    measured = convscope.evaluate(done.folder, out=tmp_path / "evaluation")
    assert measured.result.to_dict() == done.metrics["test"]
    assert done.metrics["test"]["images"] == {"folder": 12, "csv": 12, "npz": 27}.get(form, 45)
    assert done.network.classify(np.zeros((20, 30, 3), np.uint8))[0].error is None


def test_images_that_cannot_be_read_are_named_and_survived(tmp_path, monkeypatch):
    folder = small_data.write_folder(tmp_path / "data")
    (folder / "ant" / "broken.png").write_bytes(b"\x89PNG not really")
    (folder / "bee" / "empty.jpg").write_bytes(b"")
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    (folder / "cow" / "bomb.png").write_bytes(header + b"\0\0\0\0")
    lines = []
    monkeypatch.setattr(Silent, "say", lambda _self, text, style=None: lines.append(text))
    for quarantine in ("auto", "none"):
        lines.clear()
        made = config(folder, epochs=1).merge({"data": {"quarantine": quarantine}})
        done = run(made, tmp_path / quarantine)
        assert any("3 images" in line and "ant/broken.png" in line for line in lines), lines
        assert "test" in done.metrics
