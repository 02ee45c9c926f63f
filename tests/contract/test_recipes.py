"""Every recipe is a promise that can be kept: its network takes two steps on a stand-in for its data."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import statistics
from pathlib import Path

import numpy as np
import pytest
import torch

from convscope.cli import app
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.data.source import NAMES
from convscope.recipes import recipes
from convscope.training.prepare_run import prepare_run
from convscope.training.pytorch.loop import set_rate

every = pytest.mark.parametrize("name", list(recipes))
ROOT = Path(__file__).resolve().parents[2]
SHAPES = {"cifar10": (32, 3), "cifar100": (32, 3), "fashion_mnist": (28, 1), "mnist": (28, 1)}


@every
def test_it_takes_two_steps(name, tmp_path):
    config = recipes[name].config
    side, channels = SHAPES.get(config.data.source, (32, 3))
    labels = np.arange(400) % 10
    images = np.random.default_rng(0).integers(0, 256, (400, side, side, channels), np.uint8)
    np.savez(tmp_path / "stand_in.npz", images=images, labels=labels)
    # On the CPU and one thread, so that two runs agree; everything else is the recipe's.
    stand_in = {"data": {"source": str(tmp_path / "stand_in.npz")}, "train": {"device": "cpu", "threads": 1}}
    weights = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        session = prepare_run(config.merge(stand_in), folder, observer=Silent())
        job, state = session.job, session.state
        batches = len(job.loader)
        rate = set_rate(state, job.config, batches)
        before = {key: value.clone() for key, value in state.network.named_parameters()}
        losses = [session.trial(rate, epoch * batches) for epoch in range(2)]
        assert np.isfinite(losses).all()
        after = dict(state.network.named_parameters())
        assert all(not torch.equal(value, after[key]) for key, value in before.items() if value.ndim > 1)
        weights.append(after)
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@every
def test_its_data_are_known_by_name(name):
    assert recipes[name].config.data.source in NAMES


@every
def test_its_promise_has_a_command_that_can_be_typed(name):
    found = re.search(r"command\s+(.+)", recipes[name].promise)
    assert found, f"{name} promises no command"
    words = shlex.split(found[1])
    assert words[:2] == ["convscope", "train"] and name in words
    app.parse_args(words[1:], exit_on_error=False, print_error=False)


@every
def test_its_promise_says_how_long_on_what_and_how_well(name):
    promised = dict(line.split(maxsplit=1) for line in recipes[name].promise.strip().splitlines()[2:])
    assert promised.keys() == {"command", "minutes", "hardware", "score"}
    measured = re.search(r"([\d.]+) % ± ([\d.]+) % test accuracy \(n = (\d)\), (\S+)", promised["score"])
    assert measured, promised["score"]
    accuracy = json.loads((ROOT / measured[4]).read_text())["figures"]["accuracy"]
    assert round(100 * statistics.fmean(accuracy), 2) == float(measured[1])
    assert round(100 * statistics.stdev(accuracy), 2) == float(measured[2])
    assert len(accuracy) == int(measured[3])


@every
def test_its_configuration_survives_a_file(name):
    config = recipes[name].config
    assert dataclasses.is_dataclass(config) and RunConfig.from_dict(config.to_dict()) == config


def test_an_unknown_recipe_names_the_others():
    with pytest.raises(UserError, match=r"no recipe 'cifar10_smallcnn'; did you mean 'cifar10_small_cnn'"):
        recipes["cifar10_smallcnn"]
