"""NPZ: the names people use, nothing unpickled, and arrays that do not fit."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from convscope.core.errors import UserError
from convscope.data.sources.npz import npz_source

IMAGES = np.arange(4 * 6 * 5 * 3, dtype=np.uint32).astype(np.uint8).reshape(4, 6, 5, 3)
LABELS = np.array([1, 0, 1, 2])


def save(tmp_path, compressed=False, **arrays):
    path = tmp_path / "set.npz"
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("x", "y", "split"),
    [
        ("x_{}", "y_{}", {"train": "train", "validation": "val", "test": "test"}),
        ("x_{}", "y_{}", {"train": "train", "validation": "valid", "test": "test"}),
        ("{}_images", "{}_labels", {"train": "train", "validation": "val", "test": "test"}),
        ("x_{}", "y_{}", {"train": "train", "test": "test"}),
    ],
)
def test_usual_names(tmp_path, x, y, split, compressed):
    arrays = {}
    for shift, word in enumerate(split.values()):
        arrays[x.format(word)], arrays[y.format(word)] = IMAGES + shift, LABELS
    source = npz_source(save(tmp_path, compressed, **arrays))
    assert source.split_names == tuple(split)
    for shift, name in enumerate(split):
        opened = source.open(name)
        assert np.array_equal(opened.images, IMAGES + shift)
        assert opened.labels.tolist() == [1, 0, 1, 2]
        assert opened.classes == ("0", "1", "2")
        assert opened.name(1) == f"{name}#1"


def test_images_and_labels_alone_are_one_train_split(tmp_path):
    source = npz_source(save(tmp_path, images=IMAGES[..., 0], labels=LABELS[:, None]))
    assert source.split_names == ("train",)
    assert source.open("train").images.shape == (4, 6, 5, 1)
    assert (source.name, source.kind) == ("set", "NPZ")


@pytest.mark.parametrize("key", ["classes", "class_names"])
def test_class_names(tmp_path, key):
    names = np.array(["käfer", "a cat", "dog"])
    train = npz_source(save(tmp_path, images=IMAGES, labels=LABELS, **{key: names})).open("train")
    assert train.classes == ("käfer", "a cat", "dog")
    assert train.labels.tolist() == [1, 0, 1, 2]


def test_labels_may_be_names(tmp_path):
    train = npz_source(save(tmp_path, images=IMAGES, labels=np.array(["b", "a", "b", "c"]))).open("train")
    assert train.classes == ("a", "b", "c")
    assert train.labels.tolist() == [1, 0, 1, 2]


def test_numbers_need_not_begin_at_nought(tmp_path):
    train = npz_source(save(tmp_path, images=IMAGES, labels=LABELS * 5 + 1)).open("train")
    assert train.classes == ("1", "6", "11")


def test_a_label_beyond_the_names(tmp_path):
    path = save(tmp_path, images=IMAGES, labels=LABELS, classes=np.array(["a", "b"]))
    with pytest.raises(UserError, match=r"set\.npz: label 2"):
        npz_source(path).open("train")


def test_a_label_that_training_does_not_have(tmp_path):
    path = save(tmp_path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS + 1)
    with pytest.raises(UserError, match="label '3' is none of the 3 classes"):
        npz_source(path).open("test")


@pytest.mark.parametrize("which", ["images", "labels", "classes"])
def test_python_objects_are_refused_and_never_unpickled(tmp_path, which):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    arrays = {"images": IMAGES, "labels": LABELS, "classes": np.array(["a", "b", "c"])}
    arrays[which] = np.array([Trap()] * 4, dtype=object)
    path = save(tmp_path, **arrays)
    (tmp_path / "sprung").unlink(missing_ok=True)
    with pytest.raises(UserError, match=r"objects|plain array"):
        npz_source(path).open("train")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(np.float32) / 255, r"is float32; expected uint8.*\* 255"),
        (IMAGES.astype(np.int64), "is int64; expected uint8"),
        (IMAGES.transpose(0, 3, 1, 2), r"N×C×H×W.*transpose\(0, 2, 3, 1\)"),
        (IMAGES[0], "4 labels|images in images|labels of shape"),
        (IMAGES[:, :, 0, 0], "has shape"),
        (np.zeros((4, 5, 5, 7), np.uint8), "has shape"),
        (np.zeros((4, 0, 5, 3), np.uint8), "has shape"),
        (IMAGES[:3], r"3 images in images, but labels of shape \(4,\)"),
    ],
)
def test_images_that_do_not_fit_are_explained(tmp_path, images, message):
    with pytest.raises(UserError, match=message):
        npz_source(save(tmp_path, images=images, labels=LABELS))


def test_other_names_are_listed(tmp_path):
    with pytest.raises(UserError, match="holds arr_0, weights; expected x_train"):
        npz_source(save(tmp_path, arr_0=IMAGES, weights=LABELS))


def test_a_test_split_alone_is_not_enough(tmp_path):
    with pytest.raises(UserError, match="expected x_train"):
        npz_source(save(tmp_path, x_test=IMAGES, y_test=LABELS))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\3\4broken"])
def test_a_damaged_file(tmp_path, content):
    path = tmp_path / "set.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not a whole \.npz"):
        npz_source(path)


def test_a_truncated_file(tmp_path):
    path = save(tmp_path, images=IMAGES, labels=LABELS)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"not a whole \.npz"):
        npz_source(path)


def test_a_member_whose_checksum_is_wrong(tmp_path):
    path = save(tmp_path, images=np.tile(IMAGES, (1, 50, 1, 1)), labels=LABELS)
    content = bytearray(path.read_bytes())
    content[10_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="images cannot be read"):
        npz_source(path).open("train")


def test_a_header_that_promises_a_terabyte_allocates_nothing(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000, 1)}
    )
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + b"\0" * 100)
        archive.writestr("labels.npy", header.getvalue())
    tracemalloc.start()
    with pytest.raises(UserError, match=r"promises 1,000,000,000,000 bytes and holds 100"):
        npz_source(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_the_fingerprint_follows_the_bytes(tmp_path):
    first = npz_source(save(tmp_path, images=IMAGES, labels=LABELS)).fingerprint()
    other = npz_source(save(tmp_path, images=IMAGES + 1, labels=LABELS)).fingerprint()
    assert first != other
