from __future__ import annotations

import numpy as np
import pytest
import torch

import small_data
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.augmentation.mix import mix
from convscope.data.pytorch.augmentation.policies import policy
from convscope.data.pytorch.loader import Loader
from convscope.data.targets import Targets, with_targets


def part(count=50, channels=1):
    images, labels = small_data.pictures(count, channels=channels)
    return prepare_split(ArrayDataset(images, labels, small_data.CLASSES), Preprocess(channels, 12, 12))


def loader(source: PreparedSplit, **kwargs):
    c = source.whole.images.shape[3]
    made = {"batch_size": 8, "augment": policy("none"), "mean": (0.4,) * c, "std": (0.2,) * c, "seed": 3}
    return Loader(split=source, **made | kwargs)


def one_hot(targets):
    return torch.nn.functional.one_hot(targets, 3).float()


def pixels(x):
    return (((x * 0.2) + 0.4) * 255).round().to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_once_an_epoch_with_its_label(channels):
    source = part(48, channels)
    seen = list(loader(source).epoch(0))
    x, y = torch.cat([b[0] for b in seen]), torch.cat([b[1] for b in seen])
    assert x.shape == (48, channels, 12, 12) and x.dtype == torch.float32 and y.dtype == torch.int64
    found = {
        image.permute(1, 2, 0).numpy().tobytes(): int(label)
        for image, label in zip(pixels(x), y, strict=True)
    }
    own = {i.tobytes(): int(k) for i, k in zip(source.whole.images, source.whole.targets, strict=True)}
    assert found == own


def test_batches_are_channels_last_and_the_last_is_left_out():
    batches = list(loader(part(50)).epoch(0))
    assert len(batches) == len(loader(part(50))) == 6
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x, _ in batches)
    left_out = [set(loader(part(50)).order(epoch)[48:].tolist()) for epoch in range(3)]
    assert left_out[0] != left_out[1] != left_out[2]


@pytest.mark.parametrize(
    "kwargs", [{}, {"mix": mix("both"), "mixable": one_hot}, {"weights": np.arange(1.0, 51.0)}]
)
def test_any_batch_can_be_made_again_without_those_before_it(kwargs):
    made = loader(part(), augment=policy("strong"), **kwargs)
    whole = list(made.epoch(2))
    for start in (0, 1, 5):
        for (x, y), (again_x, again_y) in zip(whole[start:], made.epoch(2, start=start), strict=True):
            assert torch.equal(x, again_x) and torch.equal(y, again_y)
    assert list(made.epoch(2, start=6)) == []


def test_seed_and_epoch_decide():
    def order(seed, epoch):
        return loader(part(), seed=seed).order(epoch).tolist()

    assert order(0, 0) == order(0, 0) and sorted(order(0, 0)) == list(range(50))
    assert order(0, 0) != order(0, 1) and order(0, 0) != order(1, 0)


def test_the_sampler_draws_by_weight():
    weights = np.where(np.arange(50) < 5, 9.0, 0.0)
    assert set(loader(part(), weights=weights).order(0).tolist()) == {0, 1, 2, 3, 4}


def test_augmentation_gets_bytes_and_leaves_the_images_alone():
    source, seen = part(16), []
    before = source.whole.images.copy()

    def augment(x, rng):
        seen.append((x.dtype, x.shape))
        x.zero_()
        return x

    x, _ = next(loader(source, augment=augment).epoch(0))
    assert seen == [(torch.uint8, (8, 1, 12, 12))] and np.array_equal(source.whole.images, before)
    torch.testing.assert_close(x, torch.full_like(x, -2.0))


def test_mixing_gives_fractions_of_classes():
    x, y = next(loader(part(), mix=mix("mixup"), mixable=one_hot).epoch(0))
    assert y.shape == (8, 3) and torch.allclose(y.sum(1), torch.ones(8)) and x.dtype == torch.float32


def colours(count=24):
    """Images whose targets are three numbers, in double precision as NumPy makes them."""
    images, labels = small_data.pictures(count, channels=3)
    values = images.mean(axis=(1, 2)) / 255
    targets = Targets(values, ("red", "green", "blue"), np.zeros(count, np.int64))
    whole = with_targets(ArrayDataset(images, labels, small_data.CLASSES), targets)
    return prepare_split(whole, Preprocess(3, 12, 12)), values


def test_targets_may_be_numbers():
    split, values = colours()
    seen = list(loader(split).epoch(0))
    y = torch.cat([targets for _, targets in seen])
    assert y.shape == (24, 3) and y.dtype == torch.float32
    np.testing.assert_allclose(y.numpy(), values[loader(split).order(0)], rtol=1e-6)


def test_numbers_are_mixed_as_they_are():
    split, values = colours()
    x, y = next(loader(split, mix=mix("mixup")).epoch(0))
    assert x.shape == (8, 3, 12, 12) and y.dtype == torch.float32
    assert (y.numpy() >= values.min(0) - 1e-6).all() and (y.numpy() <= values.max(0) + 1e-6).all()


def test_class_indices_are_not_blended_as_numbers():
    with pytest.raises(ValueError, match="give mixable beside mix"):
        loader(part(), mix=mix("mixup"))


def test_the_type_that_is_asked_for():
    assert next(loader(part(), dtype=torch.bfloat16).epoch(0))[0].dtype == torch.bfloat16


def test_fewer_images_than_a_batch():
    made = loader(part(5), batch_size=5)
    assert len(made) == 1 and len(next(made.epoch(0))[1]) == 5
