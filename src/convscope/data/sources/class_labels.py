"""From what a table says of an image (a name or a number) to class names and the index of each image's
class.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError
from convscope.data.dataset import checked_labels


def natural_key(name: str) -> tuple[int | str, ...]:
    """A sort key under which "class2" comes before "class10".

    >>> sorted(["10", "9", "a10", "a9"], key=natural_key)
    ['9', '10', 'a9', 'a10']
    """
    parts = re.split(r"([0-9]+)", name)
    return (*(int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)), name)


def class_names(values: Any) -> tuple[str, ...]:
    """The distinct labels, as names: in natural order.

    >>> class_names([10, 2, 2]), class_names(["dog", "cat"])
    (('2', '10'), ('cat', 'dog'))
    """
    found = np.unique(label_values(values))
    return tuple(sorted((str(value) for value in found.tolist()), key=natural_key))


def class_indices(values: Any, classes: tuple[str, ...], *, numbered: bool, where: str) -> NDArray[np.int64]:
    """The class of each image as an index into `classes`.

    With `numbered`, the values are indices already and only checked; otherwise they are looked up as names. A
    label that is no class is a UserError that names it and `where`.

    >>> class_indices([2, 10, 2], ("2", "10"), numbered=False, where="a.npz")
    array([0, 1, 0])
    """
    found = label_values(values)
    if numbered and found.dtype.kind in "iu":
        try:
            return checked_labels(found, classes, len(found))
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    order = {name: index for index, name in enumerate(classes)}
    distinct, inverse = np.unique(found, return_inverse=True)
    names = [str(value) for value in distinct.tolist()]
    strange = [name for name in names if name not in order]
    if strange:
        raise UserError(
            f"{where}: label {strange[0]!r} is none of the {len(classes)} classes: {_few(classes)}"
        )
    return np.array([order[name] for name in names], np.int64)[inverse.reshape(-1)]


def label_values(values: Any) -> NDArray[Any]:
    """Labels as an array N of whole numbers or of text; N×1 is flattened, anything else is a UserError."""
    found = np.asarray(values)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1 or found.dtype.kind not in "iuUT":
        raise UserError(
            f"labels must be N whole numbers or N names; got {found.dtype} of shape {found.shape}"
        )
    return found


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
