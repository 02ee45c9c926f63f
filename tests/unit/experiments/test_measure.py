from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import small_data
from convscope.core.config import RunConfig
from convscope.core.run.folder import read_config
from convscope.core.run.progress import Silent
from convscope.data.source import open_source
from convscope.experiments import measure as module
from convscope.experiments.measure import REPEATS, conditions, measure, measure_throughput
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.training.train import train_run

QUIET = Silent()


@pytest.fixture(scope="module")
def run(npz, tmp_path_factory):
    config = RunConfig.from_dict(small_data.settings(epochs=1)).merge({"data": {"source": str(npz)}})
    return train_run(config, out=tmp_path_factory.mktemp("measure") / "run", observer=QUIET).folder


@pytest.mark.slow
def test_the_network_of_the_run_predicts_test_images(run, npz, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "measure_throughput", lambda predictor, images: seen.append((predictor, images)) or 7.0
    )
    figures = measure(run, read_config(run), open_source(npz), observer=QUIET)
    ((predictor, images),) = seen
    assert np.array_equal(images, small_data.pictures(45, seed=1)[0])
    assert predictor.predict(images).shape == (45, 3)
    assert figures["throughput"].mean == 7.0
    network = create("simple_cnn", input_shape=(1, small_data.SIDE, small_data.SIDE), classes=3)
    assert figures["macs"].mean == summarise(network).macs


@pytest.mark.slow
def test_a_large_test_split_is_one_batch(run, npz, monkeypatch):
    seen = []
    monkeypatch.setattr(module, "measure_throughput", lambda _, images: seen.append(len(images)) or 1.0)
    monkeypatch.setattr(module, "max_batch_size", lambda height, width: 20)
    measure(run, read_config(run), open_source(npz), observer=QUIET)
    assert seen == [20]


def test_the_conditions_are_those_that_hold(run):
    config = read_config(run)
    assert conditions(config, 12, 12) == {"batch": 256, "device": "cpu", "precision": "float32", "threads": 1}
    import torch

    before = torch.get_num_threads()
    try:
        assert conditions(replace(config, train=replace(config.train, threads=2)), 8, 8)["threads"] == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


IMAGES = np.zeros((16, 4, 4, 1), np.uint8)


class Slow:
    """A predictor on a clock of its own: its calls take these seconds, and the last of them for ever."""

    classes = ("a", "b")

    def __init__(self, *seconds):
        self.seconds, self.now, self.calls = itertools.chain(seconds, itertools.repeat(seconds[-1])), 0.0, 0

    def predict(self, images):
        self.calls += 1
        self.now += next(self.seconds)
        return np.zeros((len(images), 2), np.float32)

    def rate(self):
        return measure_throughput(self, IMAGES, clock=lambda: self.now)


def test_the_first_call_and_the_outliers_do_not_count():
    assert Slow(60.0, 0.5, 0.5, 9.0, 0.5, 0.001).rate() == pytest.approx(16 / 0.5)


def test_a_fast_network_predicts_more_often():
    slow, fast = Slow(0.2), Slow(0.01)
    assert (slow.rate(), fast.rate()) == (pytest.approx(80), pytest.approx(1600))
    assert slow.calls == 1 + REPEATS
    assert fast.calls == pytest.approx(1 + 50, abs=1)


def test_a_clock_too_coarse_to_see_a_call_gives_a_number():
    now = itertools.chain(itertools.repeat(0.0, 2 * REPEATS), itertools.count(0.0, 1.0))
    assert np.isfinite(measure_throughput(Slow(0.0), IMAGES, clock=lambda: next(now)))
