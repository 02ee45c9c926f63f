from __future__ import annotations

import sys

import numpy as np
import pytest

import small_data
from convscope.core.config import DecisionConfig, TrainConfig
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.models.spec import ModelSpec
from convscope.tasks.classification.metrics import classification_metrics, cross_entropy, top_k_accuracy
from convscope.tasks.classification.selective import fit_decision
from convscope.tasks.classification.task import CLASSIFICATION


def added(logits, labels, *, size=7):
    evaluation = CLASSIFICATION.evaluation(small_data.CLASSES)
    for start in range(0, len(labels), size):
        evaluation.add(logits[start : start + size], labels[start : start + size])
    return evaluation


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 3)).astype(np.float32), rng.integers(3, size=50)


def test_the_fold_gives_what_the_whole_gives(answers):
    logits, labels = answers
    evaluation, exact = added(logits, labels), logits.astype(np.float64)
    assert evaluation.figures()["loss"] == pytest.approx(cross_entropy(exact, labels), rel=1e-15)
    assert evaluation.figures()["accuracy"] == pytest.approx(top_k_accuracy(exact, labels, 1), rel=1e-15)
    config = DecisionConfig(0.8, "energy")
    assert evaluation.decision(config) == fit_decision(logits, labels, config)
    metrics = classification_metrics(logits, labels, small_data.CLASSES)
    assert evaluation.summary() == metrics.to_dict()
    np.testing.assert_array_equal(evaluation.logits, logits)


def test_the_result_shows_what_was_added():
    images = prepare_split(ArrayDataset(*small_data.pictures(40), small_data.CLASSES), Preprocess(1, 12, 12))
    logits = 4 * np.eye(3, dtype=np.float32)[images.targets]
    logits[:4] = [0, 0, 1]
    result = added(logits, images.targets).result(images, Decision(2.0, threshold=0.6))
    assert [row[0] for row in result.table()] == ["class", *small_data.CLASSES]
    first, second, third = result.lines("pictures, test")
    assert first.startswith("pictures, test, 40 images: accuracy 92.50% (95 % interval ")
    assert "without the temperature 2; chance alone" in second and third.startswith("answered unknown: 10.0%")
    names = [section.name for section in result.sections()]
    assert names == ["result", "confusion", "errors", "slices", "confidence", "classes"]


def test_nothing_added_has_no_logits_and_no_threshold():
    evaluation = CLASSIFICATION.evaluation(small_data.CLASSES)
    assert evaluation.logits.shape == (0, 3) and evaluation.decision(DecisionConfig()) == Decision()
    with pytest.raises(UserError, match="there are no images to evaluate"):
        evaluation.summary()


def test_targets_and_head_are_those_of_the_classes():
    images, labels = small_data.pictures(6)
    targets = CLASSIFICATION.targets(ArrayDataset(images, labels, small_data.CLASSES))
    assert targets.names == small_data.CLASSES and targets.values.tolist() == labels.tolist()
    assert targets.strata.tolist() == labels.tolist()
    assert CLASSIFICATION.head(ModelSpec("x", classes=9), ("a", "b")).classes == 2


def test_the_loss_is_found_by_the_name_of_its_framework(monkeypatch, tmp_path):
    labels = np.array([0, 1, 1])
    assert CLASSIFICATION.loss("pytorch", TrainConfig(), labels, names=small_data.CLASSES).classes == 3
    with pytest.raises(UserError, match="no loss for jax"):
        CLASSIFICATION.loss("jax", TrainConfig(), labels, names=small_data.CLASSES)
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").touch()
    (tmp_path / "jax" / "losses.py").write_text("def ClassificationLoss(*parts):\n    return parts\n")
    package = sys.modules["convscope.tasks.classification"]
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert CLASSIFICATION.loss("jax", TrainConfig(), labels, names=small_data.CLASSES)[2] == 3
