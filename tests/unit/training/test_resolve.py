from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Silent
from convscope.data.source import NAMES, open_source
from convscope.training.engine import Initialisation
from convscope.training.prepare_run import resolve_run, settings_without_effect
from convscope.training.resolve import ImageSample, describe, inspect_images, resolve


def write(folder, height, width, channels):
    """A data set of 12 images of one size in two classes."""
    images = np.zeros((12, height, width, channels), np.uint8)
    np.savez(folder / "data.npz", images=images, labels=np.arange(12) % 2)
    return str(folder / "data.npz")


def resolved(source, **sections):
    config = RunConfig.from_dict({"data": {"source": str(source)}}).merge(sections)
    return resolve_run(config, observer=Silent())


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((28, 28, 1), ("small_cnn", 28, 28, 1)),
        ((32, 32, 3), ("small_cnn", 32, 32, 3)),
        ((64, 48, 3), ("small_cnn", 64, 48, 3)),
        ((65, 65, 3), ("squeezenet1_0", 227, 227, 3)),
        ((90, 70, 1), ("squeezenet1_0", 227, 227, 1)),
    ],
)
def test_the_images_decide(tmp_path, size, expected):
    run = resolved(write(tmp_path, *size))
    config = run.config
    assert (config.model.name, config.height, config.width, config.data.channels) == expected
    assert config.input_shape == run.spec.input_shape == (expected[3], *expected[1:3])
    reason = describe(config, run.images, run.initialisation)
    assert config.model.name in reason and "--model" in reason


def test_what_is_asked_goes_before_what_is_seen(tmp_path):
    data = {"size": 96, "channels": 1}
    config = resolved(write(tmp_path, 28, 28, 3), data=data, model={"name": "lenet5"}).config
    assert (config.model.name, *config.input_shape) == ("lenet5", 1, 96, 96)


def test_nothing_that_was_asked_is_changed(tmp_path):
    asked = {
        "data": {"size": 40, "channels": 3, "normalise": "symmetric", "validation": 0.3},
        "model": {"name": "lenet5"},
        "transfer": {"mode": "scratch"},
        "augment": {"policy": "strong", "flip": False},
        "train": {"epochs": 3, "batch_size": 5, "lr": 0.7},
    }
    config = RunConfig.from_dict(asked).merge({"data": {"source": write(tmp_path, 28, 28, 1)}})
    assert resolved(config.data.source, **asked).config.to_dict() == config.to_dict()


def test_what_is_resolved_resolves_to_itself(tmp_path):
    run = resolved(write(tmp_path, 28, 28, 1))
    again = resolve_run(RunConfig.from_dict(run.config.to_dict()), observer=Silent())
    assert again.config == run.config


def test_files_of_several_sizes_are_photographs(tmp_path):
    folder = small_data.write_folder(tmp_path / "data", channels=1)
    assert inspect_images(open_source(folder).open("train")) == ImageSample(90, frozenset({(12, 12)}), True)
    Image.new("RGB", (30, 20)).save(folder / "ant" / "000.png")
    images = inspect_images(open_source(folder).open("train"))
    assert images.sizes == {(12, 12), (20, 30)} and not images.grey and not images.small
    assert resolved(folder).config.model.name == "squeezenet1_0"


def test_broken_files_are_passed_over_until_nothing_is_left(tmp_path):
    folder = small_data.write_folder(tmp_path / "data", count=6)
    files = sorted(folder.rglob("*.png"))
    for file in files[1:]:
        file.write_bytes(b"broken")
    assert inspect_images(open_source(folder).open("train")) == ImageSample(6, frozenset({(12, 12)}), False)
    files[0].write_bytes(b"")
    with pytest.raises(
        UserError, match="none of 6 images tried can be opened; look at them with: convscope scan"
    ):
        inspect_images(open_source(folder).open("train"))


def test_what_the_data_decided_is_written_down(npz, monkeypatch):
    made = resolved(npz).config
    assert made.model.name == "small_cnn" and made.data.channels == 1
    assert made.train.batch_size == 128 and made.augment.flip is True and made.augment.policy == "flip"
    assert made.data.validation == 0.1 and made.data.normalise == "statistics"
    monkeypatch.chdir(npz.parent)
    assert resolved(npz.name).config == made, "a path means the same from everywhere"


def test_validation_is_a_tenth_and_no_more_than_2500_images():
    source = open_source("fashion_mnist")
    many = ImageSample(60_000, frozenset({(28, 28)}), grey=True)
    config = resolved("fashion_mnist")
    assert config.images == many and config.config.data.validation == 2500 / 60_000
    few = resolve(
        RunConfig(), dataclasses.replace(many, count=900), Initialisation(), source=source, spec=config.spec
    )
    assert few.data.validation == 0.1


@pytest.mark.parametrize(
    ("wish", "mirrors", "flip"), [(None, True, True), (None, False, False), (True, False, True)]
)
def test_digits_are_not_mirrored_unless_asked_for(npz, wish, mirrors, flip):
    run = resolved(npz)
    source = dataclasses.replace(run.source, mirrors=mirrors)
    config = RunConfig.from_dict({"data": {"source": str(npz)}, "augment": {"flip": wish}})
    made = resolve(config, run.images, Initialisation(), source=source, spec=run.spec)
    assert made.augment.flip is flip


def test_mnist_is_the_set_that_is_not_mirrored():
    assert [name for name in NAMES if not open_source(name).mirrors] == ["mnist"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "rate"), [("small_cnn", 0.1), ("vgg11_bn", 0.1), ("vgg11", 0.01), ("alexnet", 0.01)]
)
def test_a_network_without_batch_norm_starts_at_a_lower_rate(model, rate):
    assert resolved("fashion_mnist", model={"name": model}).config.train.lr == rate
    made = resolved("fashion_mnist", model={"name": model}, train={"lr": 0.3})
    assert made.config.train.lr == 0.3


@pytest.mark.parametrize(
    ("sections", "mode", "idle"),
    [
        ({}, "probe", []),
        ({"augment": {"policy": "none"}}, "probe", []),
        ({"augment": {"policy": "basic"}}, "probe", ["augment.policy"]),
        ({"augment": {"policy": "basic"}}, "scratch", []),
        (
            {"transfer": {"unfreeze_every": 2, "layer_decay": 0.5}},
            "probe",
            ["transfer.layer_decay", "transfer.unfreeze_every"],
        ),
        ({"transfer": {"freeze_norms": False}}, "scratch", ["transfer.freeze_norms"]),
        ({"transfer": {"unfreeze_every": 2, "layer_decay": 0.5, "freeze_norms": False}}, "finetune", []),
    ],
)
def test_settings_that_have_no_effect_are_named(sections, mode, idle):
    assert settings_without_effect(RunConfig.from_dict(sections), mode) == idle


def test_an_unknown_engine_or_task_names_the_right_one(npz):
    with pytest.raises(UserError, match="no engine 'tourch'; did you mean 'torch'"):
        resolved(npz, engine="tourch")
    with pytest.raises(UserError, match="no task 'clasification'; did you mean 'classification'"):
        resolved(npz, task="clasification")
