"""The verb: why a network answers what it answers for an image, how each method sees it, and how far to
believe it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import make_folder, write_json
from convscope.core.contracts import Tell
from convscope.core.errors import UserError, unknown_name
from convscope.core.plotting import short_name
from convscope.data.ordered_parallel_map import ordered_parallel_map
from convscope.data.preparing.decode import ImageLike, UnreadableImage
from convscope.explanation.attribute import Attribution, explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.explained_run import ExplainedRun, open_explained_run
from convscope.explanation.faithfulness.choose import MethodChoice, choose_method
from convscope.explanation.faithfulness.measure import Measure
from convscope.explanation.methods import methods
from convscope.explanation.picture_files import PictureFiles
from convscope.explanation.pictures import Panel, explanation_figure
from convscope.explanation.pytorch.capture import maps_of
from convscope.explanation.results import Explanation, ImageExplanation, MethodResult, shown
from convscope.inference.classifier import Inputs, check_finite, named_images
from convscope.inference.prediction import failed_prediction, predictions_of

if TYPE_CHECKING:
    from torch import nn

PANEL = ("grad_cam", "layer_cam", "integrated_gradients", "occlusion")
"""What is shown when nothing else is said: coarse and fine maps of a layer, the gradient, and the answers
alone.
"""
BATCH = 32
"""Images that are explained together: memory does not grow with their number."""

Named: TypeAlias = tuple[str, ImageLike]
Prepared: TypeAlias = tuple[str, NDArray[np.uint8] | UnreadableImage]


def explain(
    run: str | Path,
    images: Inputs,
    *,
    method: str | Sequence[str] | None = None,
    target: str | None = None,
    layer: str | None = None,
    model: str | nn.Module | type[nn.Module] | None = None,
    out: str | Path | None = None,
    tell: Tell | None = None,
) -> Explanation:
    """Show, for each image, what speaks for the network's answer, with numbers that say how far to believe
    it.

    `images`: as in `Classifier.classify`; a file that cannot be read is reported, and the others are
    explained. `method`: names of methods, "all", "auto" for the one that is most faithful on this network, or
    None for four that complement each other. `target`: the class to explain, else the predicted one of each
    image. `layer`: the layer that class activation looks at, else the last that has more than one place.
    `model`: for a network of one's own, as in `load`. `out`: a folder, else `explanation/` in the run folder;
    a picture an image and `explanation.json` go there. `tell(what, done, total)` is called as work goes on.

    Raises UserError for a run, method, class, layer or path that is not there.

    >>> explain("artifacts/torch_small_cnn_fashion_mnist", "shirt.png").best  # doctest: +SKIP
    'layer_cam'
    """
    opened = open_explained_run(run, model=model, tell=tell)
    explained_model = ExplainedModel.of(opened.classifier, layer=layer)
    _check_layer(explained_model)
    if target is not None and target not in explained_model.classes:
        raise unknown_name("class", target, explained_model.classes)
    names = _names(method)
    every = list(named_images(images))
    if not every:
        raise UserError("no image was given; name files or folders")
    folder = make_folder(Path(out) if out else opened.folder / "explanation")
    work = _Work(opened, explained_model, target, PictureFiles(folder))
    progress = _Progress(tell, len(every) * (len(names) + 1))
    found: list[ImageExplanation] = []
    choice: MethodChoice | None = None
    for start in range(0, len(every), BATCH):
        lot = _prepared(explained_model, every[start : start + BATCH])
        good = [image for _, image in lot if isinstance(image, np.ndarray)]
        if names == ["auto"] and good:
            choice = choose_method(opened, explained_model, np.stack(good))
            names = [choice.method]
        found += work.explain(lot, names, progress)
    explanation = Explanation(folder, tuple(found), choice)
    write_json(folder / "explanation.json", explanation.to_dict())
    return explanation


class _Progress:
    """Counts work that is done, for `tell`."""

    def __init__(self, tell: Tell | None, total: int) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def add(self, count: int) -> None:
        self._done += count
        if self._tell:
            self._tell("explain", self._done, self._total)


@dataclass(frozen=True, eq=False)
class _Work:
    """What stays the same from lot to lot."""

    opened: ExplainedRun
    explained_model: ExplainedModel
    target: str | None
    files: PictureFiles

    def explain(
        self, lot: list[Prepared], names: Sequence[str], progress: _Progress
    ) -> list[ImageExplanation]:
        """The explanations of a lot of images, in their order; those that cannot be read have an error."""
        good = [(name, image) for name, image in lot if isinstance(image, np.ndarray)]
        explained = self._readable([name for name, _ in good], [image for _, image in good], names, progress)
        found = []
        for name, image in lot:
            if isinstance(image, UnreadableImage):
                found.append(ImageExplanation(failed_prediction(name, image.reason)))
                progress.add(len(names) + 1)
            else:
                found.append(next(explained))
        return found

    def _readable(
        self, names: list[str], pixels: list[NDArray[np.uint8]], chosen: Sequence[str], progress: _Progress
    ) -> Iterator[ImageExplanation]:
        if not pixels:
            return
        images, classes, decision = (
            np.stack(pixels),
            self.explained_model.classes,
            self.opened.bundle.decision,
        )
        logits = self.explained_model.predictor.predict(images)
        check_finite(logits)
        targets = logits.argmax(axis=1).astype(np.int64)
        if self.target is not None:
            targets[:] = classes.index(self.target)
        measure = Measure(self.explained_model, images, targets, decision=decision)
        columns = []
        for method in chosen:
            columns.append(_column(method, self.explained_model, measure))
            progress.add(len(images))
        probabilities = decision.probabilities(logits)[np.arange(len(images)), targets]
        for n, answer in enumerate(predictions_of(names, logits, classes, decision=decision)):
            one = ImageExplanation(
                answer, classes[targets[n]], None, tuple(column.readings[n] for column in columns)
            )
            panels = [column.panel(n, best=one.best) for column in columns]
            heading = _heading(one, float(probabilities[n]))
            figure = explanation_figure(images[n], heading, panels, label=classes[targets[n]])
            progress.add(1)
            yield replace(one, picture=self.files.save(figure, names[n]))


@dataclass(frozen=True, eq=False)
class _Column:
    """One method on N images: a reading each, and the maps, None where it has none at all."""

    readings: tuple[MethodResult, ...]
    attribution: Attribution | None = None

    def panel(self, image: int, *, best: str | None) -> Panel:
        """How it is drawn."""
        reading = self.readings[image]
        if self.attribution is None or reading.refused is not None:
            return Panel(reading.title, np.zeros((1, 1)), refused=reading.refused or "")
        found = self.attribution
        method = found.method
        title = f"{reading.title} (whatever the class)" if method.class_agnostic else reading.title
        return Panel(title, found.maps[image], found.signed, None, _numbers(reading), best == reading.method)


def _column(name: str, explained_model: ExplainedModel, measure: Measure) -> _Column:
    method, perturbations = methods[name], measure.perturbations
    try:
        found = explain_images(explained_model, perturbations.images, method, targets=perturbations.targets)
    except UserError as error:
        refused = MethodResult(name, method.title, str(error))
        return _Column((refused,) * len(perturbations.images))
    numbers = measure(found)
    readings = (MethodResult(name, method.title, why, numbers.of(n)) for n, why in enumerate(found.refused))
    return _Column(tuple(readings), found)


def _numbers(reading: MethodResult) -> str:
    of = {key: shown(value) for key, value in reading.numbers.items()}
    return (
        f"insertion {of['insertion']}, by chance {of['random_insertion']}\n"
        f"deletion {of['deletion']}, by chance {of['random_deletion']}\n"
        f"ROAD {of['road']}, untrained {of['sanity']}"
    )


def _heading(image: ImageExplanation, probability: float) -> str:
    answer = image.answer
    name = short_name(Path(answer.name).name, 30)
    guess = f"{short_name(answer.label or '')} {answer.probability:.1%}"
    lines = [name, f"unknown; perhaps {guess}" if answer.unknown else guess]
    if image.label != answer.label:
        lines.append(f"explained: {short_name(image.label or '')} {probability:.1%}")
    return "\n".join(lines)


def _prepared(explained_model: ExplainedModel, named: list[Named]) -> list[Prepared]:
    def prepare(item: Named) -> Prepared:
        name, image = item
        try:
            return name, explained_model.preprocess.prepare(image, name=name)
        except UnreadableImage as error:
            return name, error

    return list(ordered_parallel_map(prepare, named))


def _names(method: str | Sequence[str] | None) -> list[str]:
    """The methods that are meant, each once; ["auto"] stays."""
    if method is None:
        return [name for name in PANEL if name in methods]
    names = list(dict.fromkeys([method] if isinstance(method, str) else method))
    if names == ["auto"]:
        return names
    if names == ["all"]:
        return list(methods)
    if not names or {"auto", "all"} & set(names):
        raise UserError(
            f"methods {', '.join(names) or 'none'} do not go together; name some, or all, or auto alone"
        )
    unknown = next((name for name in names if name not in methods), None)
    if unknown is not None:
        raise unknown_name(methods.kind, unknown, ["all", "auto", *methods])
    return names


def _check_layer(explained_model: ExplainedModel) -> None:
    """A UserError now, and not a refusal for each method, where the layer that was named has no maps."""
    if explained_model.layer is not None:
        blank = np.zeros((1, *explained_model.preprocess.shape), np.uint8)
        maps_of(explained_model.torch_network(), explained_model.inputs(blank), layer=explained_model.layer)
