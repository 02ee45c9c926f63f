from __future__ import annotations

import dataclasses
import json

import pytest

from convscope.core.config import RunConfig
from convscope.core.resolved_config import (
    ResolvedAugment,
    ResolvedConfig,
    ResolvedData,
    ResolvedModel,
    ResolvedTrain,
    ResolvedTransfer,
)
from convscope.core.settings import differences

MADE = ResolvedConfig(
    data=ResolvedData(channels=1, normalise="statistics", validation=0.1),
    model=ResolvedModel(name="small_cnn"),
    transfer=ResolvedTransfer(mode="scratch"),
    augment=ResolvedAugment(policy="flip", flip=True),
    train=ResolvedTrain(epochs=12, batch_size=128, lr=0.1, milestones=(0.3, 0.6)),
    height=28,
    width=20,
)


def test_a_file_holds_what_a_run_config_has_and_no_more():
    made = json.loads(json.dumps(MADE.to_dict()))
    assert made.keys() == RunConfig().to_dict().keys()
    assert list(made)[:2] == ["engine", "task"] and made["train"]["milestones"] == [0.3, 0.6]
    read = RunConfig.from_dict(made)
    assert read.to_dict() == MADE.to_dict() and differences(read, MADE) == {}


def test_channels_height_and_width():
    assert MADE.input_shape == (1, 28, 20)


def test_nothing_that_is_decided_has_a_default():
    with pytest.raises(TypeError):
        ResolvedTrain(epochs=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        MADE.height = 3
