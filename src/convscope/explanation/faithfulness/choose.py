"""Which method is most faithful on a network? Measured on images of its run, and kept in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import make_folder, write_json
from convscope.core.bundle import weights_fingerprint
from convscope.core.errors import ConvscopeError, UserError
from convscope.data.preparing.decode import UnreadableImage
from convscope.data.preparing.prepared_split import evenly_spaced
from convscope.explanation.attribute import explain_images
from convscope.explanation.explained_model import ExplainedRun, HeatMaps
from convscope.explanation.faithfulness.insertion_deletion import (
    PerturbationSet,
    deletion,
    insertion,
    pixel_order,
)
from convscope.explanation.faithfulness.measure import steps_for
from convscope.explanation.methods import methods
from convscope.inference.run_data import open_images, source_of

FILE_NAME = "methods.json"
MOST, FEWEST, PIXELS = 16, 4, 65_536
"""Images to measure on: 16 up to 64×64, 4 of 128×128 and more, which bounds the pixels and so the seconds."""
ALIKE = 0.005
"""Scores this close are a tie: over 16 images chance moves them by more."""
COST = {"feature_maps": 0, "gradients": 1, "predictions": 2}
"""Of methods that tie the cheapest is taken, by what it needs."""


@dataclass(frozen=True)
class MethodChoice:
    """The most faithful method.

    Attributes:
        method: its name.
        scores: insertion − deletion of each method that has maps, the mean over the images.
        refused: of the others, why they have none.
        images: on how many it was measured.
        source: which they were, in words.
    """

    method: str
    scores: Mapping[str, float]
    refused: Mapping[str, str]
    images: int
    source: str

    def line(self) -> str:
        """Which method it is and by what margin, for a person.

        >>> MethodChoice("grad_cam", {"grad_cam": 0.5, "layer_cam": 0.4}, {}, 4, "the images given").line()
        'most faithful on the images given: grad_cam (insertion − deletion 0.50), then layer_cam (0.40)'
        """
        others = [
            name for name in sorted(self.scores, key=lambda name: -self.scores[name]) if name != self.method
        ]
        then = ", ".join(f"{name} ({two_digits(self.scores[name])})" for name in others[:3])
        best = f"{self.method} (insertion − deletion {two_digits(self.scores[self.method])})"
        return f"most faithful on {self.source}: {best}" + (f", then {then}" if then else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**vars(self), "scores": dict(self.scores), "refused": dict(self.refused)}


def two_digits(number: float) -> str:
    """A number for people, with a real minus sign and no −0.00.

    >>> two_digits(0.256), two_digits(-0.004), two_digits(-0.5)
    ('0.26', '0.00', '−0.50')
    """
    return f"{round(number, 2) + 0.0:.2f}".replace("-", "−")


def choose_method(run: ExplainedRun, images: NDArray[np.uint8]) -> MethodChoice:
    """The choice that is stored, else measured on validation images of the run, else on the images given.

    A choice belongs to weights, layer and list of methods. It is written to `explanation/methods.json` in the
    run folder where that can be written, unless it rests on the images given.

    Args:
        run: the network, and its folder.
        images: those that are about to be explained, prepared, uint8 N×H×W×C.

    Returns:
        The choice.

    Raises:
        UserError: no method has a map.
    """
    path, key = run.folder / "explanation" / FILE_NAME, _key(run)
    # Other weights, layers and lists of methods keep their choices in the same file.
    known = _stored(path)
    # TypeError: an entry of another version may have other fields; it is measured again.
    with suppress(KeyError, TypeError):
        return MethodChoice(**known[key])
    own = validation_images(run)
    source = "the images given" if own is None else f"{len(own)} images of the validation split"
    measured = images if own is None else own
    choice = measure_methods(run, measured[: _most(measured.shape)], source=source)
    if own is not None:
        with suppress(ConvscopeError):  # in a read-only folder it is measured again the next time
            make_folder(path.parent)
            write_json(path, {**known, key: choice.to_dict()})
    return choice


def measure_methods(run: ExplainedRun, images: NDArray[np.uint8], *, source: str) -> MethodChoice:
    """Every method for the predicted classes.

    Args:
        run: the network; its progress is called with "measure methods".
        images: prepared, uint8 N×H×W×C.
        source: which they are, in words.

    Returns:
        The choice, with all scores.

    Raises:
        UserError: no method has a map.
    """
    model = run.explained_model
    targets = model.predictor.predict(images).argmax(axis=1).astype(np.int64)
    perturbations = PerturbationSet(model.predictor, images, targets, run.bundle.decision)
    scores, refused = {}, {}
    for done, name in enumerate(methods):
        if run.progress:
            run.progress("measure methods", done, len(methods))
        try:
            found = explain_images(model, images, methods[name], targets=targets)
        except UserError as error:
            refused[name] = str(error)
            continue
        reasons = [reason for reason in found.refused if reason is not None]
        if len(reasons) == len(images):
            refused[name] = reasons[0] if reasons else "there was no image to measure on"
        else:
            # An image without a map has an order by chance, and counts so: no method gains by refusing.
            scores[name] = round(float(_score(perturbations, found.heat_maps).mean()), 6)
    return MethodChoice(most_faithful(scores), scores, refused, len(images), source)


def _score(perturbations: PerturbationSet, heat_maps: HeatMaps) -> NDArray[np.float64]:
    """Insertion − deletion of each image, N."""
    order, steps = pixel_order(heat_maps), steps_for(perturbations.images.shape)
    return (
        insertion(perturbations, order, steps=steps).area - deletion(perturbations, order, steps=steps).area
    )


def most_faithful(scores: Mapping[str, float]) -> str:
    """The name with the highest of `scores`; of those within 0.005 the cheapest, then the first on the list.

    Methods whose map is the same for every class cannot say why it is this one, so they are not chosen unless
    they are alone. UserError where there is none.

    >>> most_faithful({"grad_cam": 0.301})
    'grad_cam'
    """
    if not scores:
        raise UserError(
            "no method of explaining has a map for these images; see each reason with --method all"
        )
    # A map of whatever stands out may well score high; it cannot say why it is this class.
    of_class = {name: score for name, score in scores.items() if not methods[name].class_agnostic} or scores
    best = max(of_class.values())
    order = list(methods)
    tied = [name for name, score in of_class.items() if score >= best - ALIKE]
    return min(tied, key=lambda name: (COST[methods[name].needs], order.index(name)))


def validation_images(run: ExplainedRun) -> NDArray[np.uint8] | None:
    """Up to 16 images, evenly from the validation split, uint8 N×H×W×C; None where they are not at hand.

    Only these are decoded, and nothing is fetched: data that have moved away are not worth a download here.
    """
    try:
        # A data set that is gone would be fetched by opening it.
        if not source_of(run.bundle).location.exists():
            return None
        dataset = open_images(run.bundle, run.folder, None, split="validation")[2]
    except ConvscopeError:
        return None
    preprocess, images = run.explained_model.preprocess, []
    for position in evenly_spaced(len(dataset), _most((0, *preprocess.shape))):
        with suppress(UnreadableImage):
            images.append(preprocess.prepare(dataset[int(position)][0]))
    return np.stack(images) if images else None


def _most(shape: tuple[int, ...]) -> int:
    return int(np.clip(PIXELS // (shape[1] * shape[2]), FEWEST, MOST))


def _key(run: ExplainedRun) -> str:
    # 16 hex digits are 64 bits: no two networks share them by chance.
    weights = weights_fingerprint(run.bundle.weights)[:16]
    # A new method makes an old choice stale, since it was not among those measured.
    return "/".join([weights, run.explained_model.layer or "own layer", ",".join(methods)])


def _stored(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    # ValueError stands for broken JSON and for broken UTF-8.
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
