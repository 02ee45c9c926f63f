"""Run a method on images, and refuse a heat map that shows nothing, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.batch_size import max_batch_size
from convscope.core.errors import ShapeError, UserError
from convscope.core.run.progress import Progress
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribution.cam import enlarged
from convscope.explanation.explained_model import ExplainedModel, HeatMaps
from convscope.explanation.methods import Method
from convscope.explanation.probe import Classes
from convscope.models.spec_text import format_shape

# Eight times the relative rounding of float32, 1.2e-7.
FLAT = 1e-6
"""A map whose values differ by less than this fraction of the largest is constant up to rounding."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """The heat maps of one method for N images.

    Attributes:
        method: whose they are.
        heat_maps: float N×H×W, larger where more speaks for the class.
        targets: the classes that are explained, N.
        refused: for each image None, or the reason why there is no map; such a map is all zeros.
    """

    method: Method
    heat_maps: HeatMaps
    targets: Classes
    refused: tuple[str | None, ...]

    @property
    def signed(self) -> bool:
        """Is a value below zero against the class? Not where a method cuts that off, or knows no class."""
        return not (self.method.relu or self.method.class_agnostic) and bool((self.heat_maps < 0).any())


def explain_images(
    model: ExplainedModel,
    images: NDArray[np.uint8],
    method: Method,
    *,
    targets: Classes | None = None,
    progress: Progress | None = None,
) -> Attribution:
    """The heat maps of one method, as many images at a time as fit into memory.

    Args:
        model: the network.
        images: prepared, uint8 N×H×W×C.
        method: one of the list.
        targets: a class for each image, N; the predicted ones by default.
        progress: called with the name of the method, the images done, and all.

    Returns:
        A map an image, or the reason why there is none.

    Raises:
        UserError: the network lacks what the method needs, or a class is not there.
        ShapeError: the images are not as the network's preprocessing makes them.

    >>> class Grey:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images.mean(axis=(1, 2, 3)) / 255 - 0.5
    ...         return np.stack([-9 * light, 9 * light], axis=1)
    >>> from convscope.explanation.methods import methods
    >>> model = ExplainedModel(Grey(), Preprocess(1, 8, 8))
    >>> images = np.stack([np.zeros((8, 8, 1), np.uint8), np.full((8, 8, 1), 255, np.uint8)])
    >>> found = explain_images(model, images, methods["occlusion"])
    >>> found.heat_maps.shape, found.targets.tolist()
    ((2, 8, 8), [0, 1])
    >>> found.refused[0]
    "every number of the map is 0: the prediction for 'dark' does not change with any part of the image"
    """
    checked_images(images, model.preprocess)
    if targets is None:
        targets = model.predictor.predict(images).argmax(axis=1)
    targets = checked_targets(targets, len(images), len(model.classes))
    height, width = images.shape[1:3]
    # A map of an image does not depend on its neighbours, so batches only bound the memory.
    size = max_batch_size(height, width)
    # np.concatenate refuses an empty list, so no images are one empty array.
    heat_maps: list[HeatMaps] = [] if len(images) else [np.zeros((0, height, width))]
    refused: list[str | None] = []
    for start in range(0, len(images), size):
        batch = slice(start, start + size)
        with np.errstate(all="ignore"):  # what is not finite is refused below, with its reason
            raw = method.compute(model, images[batch], targets[batch])
        # Checked before it is enlarged: later a map of one position is like any constant one.
        shown, reasons = _shown(raw, method, [model.classes[k] for k in targets[batch]])
        refused += reasons
        heat_maps.append(shown if raw.shape[1:] == (height, width) else enlarged(shown, (height, width)))
        if progress:
            progress(method.name, min(start + size, len(images)), len(images))
    return Attribution(method, np.concatenate(heat_maps), targets, tuple(refused))


def _shown(raw: HeatMaps, method: Method, labels: list[str]) -> tuple[HeatMaps, list[str | None]]:
    """Raw maps N×h×w as they are shown, zeros where they are refused, and the reasons N."""
    reasons = [refusal(one, method, label) for one, label in zip(raw, labels, strict=True)]
    cut = np.maximum(raw, 0) if method.relu else raw
    # NaN times 0 is NaN, so a refused map is replaced and not multiplied.
    sound = np.array([reason is None for reason in reasons])[:, None, None]
    return np.where(sound, cut, 0), reasons


def checked_images(images: NDArray[Any], preprocess: Preprocess) -> None:
    """ShapeError unless images are uint8 N×H×W×C of the size and the channels that the network takes."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != preprocess.shape:
        got, needed = format_shape(images.shape), format_shape(preprocess.shape)
        raise ShapeError(f"explaining got {images.dtype} {got}; it needs prepared images, uint8 N×{needed}")


def checked_targets(targets: NDArray[Any], count: int, classes: int) -> Classes:
    """`targets` as int64 N; UserError unless there are `count`, each an index into `classes` of them."""
    found = np.asarray(targets)
    if found.shape != (count,) or (count and (found.min() < 0 or found.max() >= classes)):
        raise UserError(
            f"{count} images need {count} classes between 0 and {classes - 1}; got {found.tolist()[:10]}"
        )
    return found.astype(np.int64)


def refusal(raw: HeatMaps, method: Method, label: str) -> str | None:
    """Why a raw map h×w shows nothing of the class `label`, or None where it shows something.

    >>> from convscope.explanation.methods import methods
    >>> refusal(-np.ones((2, 2)), methods["grad_cam"], "cat")
    "every position of the layer speaks against 'cat', so ReLU leaves nothing; try occlusion"
    """
    # First of all, since every comparison with NaN is false and would pass.
    if not np.isfinite(raw).all():
        why = "the network's weights or its logits are not finite"
        return f"the map holds NaN or infinity; {', '.join(filter(None, (why, method.when_nan)))}"
    if method.needs == "feature_maps" and raw.size == 1:
        return "the layer has one position only; name an earlier one that has more"
    shown = np.maximum(raw, 0) if method.relu else raw
    # Before ReLU: what is 0 everywhere has another reason than what is below 0 everywhere.
    if not raw.any():
        return _why_zero(method, label)
    if not shown.any():
        return f"every position of the layer speaks against {label!r}, so ReLU leaves nothing; try occlusion"
    # Relative, because maps have no unit: those of a logit of 100 are 100 times those of a logit of 1.
    if np.ptp(shown) <= FLAT * np.abs(shown).max():
        return f"every position counts the same for {label!r}: the map is constant and shows nothing"
    return None


def _why_zero(method: Method, label: str) -> str:
    why = {
        "feature_maps": f"the layer's maps are blank, or none of them speaks for {label!r}",
        "gradients": f"the prediction for {label!r} does not change with the image",
        "predictions": f"the prediction for {label!r} does not change with any part of the image",
    }
    if method.class_agnostic:
        return "every number of the map is 0: the layer gives the same numbers at every position"
    return f"every number of the map is 0: {why[method.needs]}"
