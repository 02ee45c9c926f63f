"""A second task is entered under its name, and evaluated, reported and opened like the built-in one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import small_data
import toy_task
from convscope.core.bundle import Bundle
from convscope.core.config import DecisionConfig
from convscope.core.errors import UserError
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import open_source
from convscope.data.targets import with_targets
from convscope.evaluation.evaluate import evaluate
from convscope.evaluation.robustness.measure import measure_robustness
from convscope.inference.classifier import Classifier, ImagePredictor
from convscope.inference.load import load
from convscope.tasks.task import fold, task_named
from toy_task import NAMES, MeanColour

PREPROCESS = Preprocess(3, 12, 12)


class Exact:
    """Predicts the mean colour as it is."""

    classes = NAMES

    def predict(self, images: Any) -> Any:
        return (images.mean(axis=(1, 2)) / 255).astype(np.float32)


@pytest.fixture
def entered(monkeypatch):
    """The task on the list, as long as a test runs."""
    return toy_task.enter(monkeypatch)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return small_data.write_npz(
        tmp_path_factory.mktemp("colours") / "colours.npz", train=30, test=9, channels=3
    )


@pytest.fixture
def run(entered, colours, tmp_path):
    """A bundle of a network with three outputs, as a training would have left it."""
    (tmp_path / "run").mkdir()
    import torch

    from convscope.models.pytorch.zoo import create

    torch.manual_seed(0)
    network = create("simple_cnn", input_shape=(3, 12, 12), classes=3).eval()
    Bundle(
        weights={name: value.numpy() for name, value in network.state_dict().items()},
        model=network.spec.to_dict(),
        preprocess=PREPROCESS.to_dict(),
        classes=NAMES,
        provenance={"config": {"data": {"source": str(colours)}}},
        task=MeanColour.name,
    ).save(tmp_path / "run" / "bundle.safetensors")
    return tmp_path / "run"


def opened(colours, task):
    dataset = open_source(colours).open("test")
    return prepare_split(with_targets(dataset, task.targets(dataset)), PREPROCESS)


def test_it_is_found_by_its_name_and_a_wrong_name_is_explained(entered):
    assert task_named("mean_colour") is entered
    with pytest.raises(UserError, match="did you mean 'mean_colour'"):
        task_named("mean_color")


def test_it_is_folded_over_a_split(entered, colours, tmp_path):
    images = opened(colours, entered)
    assert images.targets.shape == (9, 3)
    evaluation = fold(entered.evaluation(NAMES), Exact(), images)
    assert evaluation.figures()["error"] < 1e-6 and evaluation.summary()["images"] == 9
    result = evaluation.result(images, evaluation.decision(DecisionConfig()))
    result.write(tmp_path, "test")
    assert json.loads((tmp_path / "test_metrics.json").read_text()) == result.to_dict()


def test_robustness_is_of_its_score(entered, colours):
    images = opened(colours, entered)
    found = measure_robustness(Exact(), images.take(np.arange(9)), images.targets, task=entered)
    assert found.clean < 1e-6 < found.mean and "error" in found.to_dict()["rows"][0]
    assert found.by_strength()["brightness"][5] > found.by_strength()["brightness"][1] > 0.05


def test_a_run_of_it_is_opened_and_predicts(run, colours):
    network = load(run)
    assert isinstance(network, ImagePredictor) and not isinstance(network, Classifier)
    images, _ = small_data.pictures(5, channels=3)
    np.testing.assert_array_equal(network.outputs(images), network.predict(images))


def test_a_run_of_it_is_evaluated_and_reported_as_json(run, colours):
    found = evaluate(run, robustness=True)
    images = opened(colours, MeanColour())
    error = np.abs(load(run).predict(images.take(np.arange(9))) - images.targets).mean()
    assert found.metrics["error"] == pytest.approx(error, rel=1e-6)
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (plain["task"], plain["data"], plain["split"]) == ("mean_colour", "colours", "test")
    assert plain["robustness"]["rows"][0]["error"] >= 0
    assert {path.name for path in found.folder.iterdir()} == {
        "test_metrics.json", "test_robustness.json", "test_robustness.png"
    }  # fmt: skip


@pytest.mark.slow
def test_the_verb_prints_its_lines(run, capsys):
    from convscope.cli import main

    assert main(["evaluate", str(run)]) == 0
    out = capsys.readouterr().out
    assert "colours, test: error " in out and "accuracy" not in out


@pytest.mark.slow
def test_the_report_of_a_run_of_it_has_the_general_sections(run):
    from convscope.report.write import GENERAL, contents, write_report

    row = {"epoch": 1, "train_loss": 0.2, "validation_loss": 0.1, "lr": 0.1, "best": True}
    row |= {"train_error": 0.25, "validation_error": 0.125}
    (run / "history.jsonl").write_text(json.dumps(row) + "\n")
    report = write_report(run)
    page = report.path.read_text()
    assert contents(report.evaluation.result.sections()) == GENERAL
    assert all(f'<section id="{section.name}"' in page for section in GENERAL)
    assert "Error by strength." in page and "no indices of outputs" in page
    assert "best on validation is epoch 1 with 12.50%" in page and "<th>validation error</th>" in page
    assert '<h2 id="confusion-title"' not in page
