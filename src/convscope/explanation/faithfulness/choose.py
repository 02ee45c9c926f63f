"""Which method is most faithful on this network? Measured on images of its own, and remembered in its run
folder.
"""

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
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.explained_run import ExplainedRun
from convscope.explanation.faithfulness.insertion_deletion import PerturbationSet, deletion, insertion, places
from convscope.explanation.faithfulness.measure import steps_for
from convscope.explanation.methods import methods
from convscope.inference.run_data import open_images, source_of

FILE_NAME = "methods.json"
MOST, FEWEST, PIXELS = 16, 4, 65_536
"""Images to measure on: 16 up to 64×64, 4 of 128×128 and more, so that pixels and with them seconds stay in
bounds.
"""
ALIKE = 0.005
"""Scores this close are a tie: over 16 images chance moves them by more."""
COST = {"maps": 0, "gradients": 1, "answers": 2}


@dataclass(frozen=True)
class MethodChoice:
    """The most faithful `method`. `scores`: insertion − deletion of each that has maps, on average;
    `refused`: why not.

    `images`: on how many it was measured; `source`: which they were, in words.
    """

    method: str
    scores: Mapping[str, float]
    refused: Mapping[str, str]
    images: int
    source: str

    def line(self) -> str:
        """What was chosen and by what margin, for a person.

        >>> MethodChoice("grad_cam", {"grad_cam": 0.5, "layer_cam": 0.4}, {}, 4, "the images given").line()
        'most faithful on the images given: grad_cam (insertion − deletion 0.50), then layer_cam (0.40)'
        """
        others = sorted(
            (name for name in self.scores if name != self.method), key=lambda name: -self.scores[name]
        )
        shown = {
            name: f"{round(score, 2) + 0.0:.2f}".replace("-", "−") for name, score in self.scores.items()
        }
        then = ", ".join(f"{name} ({shown[name]})" for name in others[:3])
        best = f"{self.method} (insertion − deletion {shown[self.method]})"
        return f"most faithful on {self.source}: {best}" + (f", then {then}" if then else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**vars(self), "scores": dict(self.scores), "refused": dict(self.refused)}


def choose_method(
    run: ExplainedRun, explained_model: ExplainedModel, given: NDArray[np.uint8]
) -> MethodChoice:
    """The choice that is remembered, else measured on up to 16 validation images of the run, else on those
    `given`.

    `given`: prepared images, uint8 N×H×W×C. A choice belongs to weights, layer and list of methods; it is
    written to `explanation/methods.json` in the run folder where that can be written, unless it rests on the
    images given. UserError where no method has a map.
    """
    path, key = run.folder / "explanation" / FILE_NAME, _key(run, explained_model)
    known = _remembered(path)
    with suppress(KeyError, TypeError):
        return MethodChoice(**known[key])
    own = validation_images(run)
    images = given if own is None else own
    source = "the images given" if own is None else f"{len(images)} images of the validation split"
    choice = measure_methods(explained_model, images[: _most(images.shape)], run, source=source)
    if own is not None:
        with suppress(ConvscopeError):  # a read-only folder forgets, and measures again the next time
            make_folder(path.parent)
            write_json(path, {**known, key: choice.to_dict()})
    return choice


def measure_methods(
    explained_model: ExplainedModel, images: NDArray[np.uint8], run: ExplainedRun, *, source: str
) -> MethodChoice:
    """Every method on prepared images, uint8 N×H×W×C, for the classes that the network answers with."""
    targets = explained_model.predictor.predict(images).argmax(axis=1).astype(np.int64)
    perturbations = PerturbationSet(explained_model.predictor, images, targets, run.bundle.decision)
    steps = steps_for(images.shape)
    scores, refused = {}, {}
    for done, name in enumerate(methods):
        if run.tell:
            run.tell("measure methods", done, len(methods))
        try:
            found = explain_images(explained_model, images, methods[name], targets=targets)
        except UserError as error:
            refused[name] = str(error)
            continue
        order = places(found.maps)
        area = (
            insertion(perturbations, order, steps=steps).area
            - deletion(perturbations, order, steps=steps).area
        )
        reasons = [reason for reason in found.refused if reason is not None]
        # An image without a map has an order by chance, and that is what it is worth: no method gains by
        # refusing.
        if len(reasons) == len(images):
            refused[name] = reasons[0] if reasons else "there was no image to measure on"
        else:
            scores[name] = round(float(area.mean()), 6)
    return MethodChoice(most_faithful(scores), scores, refused, len(images), source)


def most_faithful(scores: Mapping[str, float]) -> str:
    """The name with the highest score; of those within 0.005 of it the cheapest, then the first on the list.

    Methods whose map is the same for every class cannot say why it is this one, so they are not chosen unless
    they are alone. UserError where there is none.

    >>> most_faithful({"grad_cam": 0.301})
    'grad_cam'
    """
    if not scores:
        raise UserError(
            "no method of explaining has a map for these images; see each reason with --method all"
        )
    telling = {name: score for name, score in scores.items() if not methods[name].class_agnostic} or scores
    best = max(telling.values())
    order = list(methods)
    tied = [name for name, score in telling.items() if score >= best - ALIKE]
    return min(tied, key=lambda name: (COST[methods[name].needs], order.index(name)))


def validation_images(run: ExplainedRun) -> NDArray[np.uint8] | None:
    """Up to 16 images spread over the validation split, uint8 N×H×W×C; None where they are not at hand.

    Only these are decoded, and nothing is fetched: data that have moved away are not worth a download here.
    """
    try:
        if not source_of(run.bundle).location.exists():
            return None
        dataset = open_images(run.bundle, run.folder, None, split="validation")[2]
    except ConvscopeError:
        return None
    found = []
    for place in evenly_spaced(len(dataset), _most((0, *run.explained_model.preprocess.shape))):
        with suppress(UnreadableImage):
            found.append(run.explained_model.preprocess.prepare(dataset[int(place)][0]))
    return np.stack(found) if found else None


def _most(shape: tuple[int, ...]) -> int:
    return int(np.clip(PIXELS // (shape[1] * shape[2]), FEWEST, MOST))


def _key(run: ExplainedRun, explained_model: ExplainedModel) -> str:
    return "/".join(
        [
            weights_fingerprint(run.bundle.weights)[:16],
            explained_model.layer or "own layer",
            ",".join(methods),
        ]
    )


def _remembered(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
