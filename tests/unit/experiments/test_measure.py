from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import small_data
from convscope.core.config import RunConfig
from convscope.core.run.display import Display
from convscope.core.run.folder import read_config
from convscope.data.source import open_source
from convscope.experiments import measure as module
from convscope.experiments.measure import conditions, measure
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.training.train import train_run

QUIET = Display(quiet=True)


@pytest.fixture(scope="module")
def run(npz, tmp_path_factory):
    config = RunConfig.from_dict(small_data.settings(epochs=1)).merge({"data": {"source": str(npz)}})
    return train_run(config, out=tmp_path_factory.mktemp("measure") / "run", display=QUIET).folder


@pytest.mark.slow
def test_the_network_of_the_run_answers_for_test_images(run, npz, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "measure_throughput", lambda predictor, images: seen.append((predictor, images)) or 7.0
    )
    found = measure(run, read_config(run), open_source(npz), display=QUIET)
    ((predictor, images),) = seen
    assert np.array_equal(images, small_data.pictures(45, seed=1)[0])
    assert predictor.predict(images).shape == (45, 3)
    assert found["throughput"].mean == 7.0
    network = create("simple_cnn", input_shape=(1, small_data.SIDE, small_data.SIDE), classes=3)
    assert found["macs"].mean == summarise(network).macs


@pytest.mark.slow
def test_a_large_test_split_is_answered_for_in_one_batch(run, npz, monkeypatch):
    seen = []
    monkeypatch.setattr(module, "measure_throughput", lambda _, images: seen.append(len(images)) or 1.0)
    monkeypatch.setattr(module, "max_batch_size", lambda height, width: 20)
    measure(run, read_config(run), open_source(npz), display=QUIET)
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
