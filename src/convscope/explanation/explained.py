"""Run a method on images, and refuse a map that shows nothing, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convscope.core.errors import UserError
from convscope.explanation.method import Maps, Method
from convscope.explanation.subject import Subject
from convscope.models.pytorch.predictor import MOST_IMAGES, MOST_PIXELS

Tell = Callable[[int, int], None]
FLAT = 1e-6
"""A map whose values differ by less than this share of the largest is constant: what differs is rounding."""


@dataclass(frozen=True, eq=False)
class Explained:
    """What a method says of N images: `maps` float N×H×W, larger where more speaks for the class of `targets` N.

    `refused`: one entry an image, None or the reason why there is no map; such a map is all zeros.
    """

    method: Method
    maps: NDArray[np.floating[Any]]
    targets: NDArray[np.int64]
    refused: tuple[str | None, ...]


def explain_images(
    subject: Subject,
    images: NDArray[np.uint8],
    method: Method,
    *,
    targets: NDArray[np.int64] | None = None,
    tell: Tell | None = None,
) -> Explained:
    """The maps of one method for prepared images, uint8 N×H×W×C, and the classes `targets` N, else the predicted ones.

    As many images at a time as fit into memory; `tell(done, total)` after each lot. UserError where the network lacks
    what the method needs.
    """
    if targets is None:
        targets = subject.predictor.predict(images).argmax(axis=1)
    targets = checked_targets(targets, len(images), len(subject.classes))
    size = images.shape[1:3]
    lot = max(1, min(MOST_IMAGES, MOST_PIXELS // (size[0] * size[1])))
    maps, refused = [], []
    for start in range(0, len(images), lot):
        raw = method.compute(subject, images[start : start + lot], targets[start : start + lot])
        reasons = [
            refusal(one, method, subject.classes[int(k)])
            for one, k in zip(raw, targets[start : start + lot], strict=True)
        ]
        refused += reasons
        shown = np.maximum(raw, 0) if method.rectified else raw
        shown = np.where(np.array([reason is None for reason in reasons])[:, None, None], shown, 0)
        maps.append(enlarged(shown, size))
        if tell:
            tell(min(start + lot, len(images)), len(images))
    return Explained(method, np.concatenate(maps) if maps else np.zeros((0, *size)), targets, tuple(refused))


def checked_targets(targets: NDArray[Any], count: int, classes: int) -> NDArray[np.int64]:
    """One class an image, each an index into the K classes; else a UserError."""
    found = np.asarray(targets)
    if found.shape != (count,) or (count and (found.min() < 0 or found.max() >= classes)):
        raise UserError(f"{count} images need {count} classes between 0 and {classes - 1}; got {found.tolist()[:10]}")
    return found.astype(np.int64)


def refusal(raw: Maps, method: Method, label: str) -> str | None:
    """Why a raw map h×w shows nothing, or None where it shows something.

    >>> from convscope.explanation.methods import methods
    >>> refusal(-np.ones((2, 2)), methods["grad_cam"], "cat")
    "every place of the layer speaks against 'cat', so ReLU leaves nothing; try layer_cam or occlusion"
    """
    if not np.isfinite(raw).all():
        return "the map holds NaN or infinity; the network's weights or its answers are not finite"
    if raw.size == 1:
        return "the layer has one place only; name an earlier one that has more"
    if not raw.any():
        where = {"maps": "the layer's maps", "gradients": "the image", "answers": "any part of the image"}
        return f"the answer for {label!r} does not change with {where[method.looks_at]}: every number of the map is 0"
    if method.rectified and raw.max() <= 0:
        return f"every place of the layer speaks against {label!r}, so ReLU leaves nothing; try layer_cam or occlusion"
    shown = np.maximum(raw, 0) if method.rectified else raw
    if np.ptp(shown) <= FLAT * np.abs(shown).max():
        return f"every place counts the same for {label!r}: the map is constant and shows nothing"
    return None


def enlarged(maps: Maps, size: tuple[int, int]) -> Maps:
    """Maps N×h×w on the pixels of the image, N×H×W: bilinear, each place at the middle of what it stands for."""
    if maps.shape[1:] == size:
        return maps
    small = torch.from_numpy(np.ascontiguousarray(maps))[:, None]
    large: Maps = torch.nn.functional.interpolate(small, size=size, mode="bilinear", align_corners=False)[:, 0].numpy()
    return large
