from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import small_data
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import Failure, UserError
from convscope.core.run.display import Display
from convscope.inference.load import load
from convscope.tasks.classification.metrics import cross_entropy
from convscope.training import finalise as module
from convscope.training.finalise import Run, finalise, finished_run
from convscope.training.interrupt import Interrupt
from convscope.training.prepare_data import prepare_data
from convscope.training.pytorch.loop import fit
from convscope.training.train import open_data, start_or_resume

QUIET = Display(quiet=True)


@pytest.fixture
def trained(npz, tmp_path):
    config = RunConfig.from_dict(small_data.settings()).merge({"data": {"source": str(npz)}})
    source, choice = open_data(config, QUIET)
    prepared = prepare_data(source, choice, config.data, seed=0, folder=tmp_path, display=QUIET)
    session = start_or_resume(config, prepared, choice.start, folder=tmp_path, display=QUIET)
    job, state = session.job, session.state
    fit(job, state, Interrupt())
    return config, prepared, state, tmp_path


def end(trained, status="finished"):
    config, prepared, state, folder = trained
    return finalise(
        config, prepared, state, network=state.network, status=status, folder=folder, display=QUIET
    )


@pytest.mark.slow
def test_pictures_and_figures_are_left(trained):
    folder = end(trained).folder
    for name in ("curves.png", "test_confusion.png", "test_recall.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("no_pictures")
def test_the_bundle_holds_the_best_weights_and_not_the_last(trained):
    _, _, state, folder = trained
    state.best = {name: torch.full_like(value, 0.01) for name, value in state.best.items()}
    end(trained)
    assert all((value == np.float32(0.01)).all() for value in Bundle.load(folder).weights.values())


@pytest.mark.usefixtures("no_pictures")
def test_the_temperature_changes_no_answer_and_fits_validation(trained):
    _, prepared, _, folder = trained
    end(trained)
    net = load(folder)
    images = np.concatenate(list(prepared.validation.batches(100)))
    logits, labels = net.predict(images).astype(np.float64), prepared.validation.targets
    assert [a.label for a in net.classify(images)] == [small_data.CLASSES[k] for k in logits.argmax(axis=1)]
    fitted = net.decision.temperature
    assert cross_entropy(logits / fitted, labels) <= cross_entropy(logits, labels) + 1e-9


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("status", ["interrupted", "diverged"])
def test_the_test_split_stays_closed_unless_the_run_ended_by_itself(trained, status):
    config, prepared, state, folder = trained
    closed = module.PreparedData(
        **{**vars(prepared), "test": lambda: pytest.fail("the test split was opened")}
    )
    done = end((config, closed, state, folder), status)
    assert done.status == status and "test" not in done.metrics and finished_run(folder) is None


def test_nothing_reached_nothing_written(trained):
    _, _, state, folder = trained
    state.best = {}
    before = set(folder.iterdir())
    assert end(trained, "interrupted").metrics == {"status": "interrupted"}
    assert set(folder.iterdir()) == before


@pytest.mark.usefixtures("no_pictures")
def test_a_full_disk_at_the_end_loses_nothing(trained, monkeypatch):
    _, _, _, folder = trained

    def full(_bundle, path):
        raise Failure(f"the disk is full: could not write {path}")

    with monkeypatch.context() as patch:
        patch.setattr(module.Bundle, "save", full)
        with pytest.raises(Failure, match="disk is full"):
            end(trained)
    assert finished_run(folder) is None and (folder / "checkpoint.safetensors").is_file()
    assert "test" in end(trained).metrics


def test_only_a_run_with_test_figures_is_finished(tmp_path):
    assert finished_run(tmp_path) is None
    (tmp_path / "metrics.json").write_text(json.dumps({"status": "interrupted"}))
    assert finished_run(tmp_path) is None
    (tmp_path / "metrics.json").write_text(json.dumps({"status": "early", "test": {}}))
    assert finished_run(tmp_path) == Run(tmp_path, "early", {"status": "early", "test": {}})


@pytest.mark.parametrize("text", ["", "{", "3", '{"test": {}}', "null"])
def test_damaged_figures_are_one_line(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=r"metrics\.json is damaged"):
        finished_run(tmp_path)
