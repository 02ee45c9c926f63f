from __future__ import annotations

import numpy as np
import pytest
import torch

from convscope.core import batch_size
from convscope.core.contracts import Predictor
from convscope.core.errors import ShapeError, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create

CLASSES = ("cat", "dog", "eel")


def predictor(channels=3, name="small_cnn"):
    net = create(name, input_shape=(channels, 12, 10), classes=3)
    preprocess = Preprocess(channels, 12, 10, mean=(0.3,) * channels, std=(0.2,) * channels)
    return TorchPredictor(net, preprocess, CLASSES)


def images(n, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 12, 10, channels), np.uint8)


def test_it_keeps_the_contract():
    assert isinstance(predictor(), Predictor)
    assert predictor().classes == CLASSES


@pytest.mark.parametrize("channels", [1, 3])
def test_logits_are_those_of_the_network_on_normalised_images(channels):
    ours, batch = predictor(channels), images(7, channels)
    logits = ours.predict(batch)
    assert logits.dtype == np.float32 and logits.shape == (7, 3)
    with torch.no_grad():
        expected = ours.network.eval()(torch.from_numpy(ours.preprocess.normalise(batch)))
    # The two normalisations may differ in the last bit of float32.
    np.testing.assert_allclose(logits, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_many_batches_give_the_logits_of_one(monkeypatch):
    ours, batch = predictor(), images(11)
    whole = ours.predict(batch)
    monkeypatch.setattr(batch_size, "MOST_IMAGES", 4)
    np.testing.assert_allclose(ours.predict(batch), whole, rtol=1e-4, atol=1e-5)


def test_the_mode_is_put_back_and_nothing_is_learned():
    ours = predictor()
    ours.network.train()
    ours.network.body.stage1[1].eval()
    before = {k: v.clone() for k, v in ours.network.state_dict().items()}
    first = ours.predict(images(5))
    assert np.array_equal(ours.predict(images(5)), first)  # dropout is off
    assert ours.network.training and not ours.network.body.stage1[1].training
    assert all(torch.equal(before[k], v) for k, v in ours.network.state_dict().items())


def test_no_images_no_logits():
    assert predictor().predict(images(0)).shape == (0, 3)


def test_memory_that_must_not_be_written_is_read(tmp_path):
    np.save(tmp_path / "images.npy", images(3))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    ours = predictor()
    assert np.array_equal(ours.predict(mapped), ours.predict(images(3)))
    assert np.array_equal(ours.predict(images(6)[::2]), ours.predict(np.ascontiguousarray(images(6)[::2])))


@pytest.mark.parametrize(
    "batch",
    [
        images(2).astype(np.float32),
        images(2)[0],
        images(2, channels=1),
        images(2).transpose(0, 3, 1, 2),
        images(2)[:, :5],
    ],
)
def test_what_is_not_prepared_is_refused(batch):
    with pytest.raises(ShapeError, match="it needs prepared images, uint8 N×12×10×3"):
        predictor().predict(batch)


def test_class_names_must_match():
    with pytest.raises(UserError, match="small_cnn answers with 10 logits for 3 class names"):
        TorchPredictor(create("small_cnn"), Preprocess(3, 32, 32), CLASSES)


@pytest.mark.parametrize(("side", "largest"), [(8, 256), (224, 19), (2048, 1)])
def test_large_images_come_in_small_batches(side, largest, monkeypatch):
    sizes = []
    ours = predictor(1)
    ours.preprocess = Preprocess(1, side, side)
    monkeypatch.setattr(ours, "_logits", lambda part: (sizes.append(len(part)), torch.zeros(len(part), 3))[1])
    many = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (300, side, side, 1))
    assert ours.predict(many).shape == (300, 3)
    assert max(sizes) == largest and sum(sizes) == 300
