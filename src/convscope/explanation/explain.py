"""The verb: why a network predicts a class for an image, by each method, and how far to believe it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from convscope.core.atomic import make_folder, write_json
from convscope.core.errors import UserError, unknown_name
from convscope.core.plotting import short_name
from convscope.core.run.progress import Progress
from convscope.data.preparing.decode import UnreadableImage
from convscope.explanation.attribute import Attribution, explain_images
from convscope.explanation.explained_model import ExplainedModel, ExplainedRun, open_explained_run
from convscope.explanation.faithfulness.choose import MethodChoice, choose_method
from convscope.explanation.faithfulness.measure import Measure
from convscope.explanation.methods import methods
from convscope.explanation.pictures import Panel, PictureFiles, explanation_figure
from convscope.explanation.results import Explanation, ImageExplanation, MethodResult, shown
from convscope.inference.classifier import Inputs, PreparedBatch, check_finite, named_images
from convscope.inference.prediction import failed_prediction, predictions_of

if TYPE_CHECKING:
    from torch import nn

PANEL = ("grad_cam", "layer_cam", "integrated_gradients", "occlusion")
"""The usual methods: coarse and fine maps of a layer, the gradient, and predictions alone."""
BATCH = 32
"""Images that are explained together: memory does not grow with their number."""


def explain(
    run: str | Path,
    images: Inputs,
    *,
    method: str | Sequence[str] | None = None,
    target: str | None = None,
    layer: str | None = None,
    model: str | nn.Module | type[nn.Module] | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Show, for each image, what speaks for the prediction, with numbers that say how far to believe it.

    Args:
        run: a run folder or a bundle file.
        images: as in `Classifier.classify`; a file that cannot be read is reported, the others are explained.
        method: names of methods, "all", "auto" for the one that is most faithful on this network, or None for
            four that complement each other.
        target: the class to explain; the predicted one of each image by default.
        layer: for class activation; the last with more than one position by default.
        model: for a custom model, as in `load`.
        out: a folder for a picture an image and `explanation.json`; `explanation/` in the run folder by
            default.
        progress: `progress(what, done, total)` is called as work goes on.

    Returns:
        An entry an image, in their order.

    Raises:
        UserError: a run, method, class, layer or path that is not there.

    >>> explain("artifacts/torch_small_cnn_fashion_mnist", "shirt.png").best  # doctest: +SKIP
    'layer_cam'
    """
    opened = open_explained_run(run, model=model, layer=layer, progress=progress)
    network = opened.explained_model
    if layer is not None:  # an error now, and not a refusal for each method
        network.inside().feature_maps(network.blank_input, [layer])
    if target is not None and target not in network.classes:
        raise unknown_name("class", target, network.classes)
    # All paths are checked before the first image is explained, which takes seconds.
    names, named = _names(method), list(named_images(images))
    if not named:
        raise UserError("no image was given; name files or folders")
    folder = make_folder(Path(out) if out else opened.folder / "explanation")
    work = _Work(opened, target, PictureFiles(folder), _Counter(progress, len(named) * (len(names) + 1)))
    found: list[ImageExplanation] = []
    choice: MethodChoice | None = None
    for batch in opened.predictor.prepared_batches(named, BATCH):
        # Once, for the first batch with a readable image; later batches use the same method.
        if names == ["auto"] and batch.readable:
            choice = choose_method(opened, batch.images)
            names = [choice.method]
        # A batch at a time, so that memory does not grow with the images; figures are written as they come.
        found += work.explain(batch, names)
    explanation = Explanation(folder, tuple(found), choice)
    # Last, so that it names no picture that was not written.
    write_json(folder / "explanation.json", explanation.to_dict())
    return explanation


class _Counter:
    """Counts steps for `progress`: one for each method of each image, and one for its picture."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, count: int) -> None:
        self._done += count
        if self._progress:
            self._progress("explain", self._done, self._total)


@dataclass(frozen=True, eq=False)
class _Work:
    """What stays the same from batch to batch."""

    opened: ExplainedRun
    target: str | None
    files: PictureFiles
    counter: _Counter

    def explain(self, batch: PreparedBatch, chosen: Sequence[str]) -> Iterator[ImageExplanation]:
        """The explanations of a batch, in the order of its images; one that cannot be read has an error."""

        def failed(name: str, error: UnreadableImage) -> ImageExplanation:
            self.counter.add(len(chosen) + 1)
            return ImageExplanation(failed_prediction(name, error.reason))

        return batch.merge(self._readable(batch, chosen), failed)

    def _readable(self, batch: PreparedBatch, chosen: Sequence[str]) -> Iterator[ImageExplanation]:
        if not batch.readable:
            return
        images, names = batch.images, [name for name, _ in batch.readable]
        model, decision = self.opened.explained_model, self.opened.bundle.decision
        logits = model.predictor.predict(images)
        # One image may overflow a network that a grey one does not, and no map of it would mean anything.
        check_finite(logits)
        targets = logits.argmax(axis=1).astype(np.int64)
        if self.target is not None:
            # The class that a person asks for, whatever the network predicts.
            targets[:] = model.classes.index(self.target)
        # What does not depend on the method, such as an order by chance, is measured once a batch.
        measure = Measure(model, images, targets, decision=decision)
        columns = []
        # Method by method over all images: each has one batch and not one image at a time.
        for method in chosen:
            columns.append(_column(method, model, measure))
            self.counter.add(len(images))
        probabilities = decision.probabilities(logits)[np.arange(len(images)), targets]
        for n, prediction in enumerate(predictions_of(names, logits, model.classes, decision=decision)):
            label = model.classes[targets[n]]
            results = tuple(column.results[n] for column in columns)
            one = ImageExplanation(prediction, label, None, results)
            panels = [column.panel(n, best=one.best) for column in columns]
            figure = explanation_figure(
                images[n], _heading(one, float(probabilities[n])), panels, label=label
            )
            self.counter.add(1)
            yield replace(one, picture=self.files.save(figure, names[n]))


@dataclass(frozen=True, eq=False)
class _Column:
    """One method on N images: a result each, and the heat maps, None where it has none at all."""

    results: tuple[MethodResult, ...]
    attribution: Attribution | None = None

    def panel(self, image: int, *, best: str | None) -> Panel:
        """How it is drawn for image number `image`."""
        result = self.results[image]
        if self.attribution is None or result.refused is not None:
            return Panel(result.title, np.zeros((1, 1)), refused=result.refused or "")
        found = self.attribution
        title = f"{result.title} (whatever the class)" if found.method.class_agnostic else result.title
        numbers, chosen = _numbers(result), best == result.method
        return Panel(title, found.heat_maps[image], found.signed, None, numbers, chosen)


def _column(name: str, model: ExplainedModel, measure: Measure) -> _Column:
    method, perturbations = methods[name], measure.perturbations
    try:
        found = explain_images(model, perturbations.images, method, targets=perturbations.targets)
    # A method that does not suit the network must not stop the others.
    except UserError as error:
        refused = MethodResult(name, method.title, str(error))
        return _Column((refused,) * len(perturbations.images))
    # Measured for the explained class, which may not be the predicted one.
    numbers = measure(found)
    results = (MethodResult(name, method.title, why, numbers.of(n)) for n, why in enumerate(found.refused))
    return _Column(tuple(results), found)


def _numbers(result: MethodResult) -> str:
    of = {key: shown(value) for key, value in result.numbers.items()}
    return (
        f"insertion {of['insertion']}, by chance {of['random_insertion']}\n"
        f"deletion {of['deletion']}, by chance {of['random_deletion']}\n"
        f"ROAD {of['road']}, untrained {of['sanity']}"
    )


def _heading(image: ImageExplanation, probability: float) -> str:
    prediction = image.prediction
    name = short_name(Path(prediction.name).name, 30)
    guess = f"{short_name(prediction.label or '')} {prediction.probability:.1%}"
    lines = [name, f"unknown; perhaps {guess}" if prediction.unknown else guess]
    if image.label != prediction.label:
        lines.append(f"explained: {short_name(image.label or '')} {probability:.1%}")
    return "\n".join(lines)


def _names(method: str | Sequence[str] | None) -> list[str]:
    """The methods that are meant, each once; ["auto"] stays."""
    if method is None:
        return [name for name in PANEL if name in methods]
    names = list(dict.fromkeys([method] if isinstance(method, str) else method))
    if names == ["all"]:
        return list(methods)
    if names != ["auto"]:
        _check_names(names)
    return names


def _check_names(names: list[str]) -> None:
    # Both stand for a choice of their own, and a list beside them would contradict it.
    if not names or {"auto", "all"} & set(names):
        raise UserError(
            f"methods {', '.join(names) or 'none'} do not go together; name some, or all, or auto alone"
        )
    for name in names:
        if name not in methods:
            raise unknown_name(methods.kind, name, ["all", "auto", *methods])
