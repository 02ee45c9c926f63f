"""A trained network that takes whatever a person calls an image, in the same way for each of its forms."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

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
Result = TypeVar("Result")

BATCH = 64
"""Images in memory at once while predictions are streamed."""


# eq=False: `==` of arrays is an array, which has no truth value.
@dataclass(frozen=True, eq=False)
class PreparedBatch:
    """Images by name, each prepared, uint8 H×W×C, or the error why it cannot be read."""

    items: tuple[tuple[str, NDArray[np.uint8] | UnreadableImage], ...]

    @property
    def readable(self) -> list[tuple[str, NDArray[np.uint8]]]:
        """Names and pixels of those that could be read, in their order."""
        return [(name, image) for name, image in self.items if not isinstance(image, UnreadableImage)]

    @property
    def images(self) -> NDArray[np.uint8]:
        """Their pixels, uint8 N×H×W×C; at least one must be readable."""
        return np.stack([image for _, image in self.readable])

    def merge(
        self, results: Iterable[Result], failed: Callable[[str, UnreadableImage], Result]
    ) -> Iterator[Result]:
        """A result for each image in its place: the next of `results`, of those readable, or `failed`."""
        readable = iter(results)
        for name, image in self.items:
            yield failed(name, image) if isinstance(image, UnreadableImage) else next(readable)


class ImagePredictor:
    """A predictor with its preprocessing and its decision: from whatever a person calls an image to outputs.

    It is a Predictor itself. What outputs mean is the task's to say; `Classifier` makes predictions of them.

    >>> class Mean:
    ...     classes = ("grey",)
    ...     def predict(self, images):
    ...         return images.mean(axis=(1, 2, 3))[:, None].astype(np.float32)
    >>> ImagePredictor(Mean(), Preprocess(1, 8, 8), Decision()).outputs(np.full((5, 5), 9, np.uint8)).tolist()
    [[9.0]]
    """

    def __init__(self, predictor: Predictor, preprocess: Preprocess, decision: Decision) -> None:
        """`predictor`: takes what `preprocess` makes; `decision`: makes predictions of what it gives."""
        self.predictor, self.preprocess, self.decision = predictor, preprocess, decision

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K outputs."""
        return self.predictor.classes

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Outputs N×K for prepared images, uint8 N×H×W×C."""
        return self.predictor.predict(images)

    def outputs(self, inputs: Inputs) -> NDArray[np.float32]:
        """Outputs N×K for the images that `inputs` stands for, in their order; see `Classifier.classify`.

        Raises UnreadableImage for a file that cannot be decoded, and what `named_images` raises.
        """
        names, pixels = self.prepare(inputs)
        if not names:
            return np.empty((0, len(self.classes)), np.float32)
        # The pixels fit in memory; the feature maps of all images would not.
        batches = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
        return np.concatenate([self.predict(batch) for batch in batches])

    def prepare(self, inputs: Inputs) -> tuple[list[str], NDArray[np.uint8]]:
        """The names and prepared pixels, uint8 N×H×W×C, of all images; the errors are those of `outputs`."""
        prepared = [(name, self.preprocess.prepare(image, name=name)) for name, image in named_images(inputs)]
        pixels = np.array([pixels for _, pixels in prepared], np.uint8)
        # Of no images np.array has the shape (0,); a network needs four axes.
        return [name for name, _ in prepared], pixels.reshape(-1, *self.preprocess.shape)

    def prepared_batches(
        self, named: Iterable[tuple[str, ImageLike]], size: int = BATCH
    ) -> Iterator[PreparedBatch]:
        """Named images, decoded in threads and prepared for the network, `size` at a time.

        Args:
            named: as `named_images` gives them.
            size: images of a batch, at least 1; the last may have fewer.

        Yields:
            Batches in the order of the images; one that cannot be read has its error there.
        """
        # Threads are enough: Pillow releases the interpreter lock while it decodes.
        prepared = ordered_parallel_map(self._prepare, named)
        while chunk := tuple(islice(prepared, size)):
            yield PreparedBatch(chunk)

    def _prepare(self, item: tuple[str, ImageLike]) -> tuple[str, NDArray[np.uint8] | UnreadableImage]:
        name, image = item
        try:
            return name, self.preprocess.prepare(image, name=name)
        except UnreadableImage as error:
            return name, error


class Classifier(ImagePredictor):
    """An ImagePredictor whose outputs are logits of classes.

    >>> class Grey:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images.mean(axis=(1, 2, 3)) / 255 - 0.5
    ...         return np.stack([-9 * light, 9 * light], axis=1)
    >>> classifier = Classifier(Grey(), Preprocess(1, 8, 8), Decision())
    >>> classifier.classify(np.zeros((5, 5), np.uint8))[0].label
    'dark'
    """

    def classify(self, inputs: Inputs, *, top: int = 5) -> list[Prediction]:
        """Predictions for `inputs`, in their order.

        Args:
            inputs: one image or an iterable of them. An image is a path, the bytes of a file, a PIL image or
                an array (uint8 H×W or H×W×C); a folder stands for every image below it, sorted, and an array
                N×H×W×C for N images.
            top: so many of the most probable classes each.

        Returns:
            One Prediction an image. A file that cannot be read has one with an `error`.

        Raises:
            UserError: a path that does not exist, a folder without images, and what is no image at all.
        """
        return list(self.stream(inputs, top=top))

    def stream(self, inputs: Inputs, *, top: int = 5) -> Iterator[Prediction]:
        """The predictions of `classify` as they come, 64 at a time: memory stays the same for any number."""
        for batch in self.prepared_batches(named_images(inputs)):
            good = self._predictions(batch, top) if batch.readable else []
            yield from batch.merge(good, lambda name, error: failed_prediction(name, error.reason))

    def _predictions(self, batch: PreparedBatch, top: int) -> list[Prediction]:
        logits = self.predictor.predict(batch.images)
        names = [name for name, _ in batch.readable]
        return predictions_of(names, logits, self.classes, decision=self.decision, top=top)


def named_images(inputs: Inputs) -> Iterator[tuple[str, ImageLike]]:
    """Each image that `inputs` stands for, not yet decoded, with what to call it.

    >>> [name for name, _ in named_images([np.zeros((2, 4, 4, 1), np.uint8), b"..."])]
    ['image 1', 'image 2', 'image 3']
    """
    if isinstance(inputs, list | tuple):
        # Before the first prediction, so that a mistyped path does not show up after an hour.
        for path in inputs:
            if isinstance(path, str | Path):
                _existing(path)
    for number, (name, image) in enumerate(_flat(inputs), start=1):
        yield name or f"image {number}", image


def _flat(inputs: Inputs) -> Iterator[tuple[str, ImageLike]]:
    # Text before iterables: a string is one, too, of letters.
    if isinstance(inputs, str | Path):
        yield from _files(_existing(inputs))
    elif isinstance(inputs, np.ndarray):
        # Three axes could be N grey images; they are taken for H×W×C, one image.
        yield from (("", image) for image in (inputs if inputs.ndim == 4 else [inputs]))
    elif isinstance(inputs, bytes | Image.Image):
        # Pillow keeps the path of a file; an image made in memory has none.
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
        notes = "; ".join([f"{path} holds no images", *left.notes(), "give a folder with pictures in it"])
        raise UserError(notes)
    for image in images:
        yield str(path / image), path / image


def check_finite(logits: NDArray[np.floating[Any]]) -> None:
    """Raises Failure where one of the logits N×K is NaN or infinite."""
    if broken := int((~np.isfinite(logits)).any(axis=1).sum()):
        of = f"{broken} of {len(logits)} images"
        raise Failure(f"the network answers {of} with NaN or infinity; train with a lower rate")
