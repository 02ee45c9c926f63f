"""Published sets by name, with a mirror on disk: fetched when opened, checked, and explained without a
network.
"""

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
from convscope.data.sources.published import PUBLISHED, published_source


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
    assert seen


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
