"""A task is entered by one line, and then a network trains on it, is saved, goes on and is loaded."""

from __future__ import annotations

import json

import numpy as np
import pytest

import convscope
import photographs
import small_data
import toy_task
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.run.folder import read_config
from convscope.core.run.progress import Silent
from convscope.training.pytorch.checkpoint import read_progress
from convscope.training.train import train_run
from interruption import Killed, kill_at, outcome
from watching import Watching

EPOCHS = 20


@pytest.fixture(scope="module", autouse=True)
def _entered():
    with pytest.MonkeyPatch.context() as patch:
        toy_task.enter(patch)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images of many colours in two folders; the folders are not asked for."""
    rng = np.random.default_rng(0)
    colours = rng.integers(30, 226, (120, 1, 1, 3))
    images = np.clip(colours + rng.integers(-30, 31, (120, 12, 12, 3)), 0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("colours") / "colours.npz"
    np.savez(path, images=images, labels=np.arange(120) % 2)
    return path


def settings(data, **sections):
    quick = small_data.settings(epochs=EPOCHS, optimizer="adam", lr=0.01)
    asked = {"task": "mean_colour", "data": {"source": str(data)}, "augment": {"policy": "flip"}}
    return RunConfig.from_dict(quick).merge(asked).merge(sections)


def run(made, folder, **words):
    return train_run(made, out=folder, observer=Silent(), **words)


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    return run(settings(data), tmp_path_factory.mktemp("done") / "run")


def test_it_learns_and_leaves_everything_behind(done):
    # Whoever always answers with the mean of these colours is off by 0.19.
    assert done.status == "finished" and done.metrics.test["error"] < 0.1
    assert json.loads((done.folder / "test_metrics.json").read_text()) == done.metrics.test
    assert read_config(done.folder).task == "mean_colour"
    assert {path.name for path in done.folder.iterdir()} >= {
        "bundle.safetensors",
        "curves.png",
        "metrics.json",
    }


def test_the_best_epoch_is_the_one_with_the_least_error(done):
    errors = [row["validation_error"] for row in done.history]
    assert done.metrics.best_epoch == 1 + int(np.argmin(errors))
    assert done.metrics.validation["error"] == pytest.approx(min(errors), rel=1e-4)
    assert all("train_error" in row and "train_accuracy" not in row for row in done.history)
    assert read_progress(done.folder).best_score == min(errors)


def test_the_bundle_names_task_and_outputs(done):
    bundle = Bundle.load(done.folder)
    assert (bundle.task, bundle.classes) == ("mean_colour", toy_task.NAMES)
    assert bundle.decision.threshold is None


def test_its_lines_name_its_score(data, tmp_path):
    watching = Watching()
    train_run(settings(data, train={"epochs": 1}), out=tmp_path / "run", observer=watching)
    assert any("training and" in line for line in watching.lines)


def test_it_is_loaded_and_predicts(done):
    images = np.full((2, 12, 12, 3), 60, np.uint8)
    images[1, ..., 0] = 200
    outputs = convscope.load(done.folder).predict(images)
    assert outputs.shape == (2, 3)
    np.testing.assert_allclose(outputs, images.mean(axis=(1, 2)) / 255, atol=0.15)


@pytest.mark.parametrize("mix", ["none", "mixup"])
@pytest.mark.parametrize("call", [1, 3, 5])
def test_a_killed_run_goes_on_bit_for_bit(data, tmp_path, monkeypatch, call, mix):
    made = settings(data, augment={"mix": mix}, train={"epochs": 2, "checkpoint_seconds": 0.0})
    whole = run(made, tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_at(patch, call, before=False)
        with pytest.raises(Killed):
            run(made, tmp_path / "run")
    run(made, tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == outcome(whole.folder)


def test_a_probe_and_fine_tuning_ask_the_task_too(tmp_path):
    folder = photographs.write(tmp_path / "photographs", count=24)
    for mode in ("probe", "finetune"):
        made = photographs.config(folder, transfer={"mode": mode}, train={"epochs": 1})
        finished = run(made.merge({"task": "mean_colour"}), tmp_path / mode)
        assert finished.metrics.test["images"] == 5 and "validation_error" in finished.history[0]
