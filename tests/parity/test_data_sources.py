"""Sources beside torchvision's readers of the same files, and the split beside scikit-learn's."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from PIL import Image

from convscope.data.source import open_source
from convscope.data.sources.class_folders import folder_source
from convscope.data.sources.idx import read_idx
from convscope.data.stratified_split import stratified_split
from convscope.models.pytorch.torchvision_cpu import import_torchvision


@pytest.fixture(scope="module")
def datasets():
    import_torchvision()
    from torchvision import datasets

    return datasets


@pytest.mark.parametrize(
    ("shape", "dtype", "code"), [((9,), "u1", 8), ((5, 4, 3), "u1", 8), ((6, 2), "i4", 12)]
)
def test_idx_reads_as_torchvision_does(tmp_path, datasets, shape, dtype, code):
    array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    dims = b"".join(n.to_bytes(4, "big") for n in shape)
    path = tmp_path / "x"
    path.write_bytes(bytes([0, 0, code, len(shape)]) + dims + array.astype(f">{dtype}").tobytes())
    theirs = datasets.mnist.read_sn3_pascalvincent_tensor(str(path), strict=False).numpy()
    assert np.array_equal(read_idx(path), theirs)


def test_class_folders_list_the_files_that_torchvision_lists(tmp_path, datasets):
    rng = np.random.default_rng(0)
    for name in ("dog/a.png", "dog/deep/er/b.PNG", "cat/c.jpg", "cat/a.jpeg", "Owl/z.bmp", "cat/readme.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".txt":
            Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8)).save(path)
        else:
            path.touch()
    theirs = datasets.ImageFolder(str(tmp_path))
    ours = folder_source(tmp_path).open("train")
    their_files = {path.removeprefix(f"{tmp_path}/"): theirs.classes[k] for path, k in theirs.samples}
    assert {ours.name(i): ours.classes[ours.labels[i]] for i in range(len(ours))} == their_files
    for i in range(len(ours)):
        theirs_at = theirs.loader(str(tmp_path / ours.name(i)))
        assert np.array_equal(ours[i][0], np.asarray(theirs_at))


def test_the_bundled_set_is_what_torchvision_reads(tmp_path, datasets):
    source = open_source("fashion_mnist")
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for path in source.location.glob("t10k-*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (raw / name).touch()
    theirs = datasets.FashionMNIST(str(tmp_path), train=False)
    ours = source.open("test")
    assert tuple(theirs.classes) == ours.classes
    assert np.array_equal(theirs.data.numpy(), ours.images[..., 0])
    assert np.array_equal(theirs.targets.numpy(), ours.labels)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_fractions_by_class_are_those_of_scikit_learn(fraction):
    from sklearn.model_selection import StratifiedShuffleSplit

    labels = np.repeat(np.arange(4), [200, 100, 40, 20])
    ours = np.bincount(labels[stratified_split(labels, fraction=fraction, seed=0)[1]])
    split = StratifiedShuffleSplit(1, test_size=fraction, random_state=0)
    theirs = np.bincount(labels[next(split.split(labels, labels))[1]])
    assert np.array_equal(ours, theirs)
