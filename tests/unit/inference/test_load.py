from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import small_data
from convscope.core.bundle import Bundle
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.inference.classifier import ImagePredictor
from convscope.inference.load import load, openers, predictor_of
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create

PREPROCESS = Preprocess(1, 12, 12, "crop", (0.4,), (0.2,))


def network():
    torch.manual_seed(0)
    return create("simple_cnn", input_shape=(1, 12, 12), classes=3).eval()


def bundle(net=None, **changes):
    net = net or network()
    parts = {
        "weights": {name: value.numpy() for name, value in net.state_dict().items()},
        "model": net.spec.to_dict(),
        "preprocess": PREPROCESS.to_dict(),
        "classes": small_data.CLASSES,
        "decision": Decision(2.0),
    }
    return Bundle(**parts | changes)


def test_preprocessing_classes_and_decision_come_with_it(tmp_path):
    bundle().save(tmp_path / "bundle.safetensors")
    net = load(tmp_path)
    images, _ = small_data.pictures(6)
    logits = TorchPredictor(network(), PREPROCESS, small_data.CLASSES).predict(images)
    assert np.array_equal(net.predict(images), logits)
    assert (net.classes, net.decision, net.preprocess) == (small_data.CLASSES, Decision(2.0), PREPROCESS)
    answer = net.classify(images[0])[0]
    assert answer.probability == pytest.approx(Decision(2.0).probabilities(logits[:1]).max())


def test_reading_a_bundle_unpickles_nothing(tmp_path, monkeypatch):
    bundle().save(tmp_path / "bundle.safetensors")

    def refuse(*_args, **_words):
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    assert load(tmp_path).classes == small_data.CLASSES


def test_the_device_is_asked_for_by_name():
    assert predictor_of(bundle(), device="cpu").predictor.device.type == "cpu"
    with pytest.raises(UserError, match="there is no device 'gpu'"):
        predictor_of(bundle(), device="gpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preprocess": {}}, "preprocessing lacks"),
        ({"preprocess": PREPROCESS.to_dict() | {"more": 1}}, "more"),
        ({"weights": {}}, "weights do not fit simple_cnn"),
        ({"classes": ("a", "b")}, "answers with 3 logits for 2 class names"),
    ],
)
def test_what_does_not_fit_together_is_one_line(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        predictor_of(bundle(**changes))
    assert "\n" not in str(caught.value)


def test_another_form_is_opened_by_what_was_entered_for_it(monkeypatch):
    monkeypatch.setattr(openers, "_entries", dict(openers._entries))

    class Table:
        classes = small_data.CLASSES

        def predict(self, images):
            return np.tile(np.float32([0, 9, 0]), (len(images), 1))

    asked = []

    @openers.add("table")
    def open_table(bundle, preprocess, model, device):
        asked.append((bundle.form, preprocess, model, device))
        return Table()

    opened = predictor_of(bundle(form="table"), device="cpu")
    assert asked == [("table", PREPROCESS, None, "cpu")]
    assert opened.classify(small_data.pictures(2)[0])[1].label == "bee"


def test_another_task_than_classification_has_outputs_and_no_classes_to_choose_from():
    opened = predictor_of(bundle(task="something else"))
    assert type(opened) is ImagePredictor
    images, _ = small_data.pictures(3)
    np.testing.assert_array_equal(opened.outputs(images), opened.predict(images))
