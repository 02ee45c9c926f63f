"""Occlusion beside plain loops over windows, on Predictors that have no network behind them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribute import explain_images
from convscope.explanation.attribution import occlusion as module
from convscope.explanation.attribution.occlusion import covers, mean_colour, occlusion
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods


class Answers:
    """Logits from the brightness of an image, weighted by its places; says how many images it got at most."""

    classes = ("ant", "bee", "cow")

    def __init__(self, shape):
        self.weights = np.random.default_rng(0).normal(0, 1, (int(np.prod(shape)), 3))
        self.largest = 0

    def predict(self, images):
        assert images.dtype == np.uint8
        self.largest = max(self.largest, len(images))
        return np.tanh(images.reshape(len(images), len(self.weights)) / 255.0 @ self.weights).astype(
            np.float32
        )


class Patch:
    """Light, if a patch of 6×6 is; where it lies it alone knows."""

    classes = ("dark", "<b>$light$</b>=")

    def __init__(self, row, column):
        self.row, self.column = row, column

    def predict(self, images):
        light = (
            images[:, self.row : self.row + 6, self.column : self.column + 6].mean(axis=(1, 2, 3)) / 25 - 5
        )
        return np.stack([-light, light], axis=1).astype(np.float32)


def by_loops(predictor, images, targets, *, fill, window, stride):
    """A window at a time, an image at a time."""
    _, height, width, _ = images.shape
    maps = []
    for image, target in zip(images, targets, strict=True):
        total, count = np.zeros((height, width)), np.zeros((height, width))
        whole = predictor.predict(image[None])[0, target]
        top = -stride
        while top + window < height:
            top, left = top + stride, -stride
            while left + window < width:
                left += stride
                covered = image.copy()
                covered[top : top + window, left : left + window] = fill
                fall = float(whole) - float(predictor.predict(covered[None])[0, target])
                total[top : top + window, left : left + window] += fall
                count[top : top + window, left : left + window] += 1
        maps.append(total / count)
    return np.array(maps)


@settings(max_examples=30)
@given(data=st.data(), seed=st.integers(0, 10**6))
def test_it_is_what_loops_over_windows_find(data, seed):
    height, width = data.draw(st.integers(2, 9)), data.draw(st.integers(2, 9))
    channels, count = data.draw(st.sampled_from([1, 3])), data.draw(st.integers(1, 3))
    window = data.draw(st.integers(1, min(height, width)))
    stride = data.draw(st.integers(1, window))
    rng = np.random.default_rng(seed)
    images, targets = (
        rng.integers(0, 256, (count, height, width, channels), np.uint8),
        rng.integers(0, 3, count),
    )
    options = {"fill": rng.integers(0, 256, channels).tolist(), "window": window, "stride": stride}
    predictor = Answers(images.shape[1:])
    found = occlusion(predictor, images, targets, **options)
    assert found == pytest.approx(by_loops(predictor, images, targets, **options), abs=1e-6)


def test_batches_change_nothing_and_are_bounded(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3), np.uint8)
    targets, predictor = np.array([0, 1, 2]), Answers((12, 10, 3))
    whole = occlusion(predictor, images, targets, fill=[0, 0, 0])
    assert predictor.largest > 7
    predictor.largest = 0
    monkeypatch.setattr(module, "max_batch_size", lambda *_: 7)
    assert occlusion(predictor, images, targets, fill=[0, 0, 0]) == pytest.approx(whole, abs=1e-6)
    assert predictor.largest == 7


@given(side=st.integers(1, 60), window=st.integers(1, 60), stride=st.integers(1, 60))
def test_every_pixel_is_covered_and_no_place_is_empty(side, window, stride):
    window, stride = min(side, window), min(stride, window, side)
    places = covers(side, window, stride=stride)
    assert places.any(axis=0).all() and places.any(axis=1).all()
    assert (
        (places[:-1].sum(axis=1) == window).all() and places[-1, -1] and (places.sum(axis=1) <= window).all()
    )
    assert not len(places) > 1 or not places[:-1, -1].any()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["occlusion", "rise"])
def test_a_predictor_without_a_network_is_enough_and_the_patch_is_found(name, channels):
    rng = np.random.default_rng(1)
    images = rng.integers(90, 160, (4, 28, 24, channels), np.uint8)
    for row, column in [(0, 0), (12, 7), (22, 18)]:
        images[:, row : row + 6, column : column + 6] = 230
        model = ExplainedModel(Patch(row, column), Preprocess(channels, 28, 24, mean=(0.4,) * channels))
        found = explain_images(model, images, methods[name])
        assert found.refused == (None,) * 4 and found.targets.tolist() == [1] * 4
        rows, columns = np.unravel_index(found.heat_maps.reshape(4, -1).argmax(axis=1), (28, 24))
        assert ((rows >= row) & (rows < row + 6) & (columns >= column) & (columns < column + 6)).all()
        images[:, row : row + 6, column : column + 6] = 120


@pytest.mark.parametrize("name", ["occlusion", "rise"])
def test_an_answer_that_never_changes_is_refused(name):
    class Stubborn:
        classes = ("a", "b")

        def predict(self, images):
            return np.tile(np.float32([[0.3, 2.0]]), (len(images), 1))

    images = np.random.default_rng(0).integers(0, 256, (2, 14, 14, 1), np.uint8)
    found = explain_images(ExplainedModel(Stubborn(), Preprocess(1, 14, 14)), images, methods[name])
    assert all(reason and ("does not change" in reason or "constant" in reason) for reason in found.refused)
    assert not found.heat_maps.any()


@pytest.mark.parametrize("name", ["occlusion", "rise"])
@pytest.mark.parametrize("shape", [(0, 28, 28, 1), (1, 1, 1, 3), (2, 3, 5, 1), (1, 2, 40, 3)])
def test_odd_shapes_and_no_images(name, shape):
    model = ExplainedModel(Answers(shape[1:]), Preprocess(shape[3], *shape[1:3]))
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = methods[name].compute(model, images, np.zeros(shape[0], np.int64))
    assert found.shape == shape[:3] and np.isfinite(found).all()


def test_the_window_is_a_sixth_of_the_shorter_side_and_the_stride_half_of_it(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "covers", lambda *a, **k: asked.append((*a, k["stride"])) or covers(*a, **k))
    images = np.zeros((1, 60, 48, 1), np.uint8)
    occlusion(Answers((60, 48, 1)), images, np.array([0]), fill=[9])
    assert asked == [(60, 8, 4), (48, 8, 4)]


@pytest.mark.parametrize(("window", "stride"), [(9, 1), (4, 5), (3, -1), (-2, 1)])
def test_windows_that_leave_pixels_out_are_told(window, stride):
    images = np.zeros((1, 12, 8, 1), np.uint8)
    with pytest.raises(
        UserError, match=rf"window of {window} and a stride of {stride}.*12×8; allowed: .* 1 to 8"
    ):
        occlusion(Answers((12, 8, 1)), images, np.array([0]), fill=[0], window=window, stride=stride)


def test_the_mean_colour_is_one_of_256_levels():
    assert mean_colour(Preprocess(3, 4, 4, mean=(0.2, 0.5, 0.999))) == (51, 128, 255)
    assert mean_colour(Preprocess(1, 4, 4, mean=(-0.5,))) == (0,)
