"""An engine is entered by one call, and then everything works with it that works with PyTorch."""

from __future__ import annotations

import json

import numpy as np
import pytest

import convscope
import small_data
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.folder import read_config
from convscope.core.run.progress import Silent
from convscope.label_audit.audit import check_labels
from convscope.models import engine as model_engines
from convscope.models.engine import engine_named
from convscope.training import engine as engines
from convscope.training.checks import find_rate, overfit_one_batch
from convscope.training.prepare_run import prepare_run
from convscope.training.train import train_run
from toy_engine import MODELS, NETWORK, TRAINING
from watching import Watching


@pytest.fixture(scope="module", autouse=True)
def _entered():
    with pytest.MonkeyPatch.context() as patch:
        for halves in (model_engines, engines):
            patch.setattr(halves, "_entered", dict(halves._entered))
        engines.enter_engine(MODELS, TRAINING)
        yield


def settings(npz, **train):
    quick = {"epochs": 3, "batch_size": 24, "lr": 0.02} | train
    asked = {"engine": "toy", "data": {"source": str(npz), "quarantine": "none"}, "model": {"name": NETWORK}}
    return RunConfig.from_dict(asked | {"train": quick})


@pytest.fixture(scope="module")
def run(npz, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("toy"))
        done = convscope.train(npz, config=settings(npz), quiet=True)
        yield convscope.training.finalise.Run(done.folder.resolve(), done.metrics)


def test_it_trains_and_leaves_everything_behind(run):
    assert run.folder.name == "toy_softmax_small_data" and run.status == "finished"
    assert run.metrics.test["top1"] > 0.9 and len(run.history) == 3
    assert {path.name for path in run.folder.iterdir()} >= {
        *("bundle.safetensors", "config.json", "history.jsonl", "metrics.json", "split.json"),
        *("test_metrics.json", "test_predictions.csv", "curves.png", "test_confusion.png"),
    }
    assert read_config(run.folder).engine == "toy"
    assert run.metrics.parameters == 12 * 12 * 3 + 3


def test_the_bundle_holds_its_weights(run):
    bundle = Bundle.load(run.folder)
    assert {*bundle.weights} == {"weight", "bias"} and bundle.model["name"] == NETWORK
    assert bundle.provenance["config"]["engine"] == "toy"
    assert bundle.provenance["hardware"]["numpy"] == np.__version__


def test_an_engine_is_entered_once():
    assert engines.training_engine("toy") is TRAINING and engine_named("toy") is MODELS
    with pytest.raises(ValueError, match="registered already"):
        engines.enter_engine(MODELS, TRAINING)


def test_both_halves_have_one_name():
    class Other:
        name = "other"

    with pytest.raises(ValueError, match="'toy' and 'other'"):
        engines.enter_engine(MODELS, Other())


def test_a_network_that_it_has_not(npz, tmp_path):
    with pytest.raises(UserError, match="the toy engine has no network 'small_cnn'"):
        train_run(settings(npz).merge({"model": {"name": None}}), out=tmp_path / "run", observer=Silent())
    assert list(tmp_path.iterdir()) == []


def test_it_goes_on_where_it_was_interrupted(npz, tmp_path):
    class Impatient(Watching):
        def epoch(self, row, epochs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(settings(npz), out=tmp_path / "run", observer=Impatient())
    done = train_run(settings(npz), out=tmp_path / "run", resume=True, observer=Silent())
    whole = train_run(settings(npz), out=tmp_path / "whole", observer=Silent())
    assert done.folder == tmp_path / "run"
    first, second = (Bundle.load(folder).weights for folder in (done.folder, whole.folder))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_the_checks_before_a_training(npz, tmp_path):
    session = prepare_run(settings(npz), tmp_path, observer=Silent())
    assert find_rate(session, Silent().progress).suggestion > 0
    other = prepare_run(settings(npz), tmp_path, observer=Silent())
    assert overfit_one_batch(other, 0.02, Silent().progress).memorised


def test_labels_that_are_likely_to_be_wrong(tmp_path):
    images, labels = small_data.pictures(90)
    labels[[4, 40]] = (labels[[4, 40]] + 1) % 3
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels, classes=np.array(small_data.CLASSES))
    config = settings(tmp_path / "data.npz", epochs=8)
    report = check_labels(config, folds=3, out=tmp_path / "labels", observer=Silent())
    assert {issue.name for issue in report.issues} >= {"train#4", "train#40"}


def test_it_is_loaded_and_predicts(run):
    images, labels = small_data.pictures(9, seed=3)
    predictions = convscope.load(run.folder).classify(images)
    assert [p.label for p in predictions] == [small_data.CLASSES[k] for k in labels]


def test_it_is_evaluated(run, tmp_path):
    evaluated = convscope.evaluate(run.folder, out=tmp_path / "evaluation")
    assert evaluated.to_dict()["top1"] == run.metrics.test["top1"]


def test_it_is_explained_by_occlusion(run, tmp_path):
    images, _ = small_data.pictures(2, seed=3)
    explained = convscope.explain(run.folder, list(images), method="occlusion", out=tmp_path / "explained")
    found = json.loads((tmp_path / "explained" / "explanation.json").read_text())
    assert found == explained.to_dict() and found["images"][0]["methods"][0]["refused"] is None


def test_it_is_compared_with_another_engine(run, npz, tmp_path):
    quick = RunConfig.from_dict(small_data.settings()).merge({"data": {"source": str(npz)}})
    torch_run = train_run(quick, out=tmp_path / "torch", observer=Silent())
    comparison = convscope.compare([run.folder, torch_run.folder]).to_dict()
    assert [group["figures"]["test_accuracy"]["mean"] for group in comparison["groups"]] == [
        run.metrics.test["top1"],
        torch_run.metrics.test["top1"],
    ]
