from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

import small_data
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset
from convscope.data.source import NAMES, open_source
from convscope.training.defaults import choose_defaults, inspect_images, settle


def array(height, width, channels):
    return ArrayDataset(np.zeros((3, height, width, channels), np.uint8), np.array([0, 1, 0]), ("a", "b"))


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
def test_the_images_decide(size, expected):
    choice = choose_defaults(RunConfig(), array(*size))
    assert (choice.model, choice.height, choice.width, choice.channels) == expected
    assert choice.model in choice.reason and "--model" in choice.reason


def test_what_is_said_goes_before_what_is_seen():
    config = RunConfig.from_dict({"data": {"size": 96, "channels": 1}, "model": {"name": "lenet5"}})
    choice = choose_defaults(config, array(28, 28, 3))
    assert (choice.model, choice.height, choice.width, choice.channels) == ("lenet5", 96, 96, 1)


def test_files_of_several_sizes_are_photographs(tmp_path):
    folder = small_data.write_folder(tmp_path / "data", channels=1)
    assert inspect_images(open_source(folder).open("train")) == ({(12, 12)}, True)
    Image.new("RGB", (30, 20)).save(folder / "ant" / "000.png")
    sizes, grey = inspect_images(open_source(folder).open("train"))
    assert sizes == {(12, 12), (20, 30)} and not grey
    assert choose_defaults(RunConfig(), open_source(folder).open("train")).model == "squeezenet1_0"


def test_broken_files_are_passed_over_until_nothing_is_left(tmp_path):
    folder = small_data.write_folder(tmp_path / "data", count=6)
    files = sorted(folder.rglob("*.png"))
    for file in files[1:]:
        file.write_bytes(b"broken")
    assert inspect_images(open_source(folder).open("train")) == ({(12, 12)}, False)
    files[0].write_bytes(b"")
    with pytest.raises(
        UserError, match="none of 6 images tried can be opened; look at them with: convscope scan"
    ):
        inspect_images(open_source(folder).open("train"))


def test_what_the_data_decided_is_written_down(npz, tmp_path, monkeypatch):
    source = open_source(npz)
    config = RunConfig().merge({"data": {"source": str(npz)}})
    made = settle(config, choose_defaults(config, source.open("train")), source)
    assert (made.model.name, made.train.batch_size, made.augment.flip, made.data.channels) == (
        "small_cnn",
        128,
        True,
        1,
    )
    monkeypatch.chdir(npz.parent)
    near = config.merge({"data": {"source": npz.name}})
    assert settle(near, choose_defaults(near, source.open("train")), source) == made, (
        "a path means the same from everywhere"
    )


@pytest.mark.parametrize(
    ("wish", "mirrors", "flip"), [(None, True, True), (None, False, False), (True, False, True)]
)
def test_digits_are_not_mirrored_unless_asked_for(npz, wish, mirrors, flip):
    source = dataclasses.replace(open_source(npz), mirrors=mirrors)
    config = RunConfig().merge({"data": {"source": str(npz)}, "augment": {"flip": wish}})
    assert settle(config, choose_defaults(config, source.open("train")), source).augment.flip is flip


def test_mnist_is_the_set_that_is_not_mirrored():
    assert [name for name in NAMES if not open_source(name).mirrors] == ["mnist"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "rate"), [("small_cnn", 0.1), ("vgg11_bn", 0.1), ("vgg11", 0.01), ("alexnet", 0.01)]
)
def test_a_network_without_batch_norm_starts_at_a_lower_rate(model, rate):
    source = open_source("fashion_mnist")
    config = RunConfig.from_dict({"model": {"name": model}})
    choice = choose_defaults(config, source.open("train"))
    assert settle(config, choice, source).train.lr == rate
    assert settle(config.merge({"train": {"lr": 0.3}}), choice, source).train.lr == 0.3
