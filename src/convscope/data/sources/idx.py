"""IDX, the format of MNIST: a big-endian header of type and dimensions, then the values, often gzipped.

Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, 1998, "File formats for MNIST".
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.data.class_labels import class_indices, class_names
from convscope.data.dataset import ArrayDataset
from convscope.data.sources.origin import Source, hash_of_files

# Without 0x0D and 0x0E, float and double: pixels and labels are whole numbers.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4"}
_FILE = re.compile(
    r"(?:.*[-_])?(train|t10k|test|val|validation)[-_](images|labels)[-.]idx\d-\w+?(\.gz)?", re.IGNORECASE
)
_SPLIT = {"train": "train", "t10k": "test", "test": "test", "val": "validation", "validation": "validation"}
_CHUNK = 1 << 24

# Deflate cannot shrink data further than this (zlib's technical notes), so a header that says more is lying.
_DEFLATE_LIMIT = 1040

Pairs = Mapping[str, Mapping[str, Path]]


def find_idx(folder: Path) -> dict[str, dict[str, Path]]:
    """The IDX files of a folder, {"train": {"images": …, "labels": …}, …}; a plain file goes before a .gz."""
    pairs: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        # Names of copies vary: emnist-letters-train-images-idx3-ubyte, train-images.idx3-ubyte.
        match = _FILE.fullmatch(path.name)
        if match and path.is_file():
            # The first of sorted names stays: "x" comes before "x.gz".
            pairs.setdefault(_SPLIT[match[1].lower()], {}).setdefault(match[2].lower(), path)
    return pairs


def idx_source(pairs: Pairs, *, name: str, location: Path, classes: tuple[str, ...] = ()) -> Source:
    """A source over IDX files.

    Args:
        pairs: the files, as `find_idx` gives them.
        name: what the source is called.
        location: the folder, for errors.
        classes: the class names; the distinct labels of the training split where there are none.

    Raises:
        UserError: a split has images without labels, or the other way, or there is no train split.
    """
    for split, parts in pairs.items():
        missing = {"images", "labels"} - set(parts)
        if missing:
            has = next(iter(parts.values())).name
            raise UserError(
                f"{location} has {has} but no IDX {missing.pop()} file for the {split} split; put it beside"
            )
    if "train" not in pairs:
        raise UserError(
            f"{location} has no IDX files for training; expected train-images-idx3-ubyte[.gz] and labels"
        )
    return Source(
        name=name,
        location=location,
        splits={split: partial(_open, pairs, split, classes) for split in pairs},
        compute_fingerprint=lambda: hash_of_files(
            path for parts in pairs.values() for path in parts.values()
        ),
        kind="IDX files",
    )


def read_idx(path: Path) -> NDArray[Any]:
    """The array in an IDX file, gzipped or not; a UserError where header and contents disagree.

    Nothing is allocated because the header says so: the values are counted first, or as they arrive.
    """
    try:
        with gzip.open(path, "rb") if _is_gzip(path) else path.open("rb") as file:
            return _read(file, path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path} is a damaged or truncated gzip file ({error}); fetch it again") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        # By its first bytes (RFC 1952, section 2.3.1): some downloads unpack a .gz and keep its name.
        return file.read(2) == b"\x1f\x8b"


def _read(file: Any, path: Path) -> NDArray[Any]:
    head = file.read(4)
    # Two zero bytes, the type, the number of dimensions.
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not 1 <= head[3] <= 4:
        raise UserError(
            f"{path} is not an IDX file of whole numbers: it begins with {head.hex() or 'nothing'}"
        )
    header = file.read(4 * head[3])
    if len(header) < 4 * head[3]:
        raise UserError(f"{path} ends inside its IDX header; fetch it again")
    shape = struct.unpack(f">{head[3]}I", header)
    dtype = np.dtype(_TYPES[head[2]])
    size = prod(shape) * dtype.itemsize
    if size > path.stat().st_size * _DEFLATE_LIMIT:
        raise UserError(
            f"{path}: the IDX header promises {shape}, {size:,} bytes, more than the file can hold"
        )
    # One byte more than promised, to notice a file that goes on.
    values = _at_most(file, size + 1)
    if len(values) != size:
        held = f"{len(values):,}" if len(values) < size else "more"
        raise UserError(f"{path}: the IDX header promises {shape}, {size:,} bytes, and the file holds {held}")
    return np.frombuffer(values, dtype).reshape(shape)


def _at_most(file: BinaryIO, size: int) -> bytearray:
    values = bytearray()
    while len(values) < size and (chunk := file.read(min(_CHUNK, size - len(values)))):
        values += chunk
    return values


def _open(pairs: Pairs, split: str, classes: tuple[str, ...]) -> Dataset:
    numbered = bool(classes)
    # Of the training labels, for every split: digits may be missing in a small test split.
    classes = classes or class_names(read_idx(pairs["train"]["labels"]))
    return open_idx(pairs[split], split, classes=classes, numbered=numbered)


def open_idx(
    parts: Mapping[str, Path], prefix: str, *, classes: tuple[str, ...], numbered: bool = True
) -> Dataset:
    """The images and labels of one split.

    Args:
        parts: its two files, "images" and "labels".
        prefix: begins the name of each image.
        classes: the K class names.
        numbered: a label is an index into `classes`, otherwise a name.
    """
    images, labels = read_idx(parts["images"]), read_idx(parts["labels"])
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
        raise UserError(
            f"{parts['images']} must hold bytes N×H×W or N×H×W×C; got {images.dtype} of {images.shape}"
        )
    if labels.ndim != 1 or len(labels) != len(images):
        raise UserError(
            f"{parts['labels']} holds {labels.shape} labels for {len(images)} images; one each is needed"
        )
    indices = class_indices(labels, classes, numbered=numbered, where=str(parts["labels"]))
    return ArrayDataset(images.reshape(*images.shape[:3], -1), indices, classes, prefix)
