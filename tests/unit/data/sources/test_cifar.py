"""CIFAR's binary archives: planes to channels, labels, and archives that are not what they say."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from convscope.core.errors import UserError
from convscope.data.sources.cifar import read_cifar


def archive(path, members: dict[str, bytes], folder="cifar-x/", links=()):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(folder + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(folder + name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return path


def records(images: np.ndarray, *labels: np.ndarray) -> bytes:
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([*(label[:, None].astype(np.uint8) for label in labels), planes], 1).tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
LABELS = np.array([0, 1, 2, 2, 1, 0])
NAMES = b"aeroplane\ncat\ndog\n\n"


@pytest.mark.parametrize("label_bytes", [1, 2])
@pytest.mark.parametrize("folder", ["cifar-10-batches-bin/", "", "./deep/er/"])
def test_pixels_and_labels_come_back(tmp_path, label_bytes, folder):
    coarse = [np.full(6, 9)] * (label_bytes - 1)
    content = records(IMAGES, *coarse, LABELS)
    width = len(content) // 6
    path = archive(
        tmp_path / "c.tar.gz",
        {"b": content[3 * width :], "a": content[: 3 * width], "names.txt": NAMES},
        folder,
    )
    found = read_cifar(path, ["a", "b"], names="names.txt", label_bytes=label_bytes, prefix="train")
    assert np.array_equal(found.images, IMAGES)
    assert found.images.flags.c_contiguous
    assert found.labels.tolist() == LABELS.tolist()
    assert found.classes == ("aeroplane", "cat", "dog")
    assert found.name(2) == "train#2"


def test_planes_lie_as_the_publisher_describes_them(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)
    content = np.concatenate([np.arange(4, dtype=np.uint8)[:, None], rows], 1).tobytes()
    path = archive(tmp_path / "c.tar.gz", {"a": content, "names.txt": b"a b c d"})
    # 1024 red values, then green, then blue, each row by row of 32.
    expected = [rows[2, plane * 1024 + 5 * 32 + 7] for plane in range(3)]
    assert read(path).images[2, 5, 7].tolist() == expected


def read(path):
    return read_cifar(path, ["a"], names="names.txt", label_bytes=1, prefix="train")


def test_a_member_that_is_missing_is_named(tmp_path):
    with pytest.raises(UserError, match=r"holds no a, names\.txt"):
        read(archive(tmp_path / "c.tar.gz", {"z": b""}))


@pytest.mark.parametrize("content", [b"", b"x" * 100, records(IMAGES, LABELS)[:-1]])
def test_a_member_of_another_length(tmp_path, content):
    with pytest.raises(UserError, match="records of 3073 bytes"):
        read(archive(tmp_path / "c.tar.gz", {"a": content, "names.txt": NAMES}))


def test_a_label_beyond_the_names(tmp_path):
    path = archive(tmp_path / "c.tar.gz", {"a": records(IMAGES, LABELS + 1), "names.txt": NAMES})
    with pytest.raises(UserError, match="label 3"):
        read(path)


@pytest.mark.parametrize("cut", [0, 10, 5000])
def test_a_truncated_archive(tmp_path, cut):
    path = archive(tmp_path / "c.tar.gz", {"a": records(IMAGES, LABELS), "names.txt": NAMES})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match="is damaged"):
        read(path)


def test_nothing_is_unpacked_and_links_are_not_followed(tmp_path):
    (tmp_path / "secret").write_bytes(records(IMAGES, LABELS))
    inner = tmp_path / "inner"
    inner.mkdir()
    path = archive(inner / "c.tar.gz", {"names.txt": NAMES}, "../../", [("a", str(tmp_path / "secret"))])
    with pytest.raises(UserError, match="holds no a"):
        read(path)
    assert [p.name for p in inner.iterdir()] == ["c.tar.gz"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["inner", "secret"]
