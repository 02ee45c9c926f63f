from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from convscope.reference.arrays import ShapeError
from convscope.reference.gradcheck import gradcheck
from convscope.reference.losses.cross_entropy import cross_entropy, cross_entropy_backward
from convscope.reference.network.layers import AvgPool2d, Dropout, Flatten, MaxPool2d, ReLU
from convscope.reference.network.net import NESTEROV, Net
from convscope.reference.network.weighted_layers import BatchNorm2d, Conv2d, Linear
from convscope.reference.training.epoch import DivergedError
from convscope.reference.training.optimizers import adam, adamw, sgd

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((32, 1, 8, 8)).astype(np.float32)
LABELS = RNG.integers(0, 4, 32)


def small(seed: int = 0, dtype: type = np.float32) -> Net:
    """One of every layer: 1×8×8 → 4 classes."""
    layers = [
        Conv2d(1, 8, 3, padding=1), BatchNorm2d(8), ReLU(), MaxPool2d(2),
        Conv2d(8, 8, 3, padding=1), ReLU(), AvgPool2d(2),
        Flatten(), Dropout(0.1), Linear(32, 4),
    ]  # fmt: skip
    return Net(layers, seed=seed, dtype=dtype)


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [NESTEROV, partial(sgd, momentum=0.5), partial(adam, betas=(0.9, 0.99)), partial(adamw, eps=1e-6)],
)
def test_it_memorises_32_images(optimizer):
    net = small()
    rate = 0.01 if optimizer.func in (adam, adamw) else 0.05
    history = net.fit(IMAGES, LABELS, epochs=60, batch_size=8, rate=rate, optimizer=optimizer)
    assert (net.predict(IMAGES).argmax(axis=1) == LABELS).all()
    assert history[-1].loss < 0.2 * history[0].loss


def test_the_same_seeds_give_the_same_weights():
    def weights(seed: int, order: int) -> dict[str, np.ndarray]:
        net = small(seed)
        net.fit(IMAGES, LABELS, epochs=2, batch_size=8, seed=order)
        return net.weights

    one, again, other_start, other_order = weights(1, 2), weights(1, 2), weights(2, 2), weights(1, 3)
    for name, w in one.items():
        np.testing.assert_array_equal(w, again[name])
        assert (w != other_start[name]).any()
        assert (w != other_order[name]).any()


@pytest.mark.slow
def test_the_whole_network_has_the_measured_gradients():
    # Smooth layers only, since steps would cross the kinks of ReLUs. A bias in front of a batch norm has no
    # slope.
    net = Net([BatchNorm2d(1), Conv2d(1, 2, 3), AvgPool2d(2), Flatten(), Linear(18, 4)], dtype=np.float64)
    x, names, y = IMAGES[:4].astype(np.float64), list(net.weights), LABELS[:4]

    def logits(x, *weights):
        net.weights = dict(zip(names, weights, strict=True))
        return net.forward(x, training=True)

    def gradients(dy, x, *weights):
        dx = net.backward(cross_entropy_backward(dy, logits(x, *weights), y))
        return [dx, *(net.gradients[name] for name in names)]

    gradcheck(lambda *arrays: cross_entropy(logits(*arrays), y), gradients, x, *net.weights.values())


def test_predict_gives_the_same_in_batches_of_any_size():
    net = small()
    net.fit(IMAGES, LABELS, epochs=1)
    whole = net.predict(IMAGES)
    for size in (1, 7, 32, 1000):
        np.testing.assert_allclose(net.predict(IMAGES, batch_size=size), whole, atol=1e-5)
    assert net.predict(IMAGES[:0]).shape == (0, 4)
    np.testing.assert_array_equal(net.predict(IMAGES), whole)


def test_a_batch_larger_than_the_images_is_all_of_them_and_a_rest_is_left_out():
    steps = []

    def rate(step: int) -> float:
        steps.append(step)
        return 0.0

    small().fit(IMAGES, LABELS, epochs=2, batch_size=100, rate=rate)
    assert steps == [0, 1]
    steps.clear()
    small().fit(IMAGES, LABELS, epochs=2, batch_size=15, rate=rate)
    assert steps == [0, 1, 2, 3]


def test_a_rate_of_0_changes_no_weight():
    net, before = small(), small().weights
    net.fit(IMAGES, LABELS, epochs=1, rate=0.0)
    for name, w in net.weights.items():
        np.testing.assert_array_equal(w, before[name])


def test_every_epoch_is_reported():
    lines: list[str] = []
    history = small().fit(IMAGES, LABELS, epochs=3, batch_size=8, on_epoch=lambda e: lines.append(str(e)))
    assert [epoch.number for epoch in history] == [1, 2, 3]
    assert lines == [str(epoch) for epoch in history]
    assert all(word in lines[0] for word in ("epoch   1", "loss", "accuracy", "rate 0.05", " s"))
    assert all(0 <= epoch.accuracy <= 1 and epoch.seconds > 0 for epoch in history)


def test_dtypes():
    assert small(dtype=np.float64).predict(IMAGES).dtype == np.float64
    net = small()
    net.fit((IMAGES * 40 + 128).clip(0, 255).astype(np.uint8), LABELS, epochs=1, rate=0.001)
    assert {w.dtype for w in net.weights.values()} == {np.dtype(np.float32)}
    with pytest.raises(TypeError, match="float32 or float64, not in float16"):
        small(dtype=np.float16)
    with pytest.raises(TypeError, match="not complex"):
        net.predict(IMAGES.astype(complex))


def test_divergence_is_noticed_at_once():
    seen = []
    with pytest.raises(
        DivergedError, match=r"diverged in step \d+.*Lower the rate, 1e\+30, to a tenth.*deviation"
    ):
        small().fit(IMAGES, LABELS, epochs=9, batch_size=8, rate=1e30, on_epoch=seen.append)
    assert seen == []


@pytest.mark.parametrize("pixel", [np.nan, np.inf])
def test_a_nan_or_infinite_pixel_is_named_as_the_reason(pixel):
    broken = IMAGES.copy()
    broken[3, 0, 2, 2] = pixel
    with pytest.raises(DivergedError, match="a pixel in the batch of step 0 is infinite or NaN"):
        small().fit(broken, LABELS)


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (IMAGES, LABELS[:-1], ShapeError, r"labels has shape \(31,\) and needs \(32,\)"),
        (IMAGES, LABELS + 1, ValueError, r"label 4 of image \d+ is none of 4 classes"),
        (IMAGES, LABELS / 1, ValueError, "given: float64"),
        (IMAGES[:0], LABELS[:0], ValueError, r"one or more; given: \(0, 1, 8, 8\)"),
        (IMAGES[0, 0, 0], LABELS[:8], ValueError, "training needs images"),
        (IMAGES[:, 0], LABELS, ShapeError, r"layer 0, Conv2d: x is N×C×H×W"),
        (IMAGES[:, :, :4], LABELS, ShapeError, r"layer 9, Linear: .*same D; given: x \(1, 16\), w \(4, 32\)"),
    ],
)
def test_data_that_do_not_fit(images, labels, error, message):
    with pytest.raises(error, match=message):
        small().fit(images, labels)


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": 0}])
def test_numbers_out_of_range(options):
    with pytest.raises(ValueError, match="both are at least 1"):
        small().fit(IMAGES, LABELS, **options)


def test_networks_that_are_none():
    with pytest.raises(ValueError, match="one layer or more"):
        Net([])
    with pytest.raises(ShapeError, match=r"end with Flatten\(\) and Linear"):
        Net([Conv2d(1, 4, 3)]).fit(IMAGES, LABELS)
