"""Data sets by name: the bundled one, and those fetched from a mirror on disk and read out of archives."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from convscope.core.errors import Failure, UserError
from convscope.data.sources import published
from convscope.data.sources.published import (
    FASHION_MNIST_CLASSES,
    PUBLISHED,
    fashion_mnist,
    published_source,
    read_cifar,
)


def idx(array: np.ndarray) -> bytes:
    dims = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + dims + array.tobytes())


def mnist_files() -> dict[str, bytes]:
    files = {}
    for prefix, count in (("train", 20), ("t10k", 10)):
        files[f"{prefix}-images-idx3-ubyte.gz"] = idx(np.full((count, 28, 28), count, np.uint8))
        files[f"{prefix}-labels-idx1-ubyte.gz"] = idx((np.arange(count) % 10).astype(np.uint8))
    return files


def cifar_files(name: str) -> dict[str, bytes]:
    entry = PUBLISHED[name]
    record = bytes([1] * entry.label_bytes) + bytes(3072)
    members = {m: record * 2 for split in entry.members.values() for m in split} | {
        entry.names: b"apple\nbear\n"
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for member, content in members.items():
            info = tarfile.TarInfo(f"folder/{member}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return {next(iter(entry.files)): buffer.getvalue()}


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Puts small sets of the same layout behind $CONVSCOPE_MIRROR, and their MD5 in the place of the real
    ones.
    """
    folder = tmp_path / "mirror"
    folder.mkdir()
    entries = {}
    for name in PUBLISHED:
        files = mnist_files() if name == "mnist" else cifar_files(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        sums = {
            file: hashlib.md5(content, usedforsecurity=False).hexdigest() for file, content in files.items()
        }
        entries[name] = replace(PUBLISHED[name], files=sums, mirrors=())
    monkeypatch.setattr(published, "PUBLISHED", entries)
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CONVSCOPE_MIRROR", folder.as_uri())
    return folder


@pytest.mark.parametrize(
    ("name", "shape", "counts", "classes"),
    [
        ("mnist", (28, 28, 1), (20, 10), 10),
        ("cifar10", (32, 32, 3), (10, 2), 2),
        ("cifar100", (32, 32, 3), (2, 2), 2),
    ],
)
def test_each_set_opens_from_its_mirror(mirror, name, shape, counts, classes):
    source = published_source(name)
    assert source.split_names == ("train", "test")
    assert not source.location.exists()
    for split, count in zip(source.split_names, counts, strict=True):
        opened = source.open(split)
        assert opened.images.shape == (count, *shape)
        assert len(opened.classes) == classes
    assert len(source.fingerprint()) == 64


def test_of_mnist_only_the_opened_split_is_fetched(mirror):
    source = published_source("mnist")
    source.open("train")
    assert sorted(p.name for p in source.location.iterdir()) == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]
    source.open("test")
    assert len(list(source.location.iterdir())) == 4


def test_the_second_time_nothing_is_fetched(mirror, monkeypatch):
    source = published_source("cifar10")
    source.open("train")
    monkeypatch.setattr(published, "download", lambda *a, **k: pytest.fail("fetched again"))
    source.open("train")
    source.open("test")


def test_progress_is_passed_on(mirror):
    seen = []
    published_source("cifar10", progress=lambda *a: seen.append(a)).open("train")
    assert {what for what, *_ in seen} == {"download"}


def test_a_wrong_file_that_a_person_put_there_is_named_and_kept(mirror):
    source = published_source("cifar10")
    source.location.mkdir(parents=True)
    path = source.location / "cifar-10-binary.tar.gz"
    path.write_bytes(b"mine")
    md5 = hashlib.md5(b"mine", usedforsecurity=False).hexdigest()
    expected = published.PUBLISHED["cifar10"].files[path.name]
    with pytest.raises(UserError, match=rf"{re.escape(str(path))} has MD5 {md5}, expected {expected}"):
        source.open("train")
    assert path.read_bytes() == b"mine"


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_without_a_network_one_line_says_which_file_to_put_where(mirror, tmp_path, monkeypatch, name):
    monkeypatch.setenv("CONVSCOPE_MIRROR", "http://127.0.0.1:9/")
    with pytest.raises(Failure) as caught:
        published_source(name).open("train")
    message = str(caught.value)
    first = next(iter(PUBLISHED[name].files))
    assert "\n" not in message
    assert f"put it at {tmp_path / 'cache' / name / first}" in message
    assert all(file in message for file in PUBLISHED[name].files)
    assert "fashion_mnist, which is bundled and needs no network" in message


def test_a_file_put_there_by_hand_is_taken(mirror, monkeypatch):
    monkeypatch.setenv("CONVSCOPE_MIRROR", "http://127.0.0.1:9/")
    source = published_source("cifar10")
    source.location.mkdir(parents=True)
    (source.location / "cifar-10-binary.tar.gz").write_bytes((mirror / "cifar-10-binary.tar.gz").read_bytes())
    assert len(source.open("train")) == 10


def test_our_own_mirror_goes_first_and_the_others_follow(monkeypatch, tmp_path):
    asked: list[str] = []

    def note(urls, target, **_):
        asked.extend(urls)
        raise Failure("no")

    monkeypatch.setattr(published, "download", note)
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path))
    monkeypatch.setenv("CONVSCOPE_MIRROR", "http://mirror.example/sets")
    with pytest.raises(Failure):
        published_source("cifar100").open("train")
    assert asked[0] == "http://mirror.example/sets/cifar-100-binary.tar.gz"
    assert asked[1] == "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    assert len(asked) == 1 + len(PUBLISHED["cifar100"].mirrors)


def test_every_entry_has_mirrors_and_checksums():
    for name, entry in PUBLISHED.items():
        assert len(entry.mirrors) >= 2, name
        assert all(m.endswith("/") for m in entry.mirrors)
        assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in entry.files.values())
        assert set(entry.members) == {"train", "test"}


def test_fingerprints_tell_the_sets_apart_without_fetching(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVSCOPE_CACHE", str(tmp_path / "cache"))
    assert len({published_source(name).fingerprint() for name in PUBLISHED}) == 3
    assert not (tmp_path / "cache").exists()


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
        assert opened.classes == FASHION_MNIST_CLASSES
        assert np.bincount(opened.labels).tolist() == [count // 10] * 10


def test_the_first_image_is_an_ankle_boot():
    train = fashion_mnist().open("train")
    assert train.classes[train[0][1]] == "Ankle boot"
