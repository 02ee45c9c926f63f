from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest
import torch

import photographs
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise
from convscope.models.pytorch.pretrained import build_pretrained, open_pretrained
from convscope.models.pytorch.zoo import create
from convscope.training.pytorch.features import FOLDER, MOST_IMAGES, features_of

SIDE = 72
STATISTICS = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25)}
PREPROCESS = Preprocess(3, SIDE, SIDE, "crop", **STATISTICS)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / FOLDER


@pytest.fixture(scope="module")
def network():
    return build_pretrained(open_pretrained("squeezenet1_0"), input_shape=(3, SIDE, SIDE), classes=3)[0]


@pytest.fixture(scope="module")
def part():
    return photographs.part(7)


def features(network, part, preprocess=PREPROCESS, **words):
    calls = []
    words = {"precision": "float32", "progress": lambda *_: None} | words
    with network.body.register_forward_hook(lambda _body, inputs, _maps: calls.append(len(inputs[0]))):
        return features_of(network, part, preprocess, **words), calls


def by_hand(network, part):
    x = torch.from_numpy(part.take(np.arange(len(part)))).permute(0, 3, 1, 2)
    with torch.no_grad():
        return network.body(normalise(x, **STATISTICS)).mean(dim=(2, 3))


def test_they_are_the_mean_of_each_map(network, part, cache):
    found, calls = features(network, part)
    assert found.shape == (7, 512) and found.dtype == torch.float32 and found.device.type == "cpu"
    torch.testing.assert_close(found, by_hand(network, part), rtol=1e-5, atol=1e-5)
    assert calls == [7]


def test_batches_and_rows_keep_their_order(network, cache):
    """More images than go into one batch, in an order of the part's own."""
    small = create("squeezenet1_1", input_shape=(3, SIDE, SIDE), classes=3)
    whole = photographs.part(MOST_IMAGES + 5)
    rows = np.random.default_rng(0).permutation(len(whole))
    mixed = dataclasses.replace(whole, rows=rows)
    seen = []
    found, calls = features(small, mixed, progress=lambda *step: seen.append(step))
    assert calls == [MOST_IMAGES, 5] and seen == [
        ("features", MOST_IMAGES, len(whole)),
        ("features", len(whole), len(whole)),
    ]
    torch.testing.assert_close(found, by_hand(small, whole)[torch.from_numpy(rows)], rtol=1e-4, atol=1e-5)


def test_training_mode_is_put_back_and_nothing_is_learnt(cache, part):
    network = create("resnet20", input_shape=(3, SIDE, SIDE), classes=3).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found, _ = features(network, part)
    assert all(layer.training for layer in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    torch.testing.assert_close(found, by_hand(network.eval(), part), rtol=1e-4, atol=1e-5)
    assert not found.requires_grad and not found.is_inference(), "a head is trained on them"


def test_the_second_time_they_are_read_bit_for_bit(network, part, cache):
    first, calls = features(network, part)
    again, no_calls = features(network, part)
    assert torch.equal(first, again) and calls == [7] and no_calls == []
    again[0] = 0.0  # a copy, which may be written
    assert torch.equal(features(network, part)[0], first)


def test_labels_and_the_head_change_no_feature(network, part, cache):
    first, _ = features(network, part)
    torch.nn.init.normal_(network.head[-1].weight)
    swapped = dataclasses.replace(part, whole=dataclasses.replace(part.whole, targets=2 - part.whole.targets))
    found, calls = features(network, swapped)
    assert calls == [] and torch.equal(found, first)


def altered(network, change):
    copy = build_pretrained(open_pretrained("squeezenet1_0"), input_shape=(3, SIDE, SIDE), classes=3)[0]
    with torch.no_grad():
        change(copy)
    return copy


def other_pixel(part):
    images = part.whole.images.copy()
    images[6, 36, 36, 2] ^= 1
    return dataclasses.replace(part, whole=dataclasses.replace(part.whole, images=images))


CHANGES = {
    "a pixel": lambda n, p: features(n, other_pixel(p)),
    "an image less": lambda n, p: features(n, dataclasses.replace(p, rows=p.rows[:-1])),
    "the order": lambda n, p: features(n, dataclasses.replace(p, rows=p.rows[::-1].copy())),
    "a weight": lambda n, p: features(
        altered(n, lambda c: c.body.stage3[1].squeeze.weight[0, 0].add_(1e-3)), p
    ),
    "the mean": lambda n, p: features(n, p, dataclasses.replace(PREPROCESS, mean=(0.4, 0.5, 0.601))),
    "the deviation": lambda n, p: features(n, p, dataclasses.replace(PREPROCESS, std=(0.2, 0.3, 0.251))),
    "the number type": lambda n, p: features(n, p, precision="bfloat16"),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_decides_them_makes_them_new(network, part, cache, change):
    first, _ = features(network, part)
    found, calls = CHANGES[change](network, part)
    assert calls and not torch.equal(found, first)
    assert CHANGES[change](network, part)[1] == [], "and those are kept, too"
    assert features(network, part)[1] == []


def test_running_statistics_are_a_part_of_the_weights(cache, part):
    network = create("resnet20", input_shape=(3, SIDE, SIDE), classes=3)
    first, _ = features(network, part)
    network.body.stage3[0].bn2.running_mean += 0.1
    found, calls = features(network, part)
    assert calls and not torch.allclose(found, first)


def test_bfloat16_is_near_and_is_not_float32(network, part, cache):
    exact, _ = features(network, part)
    near, _ = features(network, part, precision="bfloat16")
    assert near.dtype == torch.float32 and not torch.equal(exact, near)
    assert float((near - exact).norm() / exact.norm()) < 0.02


# A cache that cannot be had


def test_a_cache_that_cannot_be_written_costs_time_alone(network, part, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "file"))
    first, calls = features(network, part)
    again, more = features(network, part)
    assert calls == more == [7] and torch.equal(first, again)


def test_a_limit_below_what_they_need_costs_time_alone(network, part, cache, monkeypatch):
    monkeypatch.setenv("CONVSCOPE_CACHE_LIMIT_GB", "1e-6")
    assert features(network, part)[1] == features(network, part)[1] == [7]
    monkeypatch.setenv("CONVSCOPE_CACHE_LIMIT_GB", "many")
    assert features(network, part)[1] == [7]


def test_a_full_disk_costs_time_alone_and_leaves_nothing(network, part, cache, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        first, _ = features(network, part)
    assert [p.name for p in cache.iterdir()] == [".lock"]
    assert features(network, part)[1] == [7] and torch.equal(features(network, part)[0], first)


def test_without_a_home_folder_there_is_no_cache_and_no_error(network, part, monkeypatch):
    for name in ("CONVSCOPE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert features(network, part)[1] == features(network, part)[1] == [7]


@pytest.mark.parametrize("damage", ["cut", "no facts", "nonsense"])
def test_an_entry_that_is_not_whole_is_made_again(network, part, cache, damage):
    first, _ = features(network, part)
    (entry,) = (p for p in cache.iterdir() if p.is_dir())
    if damage == "cut":
        os.truncate(entry / "images.u8", 100)
    elif damage == "no facts":
        (entry / "entry.json").unlink()
    else:
        (entry / "entry.json").write_text('{"shape": "many"}')
    found, calls = features(network, part)
    assert calls == [7] and torch.equal(found, first)
    assert features(network, part)[1] == []


def test_the_longest_unused_make_room(network, part, cache, monkeypatch):
    """One entry takes 7 × 512 numbers of 4 bytes; there is room for one and a half."""
    monkeypatch.setattr("convscope.data.preparing.pixel_cache._in_use", set())
    monkeypatch.setenv("CONVSCOPE_CACHE_LIMIT_GB", str(7 * 512 * 4 * 1.5 / 1e9))
    features(network, part)
    features(network, other_pixel(part))
    assert len([p for p in cache.iterdir() if p.is_dir()]) == 1
    assert features(network, other_pixel(part))[1] == [] and features(network, part)[1] == [7]
