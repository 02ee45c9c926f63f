from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import small_data
from convscope.core.bundle import Bundle
from convscope.core.errors import Failure, UserError
from convscope.core.run.history import read_history
from convscope.models.pytorch.zoo import create
from convscope.training.pytorch.checkpoint import (
    FILE_NAME,
    Progress,
    State,
    load_checkpoint,
    read_progress,
    save_checkpoint,
)
from convscope.training.pytorch.ema import Ema
from convscope.training.pytorch.optimizer import make_optimizer

MOMENTS = [
    "before the first checkpoint",
    "mid-epoch",
    "while a checkpoint is written",
    "between row and checkpoint",
    "with the bundle written",
]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of runs that were killed by SIGKILL and went on, and how each process ended."""
    place = tmp_path_factory.mktemp("killed")
    data = small_data.write_npz(place / "small_data.npz")
    words = [sys.executable, str(Path(__file__).with_name("killed_run.py")), str(data), str(place)]
    paths = os.pathsep.join([str(Path(small_data.__file__).parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return place, json.loads(done.stdout)


def outcome(folder):
    rows = read_history(folder / "history.jsonl")
    metrics = json.loads((folder / "metrics.json").read_text())
    for record in (*rows, metrics):
        for time in ("seconds", "images_per_second"):
            record.pop(time, None)
    weights = {name: value.tobytes() for name, value in Bundle.load(folder).weights.items()}
    return weights, rows, metrics, (folder / "test_predictions.csv").read_text()


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_bit_for_bit(killed):
    """One test, so that two workers do not train the same runs."""
    place, codes = killed
    whole = outcome(place / "whole")
    assert list(codes) == ["", *MOMENTS]
    for number, moment in enumerate(MOMENTS):
        assert (moment, codes[moment]) == (moment, [-9, 0])
        assert outcome(place / str(number)) == whole, moment
        left = [path.name for path in (place / str(number)).iterdir() if path.suffix == ".part"]
        assert all(name.startswith(".") for name in left)


def state(name="small_cnn", optimizer="sgd", *, steps=2, ema=True, seed=0, widths=(2, 3)):
    torch.manual_seed(seed)
    options = {"widths": widths, "hidden": 4} if name == "small_cnn" else {}
    net = create(name, input_shape=(1, 8, 8), classes=2, options=options).to(
        memory_format=torch.channels_last
    )
    made = State(
        network=net,
        optimizer=make_optimizer(net, optimizer, 0.1, momentum=0.9),
        ema=Ema(net, 0.9) if ema else None,
        scaler=torch.amp.GradScaler("cpu", enabled=False),
    )
    for _ in range(steps):
        step(made)
    made.best = {key: value.clone() for key, value in net.state_dict().items()} if steps else {}
    return made


def step(made):
    torch.manual_seed(7)
    x = torch.randn(4, 1, 8, 8).to(memory_format=torch.channels_last)
    made.optimizer.zero_grad()
    nn.functional.cross_entropy(made.network(x), torch.tensor([0, 1, 0, 1])).backward()
    made.optimizer.step()
    if made.ema:
        made.ema.update(made.network)


def tensors(made):
    found = {f"net/{k}": v for k, v in made.network.state_dict().items()} | {
        f"best/{k}": v for k, v in made.best.items()
    }
    if made.ema:
        found |= {f"ema/{k}": v for k, v in made.ema.state().items()}
    return {k: v.clone() for k, v in found.items()}


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("ema", [True, False])
def test_the_step_after_a_round_trip_is_the_step_without_one(tmp_path, optimizer, ema):
    one = state(optimizer=optimizer, ema=ema)
    one.progress = Progress(
        epoch=2, batch=3, losses=[0.1, float("inf")], best_score=0.5, environment={"threads": 1}
    )
    save_checkpoint(tmp_path, one)
    two = state(optimizer=optimizer, ema=ema, steps=0, seed=9)
    load_checkpoint(tmp_path, two)
    assert two.progress == one.progress == read_progress(tmp_path)
    for _ in range(3):
        step(one), step(two)
    a, b = tensors(one), tensors(two)
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_saving_changes_nothing(tmp_path):
    one, two = state(), state()
    save_checkpoint(tmp_path, one)
    step(one), step(two)
    a, b = tensors(one), tensors(two)
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_no_checkpoint_no_progress(tmp_path):
    assert read_progress(tmp_path) is None


@pytest.mark.parametrize(
    "other", [{"widths": (2, 4)}, {"name": "simple_cnn"}], ids=["other widths", "other network"]
)
def test_the_checkpoint_of_another_network_is_one_line(tmp_path, other):
    save_checkpoint(tmp_path, state())
    with pytest.raises(UserError, match="holds weights of another network"):
        load_checkpoint(tmp_path, state(**{"steps": 0, **other}))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    save_checkpoint(folder, state())
    return (folder / FILE_NAME).read_bytes()


@given(st.data())
def test_a_damaged_file_is_one_line(written, tmp_path_factory, data):
    """Cut short anywhere, or with bytes of the header changed."""
    folder = tmp_path_factory.mktemp("damaged")
    if data.draw(st.booleans()):
        damaged = written[: data.draw(st.integers(0, len(written) - 1))]
    else:
        at = data.draw(st.integers(0, 7))
        damaged = written[:at] + bytes([written[at] ^ data.draw(st.integers(1, 255))]) + written[at + 1 :]
    (folder / FILE_NAME).write_bytes(damaged)
    for read in (lambda: read_progress(folder), lambda: load_checkpoint(folder, state(steps=0))):
        with pytest.raises(UserError, match="is damaged") as caught:
            read()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "metadata", [None, {}, {"progress": "[]"}, {"progress": '{"epok": 1}'}, {"progress": "nul"}]
)
def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path, metadata):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / FILE_NAME, metadata=metadata)
    with pytest.raises(UserError, match="is damaged"):
        read_progress(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a Linux device")
def test_a_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    one = state()
    save_checkpoint(tmp_path, one)
    before = (tmp_path / FILE_NAME).read_bytes()
    step(one)
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda p, *a, **k: real(Path("/dev/full"), *a, **k))
    with pytest.raises(Failure, match="the disk is full"):
        save_checkpoint(tmp_path, one)
    monkeypatch.undo()
    assert (tmp_path / FILE_NAME).read_bytes() == before and len(list(tmp_path.iterdir())) == 1
