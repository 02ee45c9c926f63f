from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import small_data
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import Failure, UserError
from convscope.core.run.progress import Silent
from convscope.inference.load import load
from convscope.tasks.classification.metrics import cross_entropy
from convscope.training import finalise as module
from convscope.training.finalise import Run, RunMetrics, finalise, finished_run
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_run import prepare_run


@pytest.fixture
def trained(npz, tmp_path):
    config = RunConfig.from_dict(small_data.settings()).merge({"data": {"source": str(npz)}})
    session = prepare_run(config, tmp_path, observer=Silent())
    session.fit(Interrupt())
    return session


@pytest.mark.slow
def test_pictures_and_figures_are_left(trained):
    folder = finalise(trained, "finished").folder
    for name in ("curves.png", "test_confusion.png", "test_recall.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("no_pictures")
def test_the_bundle_holds_the_best_weights_and_not_the_last(trained):
    state = trained.state
    state.best = {name: torch.full_like(value, 0.01) for name, value in state.best.items()}
    folder = finalise(trained, "finished").folder
    assert all((value == np.float32(0.01)).all() for value in Bundle.load(folder).weights.values())


@pytest.mark.usefixtures("no_pictures")
def test_the_temperature_changes_no_answer_and_fits_validation(trained):
    validation = trained.plan.data.validation
    net = load(finalise(trained, "finished").folder)
    images = np.concatenate(list(validation.batches(100)))
    logits, labels = net.predict(images).astype(np.float64), validation.targets
    assert [a.label for a in net.classify(images)] == [small_data.CLASSES[k] for k in logits.argmax(axis=1)]
    fitted = net.decision.temperature
    assert cross_entropy(logits / fitted, labels) <= cross_entropy(logits, labels) + 1e-9


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("status", ["interrupted", "diverged"])
def test_the_test_split_stays_closed_unless_the_run_ended_by_itself(trained, status):
    data = replace(trained.plan.data, test=lambda: pytest.fail("the test split was opened"))
    done = finalise(replace(trained, plan=replace(trained.plan, data=data)), status)
    folder = done.folder
    assert done.status == status and "test" not in done.metrics and finished_run(folder) is None


def test_nothing_reached_nothing_written(trained):
    trained.state.best = {}
    folder = trained.plan.folder
    before = set(folder.iterdir())
    assert finalise(trained, "interrupted").metrics.to_dict() == {"status": "interrupted"}
    assert set(folder.iterdir()) == before


@pytest.mark.usefixtures("no_pictures")
def test_a_full_disk_at_the_end_loses_nothing(trained, monkeypatch):
    folder = trained.plan.folder

    def full(_bundle, path):
        raise Failure(f"the disk is full: could not write {path}")

    with monkeypatch.context() as patch:
        patch.setattr(module.Bundle, "save", full)
        with pytest.raises(Failure, match="disk is full"):
            finalise(trained, "finished")
    assert finished_run(folder) is None and (folder / "checkpoint.safetensors").is_file()
    assert finalise(trained, "finished").metrics.test is not None


def test_only_a_run_with_test_figures_is_finished(tmp_path):
    assert finished_run(tmp_path) is None
    (tmp_path / "metrics.json").write_text(json.dumps({"status": "interrupted"}))
    assert finished_run(tmp_path) is None
    (tmp_path / "metrics.json").write_text(json.dumps({"status": "early", "test": {}}))
    assert finished_run(tmp_path) == Run(tmp_path, RunMetrics("early", test={}))
    (tmp_path / "metrics.json").write_text(json.dumps({"ending": "finished", "test": {}}))
    assert finished_run(tmp_path).status == "finished", "as version 0.1 called it"


def test_metrics_are_read_by_name_and_by_attribute():
    metrics = RunMetrics.from_dict({"status": "finished", "epochs": 3, "test": {"top1": 0.5}})
    assert metrics["test"]["top1"] == metrics.test["top1"] == 0.5 and metrics["epochs"] == metrics.epochs
    assert "validation" not in metrics and metrics.validation is None
    with pytest.raises(KeyError):
        metrics["validation"]
    assert RunMetrics.from_dict(metrics.to_dict()) == metrics


@pytest.mark.parametrize("text", ["", "{", "3", '{"test": {}}', "null"])
def test_damaged_figures_are_one_line(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=r"metrics\.json is damaged"):
        finished_run(tmp_path)
