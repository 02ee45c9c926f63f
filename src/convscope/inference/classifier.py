"""A trained network that answers for whatever a person calls an image: the same road for every form of the
network.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convscope.core.contracts import Predictor
from convscope.core.decision import Decision
from convscope.core.errors import Failure, UserError
from convscope.data.ordered_parallel_map import ordered_parallel_map
from convscope.data.preparing.decode import ImageLike, UnreadableImage
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.sources.image_walk import Leftovers, walk_images
from convscope.inference.prediction import Prediction, failed_prediction, predictions_of

Inputs: TypeAlias = ImageLike | Iterable[Any]

BATCH = 64


class Classifier:
    """A predictor with its preprocessing and its decision: from images to answers.

    >>> class Grey:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images.mean(axis=(1, 2, 3)) / 255 - 0.5
    ...         return np.stack([-9 * light, 9 * light], axis=1)
    >>> classifier = Classifier(Grey(), Preprocess(1, 8, 8), Decision())
    >>> classifier.classify(np.zeros((5, 5), np.uint8))[0].label
    'dark'
    """

    def __init__(self, predictor: Predictor, preprocess: Preprocess, decision: Decision) -> None:
        self.predictor, self.preprocess, self.decision = predictor, preprocess, decision

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K answers."""
        return self.predictor.classes

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits N×K for prepared images, uint8 N×H×W×C: a Classifier is a Predictor, too."""
        return self.predictor.predict(images)

    def classify(self, inputs: Inputs, *, top: int = 5) -> list[Prediction]:
        """The answers for `inputs`, in their order, each with the `top` most probable classes.

        `inputs`: one image or an iterable of them. An image is a path, the bytes of a file, a PIL image or an
        array (uint8 H×W or H×W×C); a folder stands for every image below it, sorted, and an array N×H×W×C for
        N images. A file that cannot be read has an answer with an `error`, and the others are answered all
        the same.

        Raises UserError for a path that does not exist, a folder without images, and what is no image at all.
        """
        return list(self.stream(inputs, top=top))

    def stream(self, inputs: Inputs, *, top: int = 5) -> Iterator[Prediction]:
        """The answers of `classify` as they come, 64 at a time: memory does not grow with the number of
        images.
        """
        prepared = ordered_parallel_map(self._prepare, named_images(inputs))
        while chunk := list(islice(prepared, BATCH)):
            yield from self._answers(chunk, top)

    def _prepare(self, item: tuple[str, ImageLike]) -> tuple[str, NDArray[np.uint8] | UnreadableImage]:
        name, image = item
        try:
            return name, self.preprocess.prepare(image, name=name)
        except UnreadableImage as error:
            return name, error

    def _answers(
        self, chunk: list[tuple[str, NDArray[np.uint8] | UnreadableImage]], top: int
    ) -> Iterator[Prediction]:
        good = [(name, image) for name, image in chunk if isinstance(image, np.ndarray)]
        answered: Iterator[Prediction] = iter(())
        if good:
            logits = self.predictor.predict(np.stack([image for _, image in good]))
            names = [name for name, _ in good]
            answered = iter(predictions_of(names, logits, self.classes, decision=self.decision, top=top))
        for name, image in chunk:
            yield (
                failed_prediction(name, image.reason)
                if isinstance(image, UnreadableImage)
                else next(answered)
            )


def named_images(inputs: Inputs) -> Iterator[tuple[str, ImageLike]]:
    """Each image that `inputs` stands for, not yet decoded, with what to call it.

    >>> [name for name, _ in named_images([np.zeros((2, 4, 4, 1), np.uint8), b"..."])]
    ['image 1', 'image 2', 'image 3']
    """
    if isinstance(inputs, list | tuple):
        # Before the first answer, so that a slip of the pen does not show up after an hour.
        for path in inputs:
            if isinstance(path, str | Path):
                _existing(path)
    for number, (name, image) in enumerate(_flat(inputs), start=1):
        yield name or f"image {number}", image


def _flat(inputs: Inputs) -> Iterator[tuple[str, ImageLike]]:
    if isinstance(inputs, str | Path):
        yield from _files(_existing(inputs))
    elif isinstance(inputs, np.ndarray):
        yield from (("", image) for image in (inputs if inputs.ndim == 4 else [inputs]))
    elif isinstance(inputs, bytes | Image.Image):
        yield str(getattr(inputs, "filename", "")), inputs
    elif isinstance(inputs, Iterable):
        several: Iterable[Any] = inputs
        for item in several:
            yield from _flat(item)
    else:
        raise UserError(
            f"{type(inputs).__name__} is not an image; allowed: a path, a folder, bytes, a PIL image, "
            "an array (uint8 H×W, H×W×C or N×H×W×C), or several of them"
        )


def _existing(path: str | Path) -> Path:
    with contextlib.suppress(OSError):  # a name too long for the file system is a name of nothing
        if Path(path).exists():
            return Path(path)
    raise UserError(f"there is no file or folder at {path}; check the path")


def _files(path: Path) -> Iterator[tuple[str, ImageLike]]:
    if not path.is_dir():
        yield str(path), path
        return
    left = Leftovers()
    images = walk_images(path, left)
    if not images:
        raise UserError(
            "; ".join([f"{path} holds no images", *left.notes(), "give a folder with pictures in it"])
        )
    for image in images:
        yield str(path / image), path / image


def check_finite(logits: NDArray[np.floating[Any]]) -> None:
    """Raises Failure where one of the logits N×K is NaN or infinite."""
    if broken := int((~np.isfinite(logits)).any(axis=1).sum()):
        of = f"{broken} of {len(logits)} images"
        raise Failure(f"the network answers {of} with NaN or infinity; train with a lower rate")
