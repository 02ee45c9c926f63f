"""CIFAR-10 and CIFAR-100 out of their binary archives: records of label bytes and 3072 pixels, red, green,
blue planes.

A. Krizhevsky, Learning multiple layers of features from tiny images, 2009. The archives in Python's own
format are pickles, which run code when read; these are bytes.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset

_PIXELS = 3 * 32 * 32


def read_cifar(
    archive: Path, members: Sequence[str], *, names: str, label_bytes: int, prefix: str
) -> ArrayDataset:
    """The images of the archive's files `members`, with the class names in its file `names`.

    The last of a record's `label_bytes` is the label (CIFAR-100 puts the coarse one before it). Files are
    read out of the archive where they are; nothing is unpacked to disk.
    """
    content = _members(archive, {*members, names})
    records = [np.frombuffer(content[member], np.uint8) for member in members]
    width = label_bytes + _PIXELS
    if any(record.size % width or not record.size for record in records):
        raise UserError(
            f"{archive}: a file inside is not made of records of {width} bytes; fetch the archive again"
        )
    table = np.concatenate(records).reshape(-1, width)
    images = np.ascontiguousarray(table[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    classes = tuple(content[names].decode("ascii").split())
    return ArrayDataset(images, table[:, label_bytes - 1].astype(np.int64), classes, prefix)


def _members(archive: Path, wanted: set[str]) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    try:
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
