"""NumPy's .npz: images uint8 N×H×W or N×H×W×C and labels N, by split or whole, perhaps with class names.

Understood names: x_train, y_train, x_test, … (as Keras writes them), train_images, train_labels, val_images,
… and images, labels; `classes` (or class_names) are the names that labels stand for. Nothing in it is ever
unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.data.class_labels import class_indices, class_names
from convscope.data.dataset import ArrayDataset
from convscope.data.sources.origin import Source, hash_of_files

_PREFIXES = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}


def npz_source(path: Path) -> Source:
    """The source over an .npz file; a UserError says which array is missing or of the wrong kind."""
    headers = _headers(path)
    pairs = {split: pair for split in _PREFIXES for pair in _pairs(split) if set(pair) <= set(headers)}
    if "train" not in pairs:
        raise UserError(
            f"{path} holds {', '.join(sorted(headers)) or 'no array'}; expected x_train and y_train "
            "(and _test), or images and labels"
        )
    for images, labels in pairs.values():
        _check(path, images, headers[images], headers[labels])
    return Source(
        name=path.stem,
        location=path,
        splits={split: partial(_open, path, pairs, split) for split in pairs},
        compute_fingerprint=lambda: hash_of_files([path]),
        kind="NPZ",
    )


def _pairs(split: str) -> Iterator[tuple[str, str]]:
    for name in _PREFIXES[split]:
        yield from ((f"x_{name}", f"y_{name}"), (f"{name}_images", f"{name}_labels"))
    if split == "train":
        yield "images", "labels"


def _headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename.removesuffix(".npy"): _header(archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is not a whole .npz file ({error}); write it with numpy.savez_compressed"
        ) from None


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any]]:
    # Only the header of each array is read: a file of gigabytes is refused in milliseconds.
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
        size = prod(shape) * dtype.itemsize
        # A header that promises more than the archive holds would allocate it first.
        if not dtype.hasobject and size != info.file_size - file.tell():
            raise ValueError(
                f"{info.filename} promises {size:,} bytes and holds {info.file_size - file.tell():,}"
            )
    return shape, dtype


def _check(path: Path, name: str, images: tuple[Any, ...], labels: tuple[Any, ...]) -> None:
    shape, dtype = images
    # Object arrays are pickles, and a pickle runs code.
    if dtype.hasobject or labels[1].hasobject:
        raise UserError(
            f"{path}: {name} or its labels hold Python objects, which are never unpickled; save plain arrays"
        )
    # Floats could be 0..1 or 0..255 or standardised: a guess would train on black images.
    if dtype != np.uint8:
        raise UserError(
            f"{path}: {name} is {dtype}; expected uint8, 0 to 255 ((x * 255).round().astype('uint8') for 0…1)"
        )
    _check_shape(path, name, shape)
    # Keras gives the labels of CIFAR as N×1.
    if labels[0] not in ((shape[0],), (shape[0], 1)):
        raise UserError(
            f"{path}: {shape[0]} images in {name}, but labels of shape {labels[0]}; one each is needed"
        )


def _check_shape(path: Path, name: str, shape: tuple[int, ...]) -> None:
    with_channels = (*shape, 1) if len(shape) == 3 else shape
    if len(with_channels) == 4 and with_channels[3] in (1, 3) and 0 not in shape:
        return
    # PyTorch users save channels first; an error of its own, since the cure is one call.
    if len(shape) == 4 and shape[3] not in (1, 3) and shape[1] in (1, 3):
        raise UserError(f"{path}: {name} is N×C×H×W, {shape}; expected N×H×W×C: x.transpose(0, 2, 3, 1)")
    raise UserError(f"{path}: {name} has shape {shape}; expected N×H×W, N×H×W×1 or N×H×W×3, none of them 0")


def _open(path: Path, pairs: dict[str, tuple[str, str]], split: str) -> Dataset:
    images, labels = pairs[split]
    # The default since NumPy 1.16.3 (CVE-2019-6446); said here since a pickle runs code.
    with np.load(path, allow_pickle=False) as arrays:
        own = next((_array(path, arrays, key) for key in ("classes", "class_names") if key in arrays), None)
        names = None if own is None else tuple(str(name) for name in own.tolist())
        values = _array(path, arrays, labels)
        classes = names or class_names(_array(path, arrays, pairs["train"][1]))
        indices = class_indices(values, classes, numbered=names is not None, where=str(path))
        pixels = _array(path, arrays, images)
    return ArrayDataset(pixels.reshape(*pixels.shape[:3], -1), indices, classes, split)


def _array(path: Path, arrays: Any, key: str) -> NDArray[Any]:
    try:
        return np.asarray(arrays[key])
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: the array {key} cannot be read ({error}); save it again as a plain array"
        ) from None
