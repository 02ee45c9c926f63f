"""Run a method on images, and refuse a map that shows nothing, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convscope.core.contracts import Progress
from convscope.core.errors import ShapeError, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.method import Maps, Method
from convscope.models.pytorch.predictor import max_batch_size
from convscope.models.pytorch.shapes import format_shape

FLAT = 1e-6
"""A map whose values differ by less than this share of the largest is constant: what differs is rounding."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a method says of N images: `maps` float N×H×W, larger where more speaks for the class of `targets`
    N.

    `refused`: one entry an image, None or the reason why there is no map; such a map is all zeros.
    """

    method: Method
    maps: NDArray[np.floating[Any]]
    targets: NDArray[np.int64]
    refused: tuple[str | None, ...]

    @property
    def signed(self) -> bool:
        """Is a value below zero against the class? Not where a method cuts that off, or knows no class."""
        return not (self.method.relu or self.method.class_agnostic) and bool((self.maps < 0).any())


def explain_images(
    explained_model: ExplainedModel,
    images: NDArray[np.uint8],
    method: Method,
    *,
    targets: NDArray[np.int64] | None = None,
    tell: Progress | None = None,
) -> Attribution:
    """The maps of one method for prepared images, uint8 N×H×W×C, and the classes `targets` N, else the
    predicted ones.

    As many images at a time as fit into memory; `tell(done, total)` after each lot. UserError where the
    network lacks what the method needs, ShapeError where the images are not as the network's preprocessing
    makes them.

    >>> from convscope.explanation.methods import methods
    >>> from convscope.models.pytorch.predictor import TorchPredictor
    >>> from convscope.models.pytorch.zoo import create
    >>> net = create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> explained_model = ExplainedModel.of(TorchPredictor(net, Preprocess(1, 8, 8), ("cat", "dog")))
    >>> dark = np.zeros((3, 8, 8, 1), np.uint8)
    >>> blank = explain_images(explained_model, dark, methods["grad_cam"], targets=np.array([0, 0, 1]))
    >>> blank.maps.shape, blank.refused[0]
    ((3, 8, 8), "every number of the map is 0: the layer's maps are blank, or none of them speaks for 'cat'")
    """
    checked_images(images, explained_model.preprocess)
    if targets is None:
        targets = explained_model.predictor.predict(images).argmax(axis=1)
    targets = checked_targets(targets, len(images), len(explained_model.classes))
    size = images.shape[1:3]
    lot = max_batch_size(*size)
    maps, refused = [], []
    for start in range(0, len(images), lot):
        with np.errstate(all="ignore"):  # what is not finite is refused below, with its reason
            raw = method.compute(explained_model, images[start : start + lot], targets[start : start + lot])
        reasons = [
            refusal(one, method, explained_model.classes[int(k)])
            for one, k in zip(raw, targets[start : start + lot], strict=True)
        ]
        refused += reasons
        shown = np.maximum(raw, 0) if method.relu else raw
        shown = np.where(np.array([reason is None for reason in reasons])[:, None, None], shown, 0)
        maps.append(enlarged(shown, size))
        if tell:
            tell(min(start + lot, len(images)), len(images))
    return Attribution(
        method, np.concatenate(maps) if maps else np.zeros((0, *size)), targets, tuple(refused)
    )


def checked_images(images: NDArray[Any], preprocess: Preprocess) -> None:
    """ShapeError unless images are uint8 N×H×W×C of the size and the channels that the network takes."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != preprocess.shape:
        needs = f"prepared images, uint8 N×{format_shape(preprocess.shape)}"
        raise ShapeError(f"explaining got {images.dtype} {format_shape(images.shape)}; it needs {needs}")


def checked_targets(targets: NDArray[Any], count: int, classes: int) -> NDArray[np.int64]:
    """One class an image, each an index into the K classes; else a UserError."""
    found = np.asarray(targets)
    if found.shape != (count,) or (count and (found.min() < 0 or found.max() >= classes)):
        raise UserError(
            f"{count} images need {count} classes between 0 and {classes - 1}; got {found.tolist()[:10]}"
        )
    return found.astype(np.int64)


def refusal(raw: Maps, method: Method, label: str) -> str | None:
    """Why a raw map h×w shows nothing, or None where it shows something.

    >>> from convscope.explanation.methods import methods
    >>> refusal(-np.ones((2, 2)), methods["grad_cam"], "cat")
    "every place of the layer speaks against 'cat', so ReLU leaves nothing; try occlusion"
    """
    if not np.isfinite(raw).all():
        why = "the network's weights or its answers are not finite"
        return f"the map holds NaN or infinity; {', '.join(filter(None, (why, method.when_nan)))}"
    if method.needs == "maps" and raw.size == 1:
        return "the layer has one place only; name an earlier one that has more"
    shown = np.maximum(raw, 0) if method.relu else raw
    if not raw.any():
        return _why_zero(method, label)
    if not shown.any():
        return f"every place of the layer speaks against {label!r}, so ReLU leaves nothing; try occlusion"
    if np.ptp(shown) <= FLAT * np.abs(shown).max():
        return f"every place counts the same for {label!r}: the map is constant and shows nothing"
    return None


def _why_zero(method: Method, label: str) -> str:
    why = {
        "maps": f"the layer's maps are blank, or none of them speaks for {label!r}",
        "gradients": f"the answer for {label!r} does not change with the image",
        "answers": f"the answer for {label!r} does not change with any part of the image",
    }
    if method.class_agnostic:
        return "every number of the map is 0: the layer gives the same numbers at every place"
    return f"every number of the map is 0: {why[method.needs]}"


def enlarged(maps: Maps, size: tuple[int, int]) -> Maps:
    """Maps N×h×w on the pixels of the image, N×H×W: bilinear, each place at the middle of what it stands
    for.
    """
    if maps.shape[1:] == size:
        return maps
    small = torch.from_numpy(np.ascontiguousarray(maps))[:, None]
    large: Maps = torch.nn.functional.interpolate(small, size=size, mode="bilinear", align_corners=False)[
        :, 0
    ].numpy()
    return large
