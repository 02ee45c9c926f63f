"""Class labels: from what a source says of an image (a name or a number) to names and indices of classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError


def natural_key(name: str) -> tuple[int | str, ...]:
    """A sort key under which "class2" comes before "class10".

    >>> sorted(["10", "9", "a10", "a9"], key=natural_key)
    ['9', '10', 'a9', 'a10']
    """
    # Every second part is digits, so that int is compared with int and text with text.
    parts = re.split(r"([0-9]+)", name)
    # The name itself comes last, so that names such as "a01" and "a1" have an order as well.
    return (*(int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)), name)


def class_names(values: Any) -> tuple[str, ...]:
    """The distinct labels, as names: in natural order.

    >>> class_names([10, 2, 2]), class_names(["dog", "cat"])
    (('2', '10'), ('cat', 'dog'))
    """
    distinct = np.unique(label_values(values))
    return tuple(sorted((str(value) for value in distinct.tolist()), key=natural_key))


def class_indices(values: Any, classes: tuple[str, ...], *, numbered: bool, where: str) -> NDArray[np.int64]:
    """The class of each image as an index into `classes`.

    Args:
        values: N labels, whole numbers or names.
        classes: the K class names.
        numbered: the values are indices already and only checked; otherwise they are looked up as names.
        where: the file, for errors.

    Returns:
        int64 N, 0 to K − 1.

    Raises:
        UserError: a label is none of the classes; it names the label and `where`.

    >>> class_indices([2, 10, 2], ("2", "10"), numbered=False, where="a.npz")
    array([0, 1, 0])
    """
    labels = label_values(values)
    if numbered and labels.dtype.kind in "iu":
        try:
            return checked_labels(labels, classes, len(labels))
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    # A million labels hold few names: each name is looked up once.
    distinct, inverse = np.unique(labels, return_inverse=True)
    names = list(map(str, distinct.tolist()))
    if strange := set(names) - set(classes):
        shown = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
        first = next(name for name in names if name in strange)
        raise UserError(f"{where}: label {first!r} is none of the {len(classes)} classes: {shown}")
    order = {name: index for index, name in enumerate(classes)}
    return np.array([order[name] for name in names], np.int64)[inverse.reshape(-1)]


def checked_labels(labels: Any, classes: Sequence[str], count: int) -> NDArray[np.int64]:
    """The class indices of `count` images as int64, after a check of their number, type and range.

    Args:
        labels: whole numbers, 0 to K − 1.
        classes: the K class names.
        count: N, how many labels there have to be.

    Returns:
        int64 N.

    Raises:
        UserError: the labels are not N whole numbers, or one is not an index into `classes`; it says which.

    >>> checked_labels([0, 1, 1], ("cat", "dog"), 3)
    array([0, 1, 1])
    """
    values = np.asarray(labels)
    if values.shape != (count,) or (count and values.dtype.kind not in "iu"):
        raise UserError(
            f"{count} images need {count} whole-number labels; got {values.dtype} of shape {values.shape}"
        )
    # A negative label would index from the end and train on another class without an error.
    wrong = np.flatnonzero((values < 0) | (values >= len(classes)))
    if wrong.size:
        raise UserError(
            f"label {values[wrong[0]]} (image {wrong[0]}) is not one of the {len(classes)} classes; "
            f"allowed: 0 to {len(classes) - 1}; {wrong.size} of {count} labels are out of range"
        )
    return values.astype(np.int64, copy=False)


def label_values(values: Any) -> NDArray[Any]:
    """Labels as an array N of whole numbers or of text; N×1 is flattened, anything else is a UserError."""
    array = np.asarray(values)
    # Keras writes the labels of CIFAR as N×1.
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iuUT":
        raise UserError(
            f"labels must be N whole numbers or N names; got {array.dtype} of shape {array.shape}"
        )
    return array
