"""The bundled files: theirs by SHA-256, whole, and opened without a network."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from convscope.data.sources.fashion_mnist_bundle import CLASSES, fashion_mnist

# Of the four files as they lie in the package.
SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


@pytest.mark.parametrize("name", sorted(SHA256))
def test_the_files_are_the_official_ones(name):
    content = (fashion_mnist().location / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256[name]


def test_it_comes_with_its_licence():
    assert "MIT" in (fashion_mnist().location / "LICENSE").read_text()


def test_the_official_split_whole():
    source = fashion_mnist()
    assert source.kind == "bundled"
    assert len(source.fingerprint()) == 64
    for split, count in (("train", 60_000), ("test", 10_000)):
        opened = source.open(split)
        assert opened.images.shape == (count, 28, 28, 1)
        assert opened.classes == CLASSES
        assert np.bincount(opened.labels).tolist() == [count // 10] * 10


def test_the_first_image_is_an_ankle_boot():
    train = fashion_mnist().open("train")
    assert train.classes[train[0][1]] == "Ankle boot"
