from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    TransferConfig,
)
from convscope.core.errors import UserError
from convscope.core.settings import differences, flat, parse_settings

KEYS = [key for key in flat(RunConfig().to_dict()) if key != "model.options"]


def test_there_and_back_through_json():
    made = RunConfig.from_dict({"model": {"options": {"widths": [1, 2]}}, "train": {"lr": 0.3}, "seed": 4})
    assert RunConfig.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert RunConfig.from_dict({}) == RunConfig() and differences(made, made) == {}


def test_every_default_is_valid_as_it_stands():
    for key, value in flat(RunConfig().to_dict()).items():
        section, _, name = key.rpartition(".")
        RunConfig.from_dict({section: {name: value}} if section else {name: value})


FREE_TEXT = (
    "engine",
    "task",
    "data.source",
    "model.name",
    "augment.policy",
    "transfer.pretrained",
    "transfer.weights_fingerprint",
)


@pytest.mark.slow
@pytest.mark.parametrize("key", [k for k in KEYS if k not in FREE_TEXT])
def test_a_wrong_type_names_the_key_and_what_was_given(key):
    section, _, name = key.rpartition(".")
    with pytest.raises(UserError) as caught:
        RunConfig.from_dict({section: {name: "wrong"}} if section else {name: "wrong"})
    assert str(caught.value).startswith(f"{key} was given 'wrong'; it must be ") and "\n" not in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.lr=0", "train.lr was given 0; it must be greater than 0"),
        ("train.lr=inf", "train.lr was given inf; it must be a finite number"),
        ("train.lr=nan", "train.lr was given nan"),
        ("train.ema=1", "train.ema was given 1; it must be less than 1"),
        ("data.size=4", "data.size was given 4; it must be greater than or equal to 8"),
        ("data.channels=4", "data.channels was given 4; it must be 1 or 3"),
        ("train.optimizer=sdg", 'train.optimizer was given \'sdg\'; it must be "sgd", "adam" or "adamw"'),
        ("train.epoch=3", "no configuration key 'train.epoch'; did you mean 'train.epochs'"),
        ("epochs=3", "no configuration key 'epochs'; did you mean 'train.epochs'"),
        ("tarin.lr=3", "no configuration key 'tarin'; did you mean 'train'"),
        (
            "zzz=3",
            "no configuration key 'zzz'; allowed: data, model, transfer, augment, train, decision, "
            "engine, task, seed",
        ),
        ("train=3", "train is a section and was given 3; set a key in it, such as train.epochs"),
        ("model.options=3", "model.options was given 3"),
        ("seed.x=3", "seed was given"),
        ("train.lr.x=3", "train.lr was given"),
        ("seed=-1", "seed was given -1"),
    ],
)
def test_what_is_wrong_is_said(setting, message):
    with pytest.raises(UserError) as caught:
        RunConfig().merge(parse_settings([setting]))
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
@settings(deadline=None, max_examples=40)
@given(
    value=st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.just({})
    )
)
def test_whatever_the_value_it_is_taken_or_refused_in_words(key, value):
    section, _, name = key.rpartition(".")
    try:
        made = RunConfig().merge({section: {name: value}} if section else {name: value})
    except UserError:
        return
    json.dumps(made.to_dict(), allow_nan=False)


def test_merging_keeps_what_is_not_named():
    base = RunConfig.from_dict({"train": {"lr": 0.3}, "model": {"options": {"a": 1}}})
    made = base.merge({"train": {"epochs": 2}, "model": {"options": {"b": 2}}})
    assert (made.train.lr, made.train.epochs, made.model.options) == (0.3, 2, {"a": 1, "b": 2})
    assert base.train.epochs == TrainConfig().epochs


def test_configurations_are_frozen_and_documented():
    for cls in (DataConfig, ModelConfig, TransferConfig, AugmentConfig, TrainConfig, RunConfig):
        assert cls.__doc__
        with pytest.raises(dataclasses.FrozenInstanceError):
            cls().seed = 3
