from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import tiny
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import Failure, UserError
from convscope.evaluation.load import load
from convscope.evaluation.metrics import cross_entropy
from convscope.training import finish as module
from convscope.training.finish import Run, finish, finished_run
from convscope.training.interrupt import Interrupt
from convscope.training.material import gather_material
from convscope.training.progress import Display
from convscope.training.torch_loop import fit
from convscope.training.train import look_at, start_or_resume

QUIET = Display(quiet=True)


@pytest.fixture
def trained(npz, tmp_path):
    config = RunConfig.from_dict(tiny.settings()).merge({"data": {"source": str(npz)}})
    source, choice = look_at(config, QUIET)
    material = gather_material(source, choice, config.data, seed=0, folder=tmp_path, display=QUIET)
    begun = start_or_resume(config, material, choice.start, folder=tmp_path, display=QUIET)
    job, state = begun.job, begun.state
    fit(job, state, Interrupt())
    return config, material, state, tmp_path


def end(trained, ending="finished"):
    config, material, state, folder = trained
    return finish(config, material, state, network=state.network, ending=ending, folder=folder, display=QUIET)


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
    _, material, _, folder = trained
    end(trained)
    net = load(folder)
    images = np.concatenate(list(material.validation.batches(100)))
    logits, labels = net.predict(images).astype(np.float64), material.validation.labels
    assert [a.label for a in net.classify(images)] == [tiny.CLASSES[k] for k in logits.argmax(axis=1)]
    fitted = net.decision.temperature
    assert cross_entropy(logits / fitted, labels) <= cross_entropy(logits, labels) + 1e-9


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("ending", ["interrupted", "diverged"])
def test_the_test_split_stays_closed_unless_the_run_ended_by_itself(trained, ending):
    config, material, state, folder = trained
    closed = module.Material(**{**vars(material), "test": lambda: pytest.fail("the test split was opened")})
    done = end((config, closed, state, folder), ending)
    assert done.ending == ending and "test" not in done.metrics and finished_run(folder) is None


def test_nothing_reached_nothing_written(trained):
    _, _, state, folder = trained
    state.best = {}
    before = set(folder.iterdir())
    assert end(trained, "interrupted").metrics == {"ending": "interrupted"}
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
    (tmp_path / "metrics.json").write_text(json.dumps({"ending": "interrupted"}))
    assert finished_run(tmp_path) is None
    (tmp_path / "metrics.json").write_text(json.dumps({"ending": "early", "test": {}}))
    assert finished_run(tmp_path) == Run(tmp_path, "early", {"ending": "early", "test": {}})


@pytest.mark.parametrize("text", ["", "{", "3", '{"test": {}}', "null"])
def test_damaged_figures_are_one_line(tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=r"metrics\.json is damaged"):
        finished_run(tmp_path)
