"""What holds for every kind of data set and, from weights to answers, for every network on the list."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import small_data
from convscope.core.bundle import Bundle
from convscope.core.contracts import Dataset, EncodedDataset, Predictor
from convscope.core.decision import Decision
from convscope.data.dataset import Subset
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import open_source
from convscope.inference.load import load, predictor_of
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants
from distinct import A_FAMILY, DISTINCT

KINDS = {
    "fashion_mnist": lambda _: "fashion_mnist",
    "folder": lambda place: small_data.write_folder(place / "data"),
    "csv": lambda place: small_data.write_csv(place / "data"),
    "npz": lambda place: small_data.write_npz(place / "data.npz"),
    "idx": lambda place: small_data.write_idx(place / "data"),
    "parquet": lambda place: small_data.write_parquet(place / "data"),
}


@pytest.fixture(scope="module", params=[*KINDS, "subset of fashion_mnist", "subset of folder"])
def dataset(request, tmp_path_factory):
    kind = request.param.rpartition(" ")[2]
    opened = open_source(KINDS[kind](tmp_path_factory.mktemp(kind))).open("train")
    return (
        Subset(opened, np.arange(len(opened))[::-3].copy()) if request.param.startswith("subset") else opened
    )


def test_a_data_set_is_images_with_labels(dataset):
    assert isinstance(dataset, Dataset) and len(dataset) == len(dataset.labels) > 0
    assert isinstance(dataset.classes, tuple) and len(set(dataset.classes)) == len(dataset.classes)
    assert dataset.labels.dtype == np.int64 and set(np.unique(dataset.labels)) <= set(
        range(len(dataset.classes))
    )
    for index in (0, len(dataset) // 2, len(dataset) - 1):
        image, label = dataset[index]
        assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (1, 3)
        assert type(label) is int and label == dataset.labels[index]
        assert np.array_equal(dataset[index][0], image)


def test_names_are_its_own_and_no_image_has_two(dataset):
    names = [dataset.name(index) for index in range(len(dataset))]
    assert len(set(names)) == len(names) and all(isinstance(name, str) and name for name in names)


def test_what_lies_encoded_gives_its_bytes(dataset):
    if not isinstance(dataset, EncodedDataset):
        pytest.skip("these images lie in an array")
    assert Preprocess(3, 12, 12).prepare(dataset.encoded(1)).tobytes() == dataset[1][0].tobytes()


def test_the_fingerprint_stays_while_the_images_do(dataset):
    assert dataset.fingerprint() == dataset.fingerprint() and len(dataset.fingerprint()) == 64


def trained(name, channels=1):
    """A network whose batch norms have seen data, with an answer that depends on the image."""
    torch.manual_seed(0)
    net = create(name, input_shape=(channels, 28, 28), classes=3)
    net.train()(torch.randn(4, channels, 28, 28))
    return net.eval()


def images(channels=1, count=5):
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, channels), np.uint8)


# Colour changes the first layer alone; a hundred million weights take seconds to write.
COLOURED = [name for name in A_FAMILY if variants[name].spec.parameters < 20e6]


@pytest.mark.parametrize(
    ("name", "channels"), [*((name, 1) for name in DISTINCT), *((name, 3) for name in COLOURED)]
)
def test_a_bundle_gives_back_the_network_bit_for_bit(name, channels, tmp_path):
    net = trained(name, channels)
    preprocess = Preprocess(channels, 28, 28, "crop", (0.3,) * channels, (0.7,) * channels)
    predictor = TorchPredictor(net, preprocess, small_data.CLASSES)
    assert isinstance(predictor, Predictor) and predictor.classes == small_data.CLASSES
    expected = predictor.predict(images(channels))
    assert expected.dtype == np.float32 and expected.shape == (5, 3) and len(np.unique(expected)) > 3
    bundle = Bundle(
        weights={key: value.contiguous().numpy() for key, value in net.state_dict().items()},
        model=net.spec.to_dict(),
        preprocess=preprocess.to_dict(),
        classes=small_data.CLASSES,
        decision=Decision(1.7),
    )
    back = load(bundle.save(tmp_path / "bundle.safetensors"), device="cpu")
    assert np.array_equal(back.predict(images(channels)), expected)
    assert back.decision == Decision(1.7) and back.predictor.network.spec == net.spec
    if name == "small_cnn":  # the other way to the same classifier
        again = predictor_of(Bundle.load(tmp_path), device="cpu")
        assert np.array_equal(again.predict(images(channels)), expected)


@pytest.mark.parametrize("name", DISTINCT)
def test_the_answer_for_an_image_does_not_depend_on_its_neighbours(name):
    predictor = TorchPredictor(trained(name), Preprocess(1, 28, 28), small_data.CLASSES)
    three = images(count=3)
    alone = np.concatenate([predictor.predict(three[i : i + 1]) for i in range(3)])
    # Other batch sizes take other kernels, whose sums run in another order: float32 keeps 7 digits.
    np.testing.assert_allclose(alone, predictor.predict(three), rtol=1e-3, atol=1e-4)
